//! From what was read to a plan.

use std::num::NonZeroUsize;

use plimsoll_diagnose::overwritten;
use plimsoll_diagnose::words::grouped;
use plimsoll_model::{Edit, Finding, FindingId, NamespaceSnapshot, Overwrite, Snapshot, Sysctl};
use plimsoll_twin::Capabilities;

use crate::bypass;
use crate::changes::{bucket_change, other_change, policy_change, size_change, timeout_change};
use crate::measured::of_recording;
use crate::notes::notes;
use crate::others;
use crate::revert::{is_within, within};
use crate::timeouts::{self, Pressure, TimeoutChoice, comes_to};
use crate::{
    BucketChoice, BypassGround, Bypasses, Forecast, Measured, PassedOver, Plan, Planned, Rehearsal, Risk, Role,
    SizeDecision, Sizing, TimeoutsBy,
};

/// What a plan starts from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What was read of the host.
    pub snapshot: &'a Snapshot,
    /// The namespace that the plan is for.
    pub namespace: &'a NamespaceSnapshot,
    /// What was found.
    pub findings: &'a [Finding],
    /// How this kernel behaves.
    pub capabilities: Capabilities,
    /// Whether entries are replicated to another host (conntrackd).
    pub is_replicated: Option<bool>,
    /// What services that need no entries are judged by; or why that was not read, and then none is left untracked.
    pub bypass: Result<BypassGround<'a>, &'a str>,
    /// What a recording says of timeouts, for [`TimeoutsBy::Recording`].
    pub measured: Option<&'a Measured>,
}

/// What is asked of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// By how much more than what was measured there must be room.
    pub growth: f64,
    /// The share of RAM that all tables may take.
    pub memory_share: f64,
    /// Where timeouts come from.
    pub timeouts: TimeoutsBy,
    /// Which services are looked at, whether they need entries.
    pub bypasses: Bypasses,
    /// What the twin draws from.
    pub seed: u64,
    /// In how many threads to rehearse.
    pub threads: NonZeroUsize,
}

/// Whether a plan looks for services that need no entries: only then it looks at the rules in force.
pub fn looks_for_bypasses(snapshot: &Snapshot, ns: &NamespaceSnapshot, request: Request) -> bool {
    let is_short = || {
        let sizing = Sizing::of(snapshot, ns, request.growth, request.memory_share);
        pressure(ns, &sizing).is_some_and(Pressure::is_there)
    };
    match request.bypasses {
        Bypasses::Everywhere => true,
        Bypasses::WhereShort => is_short(),
    }
}

/// Makes a plan.
pub fn plan(situation: Situation<'_>, request: Request) -> Plan {
    let Situation { snapshot, namespace: ns, findings, .. } = situation;
    let role = Role::of(ns);
    let sizing = Sizing::of(snapshot, ns, request.growth, request.memory_share);
    let buckets = BucketChoice::of(snapshot, ns, &sizing);
    let choice = timeouts_for(situation, request.timeouts, role, &sizing);
    let TimeoutChoice { changes: timeouts, policies, mut passed_over } = choice;
    passed_over.extend(refused(&sizing));
    passed_over.extend(limit_of_profile(request.timeouts, &sizing));

    let mut changes: Vec<Planned> = size_change(&sizing, findings).into_iter().collect();
    changes.extend(buckets.as_ref().and_then(bucket_change));
    changes.extend(timeouts.into_iter().filter_map(timeout_change));
    changes.extend(policies.into_iter().map(policy_change));
    changes.extend(others::changes(snapshot, ns, findings).into_iter().map(other_change));

    if looks_for_bypasses(snapshot, ns, request) {
        let bypasses = bypass::choose(ns, situation.bypass);
        changes.extend(bypasses.changes);
        passed_over.extend(bypasses.passed_over);
    }
    passed_over.extend(others::passed_over(ns, findings, &changes));

    for change in &mut changes {
        change.revert = within(ns, &change.edit, &change.revert);
        change.overwritten = overwritten_here(snapshot, ns, &change.edit);
    }
    let together = rehearse(situation, request, &mut changes);
    let lacking = sizing.lacking();
    changes.sort_by(|a, b| worth(b, lacking).total_cmp(&worth(a, lacking)));
    let notes = notes(situation, &changes);
    Plan {
        namespace: ns.namespace.name.clone(),
        role,
        timeouts: request.timeouts,
        sizing,
        buckets,
        changes,
        together,
        passed_over,
        notes,
    }
}

fn timeouts_for(situation: Situation<'_>, by: TimeoutsBy, role: Role, sizing: &Sizing) -> TimeoutChoice {
    let Situation { namespace: ns, findings, .. } = situation;
    match by {
        TimeoutsBy::Auto => {
            let mut choice =
                pressure(ns, sizing).map(|pressure| timeouts::auto(ns, role, pressure)).unwrap_or_default();
            if others::needs_care(ns, findings, FindingId::TimeoutRisky) {
                choice.changes.extend(timeouts::too_short(ns, role));
            }
            choice
        }
        TimeoutsBy::Profile(profile) => timeouts::of_profile(profile, ns, role),
        TimeoutsBy::Recording => {
            situation.measured.map(|measured| of_recording(measured, ns, role)).unwrap_or_default()
        }
        TimeoutsBy::Keep => TimeoutChoice::default(),
    }
}

