//! `plimsoll simulate`: what a table would do under a workload and settings.

mod amounts;
mod base;
mod candidates;
mod captured;
mod chart;
mod csv;
mod fidelity;
mod json;
mod knowledge;
mod mix;
mod names;
mod picture;
mod progress;
mod replayed;
mod report;
mod services;
mod svg;
mod synthetic;
mod sysctl;
mod text;
mod workload;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context, bail};
use plimsoll_diagnose::words::grouped;
use plimsoll_simulate::{Bounds, Completeness, Setup, cheapest, sweep};

pub(crate) use self::amounts::{Ram, Share};
pub(crate) use self::base::Kernel;
pub(crate) use self::knowledge::Measured;
pub(crate) use self::mix::{Lifetime, Mix};
pub(crate) use self::sysctl::{Assignment, Swept};

use self::base::Base;
use self::candidates::{Layers, candidates};
use self::fidelity::Comparison;
use self::progress::Display;
use self::replayed::Replayed;
use self::report::{Choice, Report, Run};
use self::workload::Source;
use crate::arguments::{Color, SimulateArguments};
use crate::drawn::{Picture, STANDARD_OUTPUT};
use crate::library::{self, Player};
use crate::output::{self, COULD_NOT_TELL};
use crate::stop::stop_on_signals;

/// The exit code for "no setting keeps to the limits".
const NONE_WITHIN: u8 = 1;

/// Simulates, and says what came of it.
pub(crate) fn run(arguments: &SimulateArguments) -> anyhow::Result<ExitCode> {
    if arguments.list {
        return list(arguments).map(|()| ExitCode::SUCCESS);
    }
    if arguments.svg.as_deref() == Some(STANDARD_OUTPUT) && (arguments.json || arguments.csv) {
        bail!("--svg - writes to standard output, as --json and --csv do: name a file for the picture")
    }
    let source = Source::of(arguments)?;
    let base = base(&source, arguments)?;
    let layers = Layers {
        scenario: source.as_scenario(),
        profile: arguments.profile,
        set: &arguments.set,
        sweep: &arguments.sweep,
    };
    let candidates = candidates(&base, layers)?;
    let mut setups: Vec<_> = candidates.iter().map(|candidate| candidate.setup.clone()).collect();
    let say = |text: &str| output::write_progress(text, Color::Auto);
    if !arguments.json {
        base.notes.iter().for_each(|note| say(&format!("plimsoll: {note}\n")));
    }
    source.refuse_too_much(&setups)?;
    complain_of_the_hash(&source, &setups);
    // Before the run, whose result would be lost if this were noticed only then.
    let read: Vec<&str> = [&arguments.input, &arguments.conform].into_iter().flatten().map(String::as_str).collect();
    let picture = Picture::begin(arguments.svg.as_deref(), &read, source.as_recording().map(Replayed::path))?;

    // Of the settings, the recorded ones may be an addition, which is no run of the report's.
    let comparison = source.as_recording().and_then(|recording| Comparison::begin(recording, &base, &mut setups));
    let outcomes = simulate(&source, &setups)?;
    let fidelity = comparison.map(|comparison| comparison.end(&outcomes));
    let passed_over = match &source {
        // It is read ahead of what is played: what comes behind a run that was stopped is none of its failures.
        Source::Capture { captured, .. }
            if outcomes.iter().any(|outcome| outcome.completeness == Completeness::Whole) =>
        {
            Some(captured.ended()?)
        }
        Source::Capture { captured, .. } => Some(captured.passed_over()),
        Source::Scenario { .. } | Source::Recording { .. } => None,
    };
    let runs = candidates.into_iter().zip(outcomes).map(|(candidate, outcome)| Run { candidate, outcome }).collect();
    let mut report = Report {
        source: &source,
        base: &base,
        over: over(layers),
        runs,
        passed_over,
        fidelity,
        choice: Choice::NotAsked,
    };
    report.refuse_nothing()?;
    report.choice = choice(&report, bounds(arguments));
    write(&report, arguments, picture)?;
    Ok(ExitCode::from(match report.choice {
        _ if !report.is_whole() => COULD_NOT_TELL,
        Choice::None(_) => NONE_WITHIN,
        Choice::NotAsked | Choice::NotKnown(_) | Choice::Cheapest(..) => 0,
    }))
}

/// The settings from which it starts.
fn base(source: &Source, arguments: &SimulateArguments) -> anyhow::Result<Base> {
    let recording = source.as_recording();
    let base = match (arguments.kernel, arguments.ram, recording) {
        (None, None, None) => Base::of_this_host(arguments.seed),
        (None, None, Some(recording)) => Base::of_recording(recording, arguments.seed),
        (None, ram, Some(recording)) => Base::of_kernel(recording.release().parse().ok(), ram, arguments.seed),
        (kernel, ram, _) => Base::of_kernel(kernel, ram, arguments.seed),
    };
    Ok(match &arguments.conform {
        Some(file) => base.measured(Measured::read(file)?),
        None => base,
    })
}

