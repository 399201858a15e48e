//! `plimsoll lab run`: plays a scenario, and checks meanwhile if asked to.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use plimsoll_diagnose::words::grouped;
use plimsoll_kube::Policy;
use plimsoll_lab::{Played, Stage, refuse_on_a_busy_host, stop_on_signals, volume};
use plimsoll_observe::{Depth, Options, Target};
use plimsoll_scenario::Scenario;

use super::expected::{Comparison, compare};
use super::introduction::introduction;
use super::{json, uptime};
use crate::arguments::{Color, RunArguments};
use crate::check::Checked;
use crate::library::{self, Player};
use crate::output;

/// The limit that the scenarios' rates and counts are written for.
const WRITTEN_FOR: u32 = 262_144;

/// Plays, and says whether all was as expected, where that was asked.
pub(crate) fn run(arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let scenario = find(&arguments.scenario)?;
    if arguments.check && scenario.expect.is_none() {
        bail!("it does not say what a check must find, having no `[expect]`: play it without --check, or simulate it")
    }
    let volume = volume(&scenario, arguments.seed, arguments.size)?;
    if !arguments.on_this_host {
        refuse_on_a_busy_host()?;
    }
    let idle = scenario.standing.iter().map(|standing| standing.idle_until).max().unwrap_or_default();
    let uptime = uptime::pretend(idle)?;
    let stop = stop_on_signals()?;
    let say = |text: &str| output::write_progress(text, Color::Auto);

    say(&introduction(&scenario, arguments.seed, arguments.size));
    let stage = Stage::build(&scenario)?;
    let name = stage.namespace().name();
    if ![0, WRITTEN_FOR].contains(&stage.capacity()) {
        let suggested = f64::from(stage.capacity()) / f64::from(WRITTEN_FOR);
        say(&format!(
            "The scenarios are written for a limit of {}; here it is {}, for which --size {suggested:.2} may suit better.\n",
            grouped(WRITTEN_FOR.into()),
            grouped(stage.capacity().into())
        ));
    }
    if !scenario.standing.is_empty() {
        let made = stage.fill(&scenario, arguments.seed, arguments.size)?;
        say(&format!("Made {} entries of flows that began before.\n", grouped(made)));
    }
    say(&format!(
        "Playing {} in the namespace {name}. {}\n",
        match &scenario.proxy {
            Some(proxy) => format!("{:.0} requests a second", proxy.requests_per_sec(arguments.size)),
            None => format!("{} flows, {} packets", grouped(volume.flows.into()), grouped(volume.packets as u64)),
        },
        if arguments.check {
            format!(
                "After {} s of its {} s it is checked, which ends it.",
                scenario.play.check_at.as_secs_f64(),
                scenario.play.lasts.as_secs_f64()
            )
        } else {
            format!(
                "It takes {} s. Look at it with: {}plimsoll check --netns {name}",
                scenario.play.lasts.as_secs_f64(),
                uptime.entering()
            )
        }
    ));
    let (played, checked) = play(&stage, &scenario, arguments, &stop)?;
    let judged = checked.as_ref().zip(scenario.expect.as_ref());
    let comparison = judged.map(|(checked, expect)| compare(expect, &checked.findings, name));
    let written = if arguments.json {
        let document = checked.as_ref().map(Checked::document).transpose()?;
        json::run(json::Run {
            scenario: &scenario,
            seed: arguments.seed,
            size: arguments.size,
            namespace: name,
            played,
            checked: document.zip(comparison.as_ref()),
        })?
    } else {
        text(&scenario, arguments, played, checked.as_ref().zip(comparison.as_ref()))
    };
    output::write(&written, arguments.color)?;
    Ok(ExitCode::from(u8::from(comparison.is_some_and(|comparison| !comparison.as_expected))))
}

/// The scenario of a name, or that in a file if the name ends in `.toml`.
fn find(name: &str) -> anyhow::Result<Scenario> {
    if library::ends_in(name, "toml") {
        return library::in_file(name);
    }
    if let Some(scenario) = library::named(name, Player::Lab)? {
        return Ok(scenario);
    }
    if library::names(Player::Simulation).contains(&name) {
        bail!("this scenario is only simulated: plimsoll simulate {name}")
    }
    let known = library::names(Player::Lab).join(", ");
    bail!("there is no scenario {name:?}: name one of {known}, or a file that ends in .toml")
}

/// Plays in a thread of its own, and checks meanwhile: while packets still come, if the scenario has any then.
fn play(
    stage: &Stage,
    scenario: &Scenario,
    arguments: &RunArguments,
    stop: &AtomicBool,
) -> anyhow::Result<(Played, Option<Checked>)> {
    thread::scope(|scope| {
        let began = Instant::now();
        let thread = scope.spawn(|| stage.play(scenario, arguments.seed, arguments.size, stop));
        let checked = if arguments.check {
            wait(began, scenario.play.check_at, stop);
            let checked = if stop.load(Ordering::Relaxed) {
                Err(anyhow!("interrupted: it was told to stop before it came to check"))
            } else {
                check(stage.namespace().name())
            };
            stop.store(true, Ordering::Relaxed);
            checked.map(Some)
        } else {
            wait(began, scenario.play.lasts, stop);
            if stop.load(Ordering::Relaxed) {
                Err(anyhow!("interrupted: it was not played to its end"))
            } else {
                Ok(None)
            }
        };
        match thread.join() {
            Ok(played) => Ok((played?, checked?)),
            Err(_) => bail!("the lab's player panicked"),
        }
    })
}

fn wait(began: Instant, until: Duration, stop: &AtomicBool) {
    const PATIENCE: Duration = Duration::from_millis(50);
    while let Some(left) = until.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(left.min(PATIENCE));
    }
}

fn check(namespace: &str) -> anyhow::Result<Checked> {
    let options = Options {
        target: Target::Named(namespace.to_string()),
        interval: Duration::from_secs(1),
        depth: Depth::Precise,
        timeout: Duration::from_mins(1),
    };
    Ok(Checked::read(&options, Policy::Off, &mut |_, _| {})?)
}

fn text(
    scenario: &Scenario,
    arguments: &RunArguments,
    played: Played,
    checked: Option<(&Checked, &Comparison)>,
) -> String {
    let mut text = String::new();
    if let Some((checked, comparison)) = checked {
        text.push_str(&checked.text());
        text.push_str(&format!(
            "\nThe lab ({}, seed {}, size {})\n{}",
            scenario.name,
            arguments.seed,
            arguments.size,
            comparison.text()
        ));
    }
    let what = match &scenario.proxy {
        Some(_) => format!("{} requests", grouped(played.flows)),
        None => format!(
            "{} flows, {} packets ({} a second)",
            grouped(played.flows),
            grouped(played.packets),
            grouped(played.packets_per_sec())
        ),
    };
    text.push_str(&format!(
        "  played: {what} in {:.1} s, at most {:.0} ms late; {} refused\n",
        played.took.as_secs_f64(),
        played.latest.as_secs_f64() * 1000.0,
        grouped(played.refused)
    ));
    text
}
