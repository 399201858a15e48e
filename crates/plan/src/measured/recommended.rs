//! Which value is recommended.

use plimsoll_diagnose::words::{duration, rounded};
use plimsoll_model::Timeout;
use plimsoll_survival::{Share, flows_without_harm_for};
use serde::Serialize;

use super::candidates::Guard;
use super::judged::MeasuredService;
use super::silences::ServiceKind;
use super::{MeasureRequest, Value};

/// The knee is the gentlest value that saves so much of what the lowest one that passes saves.
const KNEE: f64 = 0.9;
/// What saves fewer entries at a time is not worth a change.
const WORTH: f64 = 1.0;

/// What is recommended of a timeout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommended {
    /// The value for all flows; `None` where it should stay.
    pub secs: Option<u32>,
    /// The lowest value that passes for every service.
    pub lowest_secs: Option<u32>,
    /// Why this value, and what it rests on.
    pub because: String,
    /// Values for single services, below the one for all.
    pub policies: Vec<MeasuredPolicy>,
}

/// A value for one service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredPolicy {
    /// Which.
    pub service: ServiceKind,
    /// The value.
    pub secs: u32,
    /// Entries fewer at a time than under the value for all.
    pub saved_entries: f64,
    /// What it rests on.
    pub because: String,
}

pub(super) fn recommend(
    timeout: Timeout,
    in_force_secs: u32,
    guard: &Guard,
    values: &[Value],
    services: &[MeasuredService],
    request: MeasureRequest<'_>,
) -> Recommended {
    let permitted = request.most_false_kills;
    let judged: Vec<_> = values.iter().filter(|value| request.rails.allow(value.secs, guard)).collect();
    let is_borne = |value: &&&Value| {
        let is_refuted = value.later_at_least.is_some_and(|least| least > permitted.get());
        !is_refuted && value.worst_upper.is_some_and(|upper| upper <= permitted.get())
    };
    let passed: Vec<_> = judged.iter().take_while(is_borne).copied().collect();
    let lowest = passed.last().copied();
    let knee = knee(passed.iter().map(|value| (value.secs, value.saved_entries)));
    let failed = judged.get(passed.len());
    let because = match (knee, failed) {
        _ if judged.is_empty() => format!(
            "{} is the least that is recommended{}",
            duration(guard.secs.into()),
            guard.rail.as_ref().map(|rail| format!(" ({})", rail.source)).unwrap_or_default()
        ),
        (Some(knee), failed) => {
            let beyond = guard.secs.min(knee);
            let value = passed.iter().find(|value| value.secs == knee);
            let (gaps, flows) = value.map_or((0.0, 0.0), |value| (value.long_gaps, value.long_flows));
            let limit = match failed {
                Some(failed) => format!(
                    "; {} does not pass: {}",
                    duration(failed.secs.into()),
                    too_few(failed, services, permitted)
                ),
                None => String::new(),
            };
            format!("it rests on {gaps:.0} silences beyond {}, of {flows:.0} flows{limit}", duration(beyond.into()))
        }
        (None, Some(failed)) => too_few(failed, services, permitted),
        (None, None) => "no lower value would save an entry".to_string(),
    };
    let at = knee.unwrap_or(in_force_secs);
    let policies = if may_have_policies(timeout) {
        services.iter().filter_map(|service| policy(service, at, guard, values, request)).collect()
    } else {
        Vec::new()
    };
    Recommended { secs: knee, lowest_secs: lowest.map(|value| value.secs), because, policies }
}

/// The gentlest value that saves nearly as much as the lowest.
fn knee(passed: impl Iterator<Item = (u32, f64)> + Clone) -> Option<u32> {
    let (_, most) = passed.clone().last()?;
    if most < WORTH {
        return None;
    }
    passed.into_iter().find(|(_, saved)| *saved >= KNEE * most).map(|(secs, _)| secs)
}

