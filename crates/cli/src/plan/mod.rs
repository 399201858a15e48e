//! `plimsoll plan`: what to change, in which order, why, and what it would do.

mod arguments;
mod drifted;
mod json;
mod rendered;
mod text;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, anyhow};
use plimsoll_apply::{Place, RulesInForce};
use plimsoll_diagnose::diagnose;
use plimsoll_host::HostFs;
use plimsoll_model::{NamespaceSnapshot, Snapshot};
use plimsoll_observe::{Depth, Options, Target, find, observe};
use plimsoll_plan::{
    BypassGround, Bypasses, MeasureRequest, Measured, Plan, Rails, Request, Situation, SizeDecision, TimeoutsBy,
    looks_for_bypasses,
};
use plimsoll_twin::{Capabilities, Version};

pub(crate) use self::arguments::PlanArguments;
pub(crate) use self::text::edited;
use crate::measured::{self, Detail};
use crate::output;
use crate::recording::Recording;

/// Plans, and writes the plan.
pub(crate) fn run(arguments: &PlanArguments) -> anyhow::Result<ExitCode> {
    if arguments.check_drift {
        return drifted::run(arguments);
    }
    let Made { snapshot, place, plan, measured } = made(arguments)?;
    let ns = snapshot.namespaces.get(place).context("the namespace is among those that were read")?;
    let written = match arguments.format {
        _ if arguments.json => json::render(&snapshot, &plan, measured.as_ref())?,
        _ if arguments.diff => rendered::as_diff(&snapshot, ns, &plan),
        Some(format) => rendered::formatted(format, &snapshot, ns, &plan),
        None => {
            let measured =
                measured.as_ref().map(|measured| measured::text(measured, Detail::Chosen)).unwrap_or_default();
            format!("{}{measured}", text::render(&snapshot, &plan))
        }
    };
    output::write(&written, arguments.color)?;
    if plan.changes.is_empty() && (arguments.diff || arguments.format.is_some()) {
        output::write_progress(
            "plimsoll: no change is proposed; without --format or --diff the plan says why\n",
            arguments.color,
        );
    }
    Ok(ExitCode::from(match (&plan.sizing.decision, &plan.changes[..]) {
        (SizeDecision::NotKnown { .. }, []) => output::COULD_NOT_TELL,
        _ => 0,
    }))
}

/// A plan, and what it was made from.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) snapshot: Snapshot,
    /// The place of the namespace that it is for.
    place: usize,
    pub(crate) plan: Plan,
    /// What a recording says of timeouts, if there is one.
    measured: Option<Measured>,
}

/// Reads the host and plans.
pub(crate) fn made(arguments: &PlanArguments) -> anyhow::Result<Made> {
    // Whoever has named a wrong one is told before anything is watched.
    let recording = arguments.from.as_deref().map(Recording::open).transpose()?;
    let (snapshot, place) = read(arguments)?;
    let namespace = snapshot.namespaces.get(place).context("the namespace is among those that were read")?;
    let findings = diagnose(&snapshot);
    let capabilities = capabilities(&snapshot, arguments.conform.as_deref())?;
    let measured = match &recording {
        Some(recording) => Some(measured(recording, namespace, capabilities, arguments)?),
        None => None,
    };
    let request = Request {
        growth: arguments.growth,
        memory_share: arguments.memory_share.0,
        timeouts: if measured.is_some() { TimeoutsBy::Recording } else { arguments.timeouts.0 },
        bypasses: if arguments.bypass { Bypasses::Everywhere } else { Bypasses::WhereShort },
        seed: arguments.seed,
        threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    let rules = if looks_for_bypasses(&snapshot, namespace, request) {
        rules_in_force(namespace).map_err(|error| format!("the rules in force were not read: {error:#}"))
    } else {
        Err("nobody asks for them".to_string())
    };
    let situation = Situation {
        snapshot: &snapshot,
        namespace,
        findings: &findings,
        capabilities,
        is_replicated: HostFs::new().is_replicated().ok(),
        bypass: rules.as_ref().map(ground).map_err(String::as_str),
        measured: measured.as_ref(),
    };
    let plan = plimsoll_plan::plan(situation, request);
    Ok(Made { snapshot, place, plan, measured })
}

const fn ground(rules: &RulesInForce) -> BypassGround<'_> {
    let RulesInForce { ruleset, beside, own } = rules;
    BypassGround { ruleset, beside, own }
}