fn list(arguments: &SimulateArguments) -> anyhow::Result<()> {
    let mut scenarios = library::all(Player::Simulation)?;
    // Its packets are those of real TCP stacks.
    scenarios.retain(|scenario| scenario.proxy.is_none());
    let written = if arguments.json {
        json::list(&scenarios)?
    } else {
        let number = grouped(scenarios.len() as u64);
        format!("{number} scenarios; `plimsoll simulate NAME` simulates one:\n{}", library::listed(&scenarios))
    };
    output::write(&written, arguments.color)
}

/// All settings at once, until it is told to stop.
fn simulate(source: &Source, setups: &[Setup]) -> anyhow::Result<Vec<plimsoll_simulate::Outcome>> {
    let stop = stop_on_signals()?;
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let display = Display::new(setups.len());
    let outcomes = sweep(&|| source.workload(), setups, threads, &|run, progress| {
        display.show(run, progress);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    display.clear();
    let outcomes = outcomes.with_context(|| format!("simulating {}", source.name()))?;
    Ok(outcomes.into_iter().zip(setups).map(|(outcome, setup)| source.enlarged(outcome, setup)).collect())
}

/// A scenario may be made for a hash that these settings have not.
fn complain_of_the_hash(source: &Source, setups: &[Setup]) {
    let wanted = source.as_scenario().and_then(|scenario| scenario.needs.buckets_at_most);
    let most = setups.iter().map(|setup| setup.host.buckets.0).max();
    if let Some((wanted, there)) = wanted.zip(most).filter(|(wanted, there)| there > wanted) {
        output::write_progress(
            &format!(
                "plimsoll: {} is made for at most {} buckets, and here are {}: --set nf_conntrack_buckets={wanted} shows what it \
                 is about\n",
                source.name(),
                grouped(wanted.into()),
                grouped(there.into())
            ),
            Color::Auto,
        );
    }
}

/// What is laid over the base, in words.
fn over(layers: Layers<'_>) -> Vec<String> {
    let own = layers.scenario.and_then(|scenario| scenario.simulate.as_ref());
    let own = own.map_or(&[][..], |simulate| &simulate.sysctls[..]);
    let own_names: Vec<_> = own
        .iter()
        .map(|(name, value)| {
            let name = name.as_str().trim_start_matches("net.netfilter.nf_conntrack_");
            format!("{name}={value}")
        })
        .collect();
    let own = (!own_names.is_empty()).then(|| format!("the scenario's own ({})", own_names.join(", ")));
    let profile = layers.profile.map(|profile| format!("the profile {}", profile.name()));
    let set: Vec<_> = layers.set.iter().map(|set| format!("{}={}", set.sysctl.short(), set.value)).collect();
    let set = (!set.is_empty()).then(|| format!("--set {}", set.join(", ")));
    let swept: Vec<_> = layers.sweep.iter().map(|swept| swept.sysctl.short()).collect();
    let swept = (!swept.is_empty()).then(|| format!("--sweep of {}", swept.join(", ")));
    [own, profile, set, swept].into_iter().flatten().collect()
}

fn bounds(arguments: &SimulateArguments) -> Option<Bounds> {
    let share = |share: Option<Share>| share.map(|Share(share)| share);
    let bounds = Bounds {
        max_false_kill_rate: share(arguments.max_false_kill_rate),
        max_utilization: share(arguments.max_utilization),
    };
    (bounds != Bounds::default()).then_some(bounds)
}

fn choice(report: &Report<'_>, bounds: Option<Bounds>) -> Choice {
    let Some(bounds) = bounds else { return Choice::NotAsked };
    if !report.is_whole() {
        return Choice::NotKnown(bounds);
    }
    let outcomes = report.runs.iter().map(|run| &run.outcome);
    cheapest(outcomes, bounds).map_or(Choice::None(bounds), |bargain| Choice::Cheapest(bounds, bargain))
}

fn write(report: &Report<'_>, arguments: &SimulateArguments, picture: Picture) -> anyhow::Result<()> {
    match picture {
        Picture::ToStandardOutput => return output::write(&svg::render(report), Color::Never),
        Picture::ToFile(file) => file.write(&svg::render(report))?,
        Picture::None => {}
    }
    if arguments.json {
        return output::write(&json::render(report)?, arguments.color);
    }
    if let Some(passed_over) = text::passed_over(report) {
        output::write_progress(&passed_over, arguments.color);
    }
    if arguments.csv {
        output::write(&csv::render(report), arguments.color)
    } else {
        output::write(&text::render(report, output::width()), arguments.color)
    }
}
