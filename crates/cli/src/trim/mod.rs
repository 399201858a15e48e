//! `plimsoll trim`: existing entries are brought under timeouts.

mod arguments;
mod ask;
mod json;
mod names;
mod report;
mod text;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use plimsoll_host::HostFs;
use plimsoll_model::{Capacity, Network, Occupancy};
use plimsoll_observe::{Place, find};
use plimsoll_trim::{Ground, Limits, Manner, Replies, Selection, Trimming, Wish, settle};

pub(crate) use self::arguments::TrimArguments;

use self::ask::Consent;
use self::names::TimeoutSetting;
use self::report::{Done, Report, Wait};
use crate::apply::{armed_with, state_dir};
use crate::output;
use crate::simulate::Share;
use crate::stop::stop_on_signals;

/// The exit code for "entries would go".
const WOULD_GO: u8 = 1;
/// The exit code for "not as far as was asked for".
const NOT_SO_FAR: u8 = 2;

/// Trims, or says what would go.
pub(crate) fn run(arguments: &TrimArguments) -> anyhow::Result<ExitCode> {
    let host = HostFs::new();
    let found = find(&host, &arguments.netns)?;
    let place = Place::of(&found);
    let ground = place.visit(|| Ground::read(&host)).with_context(|| needs_to_enter(&found.namespace.name))??;
    // Those that are named, and those that Plimsoll's own journals know.
    let known = armed_with(&state_dir(), &found.namespace)?.into_iter().filter_map(TimeoutSetting::of);
    let armed: Vec<_> = arguments.armed.iter().copied().chain(known).collect();
    let trimming = Trimming::new(&ground, wish(arguments, &armed), manner(arguments));
    let until = arguments.until.map(|share| few_enough(share, ground.table.capacity)).transpose()?;
    let mut report = Report::new(arguments, &armed, &found.namespace, &ground);

    if !arguments.yes {
        let plan = place.visit(|| trimming.plan())??;
        report.planned(plan);
        let consent = ask::consent(arguments, &report)?;
        if consent == Consent::NotGiven {
            write(arguments, &report)?;
            return Ok(if report.stale() > 0 { ExitCode::from(WOULD_GO) } else { ExitCode::SUCCESS });
        }
    }
    let stop = stop_on_signals()?;
    let limits = Limits { until, entries_per_sec: Some(arguments.rate), deadline: None, stop: &stop };
    report.done(place.visit(|| act(&trimming, &limits, arguments))??);
    write(arguments, &report)?;
    Ok(if report.falls_short() { ExitCode::from(NOT_SO_FAR) } else { ExitCode::SUCCESS })
}

fn act(trimming: &Trimming, limits: &Limits<'_>, arguments: &TrimArguments) -> anyhow::Result<Done> {
    let acted = trimming.act(limits)?;
    if acted.manner == Manner::Expire && acted.changed() > 0 && io::stderr().is_terminal() {
        output::write_progress("Waiting 10 s until they have expired ...\n", arguments.color);
    }
    let settled = settle(&acted, limits)?;
    let has_waited = acted.manner == Manner::Delete || acted.changed() == 0 || !limits.stop.load(Ordering::Relaxed);
    let wait = if has_waited { Wait::Over } else { Wait::CutShort };
    Ok(Done { acted, settled, until: limits.until, wait })
}

fn wish(arguments: &TrimArguments, armed: &[TimeoutSetting]) -> Wish {
    let hosts = arguments.source.iter().map(|address| Network::host(*address));
    let selection = Selection {
        states: arguments.state.clone(),
        protocols: arguments.proto.clone(),
        services: arguments.service.clone(),
        sources: hosts.chain(arguments.prefix.iter().copied()).collect(),
        idle_over_secs: arguments.idle_over.map(|span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX)),
        replies: if arguments.unreplied { Replies::Unseen } else { Replies::Any },
    };
    let pairs = |settings: &[TimeoutSetting]| settings.iter().map(|set| (set.timeout, set.secs)).collect();
    Wish { selection, as_if: pairs(&arguments.as_if), armed: pairs(armed) }
}

fn manner(arguments: &TrimArguments) -> Manner {
    if arguments.now { Manner::Delete } else { Manner::Expire }
}

/// So many entries as are the share of the limit.
fn few_enough(Share(share): Share, capacity: Option<Capacity>) -> anyhow::Result<Occupancy> {
    let Some(limit) = capacity.and_then(Capacity::limit) else {
        bail!("the table has no limit of which --until could be a share: leave it out, or select with --idle-over");
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
    let entries = (f64::from(limit) * share) as u32;
    Ok(Occupancy(entries))
}

fn needs_to_enter(name: &plimsoll_model::Untrusted) -> String {
    format!("entering the network namespace {name}, which takes {}", plimsoll_observe::Unvisited::NEEDS)
}

fn write(arguments: &TrimArguments, report: &Report<'_>) -> anyhow::Result<()> {
    let text = if arguments.json { json::render(report)? } else { text::render(report) };
    output::write(&text, arguments.color)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_no_limit_is_refused_and_not_taken_for_none() {
        assert_eq!(few_enough(Share(0.8), Some(Capacity(262_144))).unwrap(), Occupancy(209_715));
        assert_eq!(few_enough(Share(0.0), Some(Capacity(10))).unwrap(), Occupancy(0));
        for no_limit in [None, Some(Capacity(0))] {
            assert!(few_enough(Share(0.8), no_limit).unwrap_err().to_string().contains("--until"));
        }
    }
}