fn rules_in_force(ns: &NamespaceSnapshot) -> anyhow::Result<RulesInForce> {
    Ok(RulesInForce::read(&Place::named(ns.namespace.name.as_str())?)?)
}

/// What a recording says of timeouts for this host.
fn measured(
    recording: &Recording,
    namespace: &NamespaceSnapshot,
    capabilities: Capabilities,
    arguments: &PlanArguments,
) -> anyhow::Result<Measured> {
    let rails = if arguments.below_rails { Rails::AreCrossed } else { Rails::Hold };
    let request = MeasureRequest {
        most_false_kills: arguments.max_false_kill_rate,
        rails,
        settings: &namespace.settings,
        seed: arguments.seed,
    };
    recording.measured(request, capabilities)
}

/// All namespaces, as they are meant to be: what a governor has changed for a while is no ground for a plan.
fn read(arguments: &PlanArguments) -> anyhow::Result<(Snapshot, usize)> {
    let (mut snapshot, place) = read_as_it_is(arguments)?;
    let state_dir = crate::apply::state_dir();
    for ns in &mut snapshot.namespaces {
        let Some(inode) = ns.namespace.inode else { continue };
        // Journals that cannot be read tell of no governor; `apply` will say what is no longer as the plan found it.
        let governed = plimsoll_apply::governed(&state_dir, inode.0).unwrap_or_default();
        let meant =
            |timeout| governed.iter().find(|(sysctl, _)| sysctl.timeout() == Some(timeout)).map(|(_, secs)| *secs);
        ns.timeouts =
            ns.timeouts.iter_secs().map(|(timeout, secs)| (timeout, meant(timeout).unwrap_or(secs))).collect();
    }
    Ok((snapshot, place))
}

/// All namespaces, since a limit holds for each; and the entries of the one that the plan is for, with its place among them.
fn read_as_it_is(arguments: &PlanArguments) -> anyhow::Result<(Snapshot, usize)> {
    let wanted = find(&HostFs::new(), &arguments.netns)?.namespace.name;
    let depth = if arguments.exact { Depth::Exact } else { Depth::Precise };
    let all = Options {
        target: Target::All,
        interval: arguments.watch_for,
        depth,
        timeout: std::time::Duration::from_mins(1),
    };
    // A plan has one answer: what a sample tells before the whole table is read is not shown.
    let mut snapshot = observe(&all, &mut |_| {}).context("reading this host")?;
    let is_it = |ns: &NamespaceSnapshot| ns.namespace.name == wanted;
    // Where there is much to see its entries were read with the rest.
    if let Some(place) = snapshot.namespaces.iter().position(|ns| is_it(ns) && ns.census.is_some()) {
        return Ok((snapshot, place));
    }
    let one = Options { target: Target::Named(arguments.netns.clone()), interval: std::time::Duration::ZERO, ..all };
    let mut named = observe(&one, &mut |_| {}).context("reading the namespace to plan for")?;
    let read = named.namespaces.pop().ok_or_else(|| anyhow!("there is no network namespace {:?}", arguments.netns))?;
    if let Some((place, there)) = snapshot.namespaces.iter_mut().enumerate().find(|(_, ns)| is_it(ns)) {
        // What changed meanwhile is only in the first reading.
        *there = NamespaceSnapshot { change: there.change.take(), ..read };
        return Ok((snapshot, place));
    }
    snapshot.namespaces.push(read);
    let place = snapshot.namespaces.len() - 1;
    Ok((snapshot, place))
}

fn capabilities(snapshot: &Snapshot, conform: Option<&str>) -> anyhow::Result<Capabilities> {
    if let Some(file) = conform {
        return Ok(crate::simulate::Measured::read(file)?.capabilities);
    }
    let release = snapshot.host.kernel.as_ref().and_then(|kernel| Version::of_release(kernel.as_str().trim()));
    Ok(release.map_or(Capabilities::LINUX_6_18, Capabilities::guess))
}