/// A service whose flows bear less than all do.
fn policy(
    service: &MeasuredService,
    for_all_secs: u32,
    guard: &Guard,
    values: &[Value],
    request: MeasureRequest<'_>,
) -> Option<MeasuredPolicy> {
    /// A policy is one more thing to know of: it has to save so much of what the timeout could save.
    const SHARE: f64 = 0.1;
    let ServiceKind::Port(..) = service.service else { return None };
    let judged = service.values.iter().filter(|value| request.rails.allow(value.secs, guard));
    let passed: Vec<_> = judged
        .take_while(|value| {
            let borne = request.most_false_kills.get();
            let is_refuted = value.later.as_ref().is_some_and(|kills| kills.rate.low > borne);
            !is_refuted && value.fitted.as_ref().is_some_and(|kills| kills.upper <= borne)
        })
        .collect();
    let secs =
        knee(passed.iter().map(|value| (value.secs, value.saved_entries))).filter(|secs| *secs < for_all_secs)?;
    let saved =
        |secs: u32| service.values.iter().find(|value| value.secs == secs).map_or(0.0, |value| value.saved_entries);
    let saved_entries = saved(secs) - saved(for_all_secs);
    let possible = values.iter().map(|value| value.saved_entries).fold(0.0, f64::max);
    if saved_entries < WORTH || saved_entries < SHARE * possible {
        return None;
    }
    let kills = passed.iter().find(|value| value.secs == secs)?.fitted.as_ref()?;
    let because = format!(
        "at most {:.4} % of its flows that idle beyond {} would be killed (95 %), by {:.0} such flows of {} peers",
        kills.upper * 100.0,
        duration(secs.min(guard.secs).into()),
        kills.long_flows,
        kills.peers
    );
    Some(MeasuredPolicy { service: service.service, secs, saved_entries, because })
}

/// Timeouts that a rule can set for a service (`ct timeout`), whose flows are told by their port.
fn may_have_policies(timeout: Timeout) -> bool {
    matches!(timeout, Timeout::Tcp(_) | Timeout::Udp | Timeout::UdpStream)
}

/// Why a value does not pass.
fn too_few(failed: &Value, services: &[MeasuredService], permitted: Share) -> String {
    let worst = failed.worst_service;
    let of_it = services.iter().find(|service| Some(service.service) == worst);
    let kills =
        of_it.and_then(|service| service.values.iter().find(|value| value.secs == failed.secs)?.fitted.as_ref());
    if let Some(least) = failed.later_at_least.filter(|least| *least > permitted.get()) {
        return format!(
            "in the later part of the recording {:.3} % at least would be killed, whatever the part before tells",
            least * 100.0
        );
    }
    if let (Some(worst), None) = (worst, kills) {
        return format!(
            "flows of {worst} idled for long only in the later part of the recording: nothing is known of them before"
        );
    }
    let (Some(worst), Some(kills)) = (worst, kills) else {
        return "nothing was seen that idles for so long".to_string();
    };
    let rate = format!("{:.3} %", permitted.get() * 100.0);
    // What is not known counts as harm, but is none that was seen.
    if kills.rate.value - kills.not_known <= permitted.get() && kills.not_known > permitted.get() {
        let known = of_it.map_or(0.0, |service| service.known_until_secs);
        return format!(
            "of silences of {worst} beyond {} nothing is known: none was watched for so long in the part that is fitted. A longer \
             recording tells more",
            duration(rounded(known))
        );
    }
    if kills.rate.value > permitted.get() {
        return format!(
            "of {worst}, {:.2} % of the flows that idle for long would be killed (at most {:.2} % at 95 %), more than {rate}",
            kills.rate.value * 100.0,
            kills.upper * 100.0
        );
    }
    let suffice = flows_without_harm_for(permitted);
    format!(
        "of {worst}, {:.0} flows that idle for long were seen, which count as {:.0} of different peers: they allow to say at most \
         {:.2} %; for {rate} it takes about {suffice} without a kill",
        kills.long_flows,
        kills.effective_flows,
        kills.upper * 100.0
    )
}