/// Who will not leave an edit so; `None` where that could not be read. Files and programs set what is the host's: nobody who is
/// known writes in another namespace.
fn overwritten_here(snapshot: &Snapshot, ns: &NamespaceSnapshot, edit: &Edit) -> Option<Vec<Overwrite>> {
    if is_within(ns, edit) {
        return Some(Vec::new());
    }
    snapshot.lasting.as_ref().map(|lasting| overwritten(edit, &snapshot.writers, lasting))
}

fn pressure(ns: &NamespaceSnapshot, sizing: &Sizing) -> Option<Pressure> {
    let of = sizing.demands.iter().find(|of| of.namespace == ns.namespace.name)?;
    let room = sizing.capacity_now.filter(|capacity| *capacity > 0)?;
    Some(Pressure { with_growth: of.demand.with_growth, measured: of.demand.measured, room: room.into() })
}

fn refused(sizing: &Sizing) -> Option<PassedOver> {
    match &sizing.decision {
        SizeDecision::Refused { because, .. } => {
            Some(PassedOver { what: "a higher nf_conntrack_max".to_string(), because: because.clone() })
        }
        SizeDecision::NotKnown { because } => {
            Some(PassedOver { what: "another nf_conntrack_max".to_string(), because: because.clone() })
        }
        SizeDecision::Enough { .. } | SizeDecision::Raise { .. } => None,
    }
}

/// A profile's limit is one for all hosts of its kind.
fn limit_of_profile(by: TimeoutsBy, sizing: &Sizing) -> Option<PassedOver> {
    let TimeoutsBy::Profile(profile) = by else { return None };
    let (asked, then) = (profile.capacity()?, sizing.capacity_then()?);
    (then < asked).then(|| PassedOver {
        what: format!("nf_conntrack_max = {}, which the profile {profile} has", grouped(asked.into())),
        because: format!("by what was measured here {} are enough, or all that memory bears", grouped(then.into())),
    })
}

/// Rehearses each change that matters by itself, and all of them together.
fn rehearse(situation: Situation<'_>, request: Request, changes: &mut [Planned]) -> Option<Forecast> {
    let Situation { snapshot, namespace, capabilities, .. } = situation;
    let set = |edit: &Edit| match edit {
        Edit::Sysctl { sysctl, to, .. } => Some((*sysctl, *to)),
        Edit::Policy(_) | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => None,
    };
    let together: Vec<_> = changes.iter().filter_map(|change| set(&change.edit)).collect();
    let mut alone: Vec<_> = changes.iter_mut().filter(|change| matters(&change.edit, namespace)).collect();
    let mut sets: Vec<Vec<(Sysctl, u32)>> =
        alone.iter().map(|change| set(&change.edit).into_iter().collect()).collect();
    if sets.is_empty() {
        return None;
    }
    sets.push(together);
    let rehearsal = Rehearsal::of(snapshot, namespace, capabilities, request.seed)?;
    let mut forecasts = rehearsal.forecasts(&sets, request.threads).ok()?;
    let together = forecasts.pop();
    for (change, forecast) in alone.iter_mut().zip(forecasts) {
        change.forecast = Some(forecast);
    }
    together
}

/// Whether the table would be another with it, as far as can be foretold: a timeout to which nothing comes changes nothing, and
/// entries that packets keep are taken to stay, whatever their timeout.
fn matters(edit: &Edit, ns: &NamespaceSnapshot) -> bool {
    match edit {
        Edit::Sysctl { sysctl: Sysctl::CAPACITY | Sysctl::BUCKETS, .. } => true,
        Edit::Sysctl { sysctl, .. } => sysctl.timeout().is_some_and(|timeout| comes_to(timeout, ns)),
        Edit::Policy(_) | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => false,
    }
}

/// Room that a change makes, over its risk.
fn worth(change: &Planned, lacking: u64) -> f64 {
    let room = match &change.edit {
        // More room than is needed helps no more.
        Edit::Sysctl { sysctl: Sysctl::CAPACITY, .. } => lacking as f64,
        _ => change.forecast.as_ref().and_then(Forecast::fewer_in_the_end).unwrap_or(0.0),
    };
    let silent = change.silenced.map_or(0.0, |silenced| silenced.flows.low as f64);
    let untracked = change.saves.map_or(0.0, |saves| saves.entries.low as f64);
    let over = match change.risk {
        Risk::None => 1.0,
        Risk::Low => 2.0,
        Risk::Medium => 8.0,
    };
    room.max(silent).max(untracked) / over
}
