//! Timeouts that follow from a recording of this host's own flows.
//!
//! For each timeout and each service the distribution of silences is estimated (`plimsoll_survival`), and for each value what
//! it would kill, by what was seen in the first two thirds of the recording; and the same is counted in the last third. A
//! value passes if, for each service whose flows idle beyond the guard, its false kills are at most so many at 95 %. Values are
//! tried from the one in force downwards, and the first that does not pass ends it: so the error stays at 5 %. The shorter a
//! timeout, the more it kills, so to choose one that kills too many, the longest of those that do must have passed, by one test
//! (a fixed order of hypotheses: Maurer, Hothorn and Lehmacher 1995).

mod candidates;
mod judged;
mod planned;
mod recommended;
mod replayed;
mod silences;
mod spans;

use std::collections::BTreeMap;

use plimsoll_model::{NetworkSettings, Timeout};
use plimsoll_recording::UnixMicros;
use plimsoll_survival::{Share, flows_without_harm_for};
use serde::{Serialize, Serializer};

pub use candidates::{Guard, Rails};
pub use judged::{MeasuredService, ServiceValue, SurvivalPoint};
pub(crate) use planned::of_recording;
pub use recommended::{MeasuredPolicy, Recommended};
pub use replayed::{Compared, Replayed, recorded_setup};
pub use silences::{ServiceKind, Silences};

use self::candidates::candidates;
use self::judged::{Question, judge};
use self::silences::Silence;
use self::spans::Spans;

/// A service of which fewer silences were seen is judged together with others of its protocol.
const FEW: usize = 200;
/// No more services than these are judged by themselves.
const MOST_SERVICES: usize = 12;
/// The part of the recording by which values are fitted; the rest judges them.
const FITTED: f64 = 2.0 / 3.0;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct MeasureRequest<'a> {
    /// False kills that are borne, per flow that ever idles beyond the guard, of each service.
    pub most_false_kills: Share,
    /// Whether guard rails hold.
    pub rails: Rails,
    /// Settings of the host that the timeouts are for.
    pub settings: &'a NetworkSettings,
    /// What other samples are drawn from.
    pub seed: u64,
}

/// What a recording says of timeouts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// How long it lasted.
    pub lasted_secs: f64,
    /// Its silences.
    pub silences: usize,
    /// Only those of one flow in so many were looked at.
    pub one_in: u64,
    /// False kills that are borne.
    pub most_false_kills: f64,
    /// Whether guard rails hold.
    pub rails: Rails,
    /// How many flows of different peers, none of them harmed, it takes to say so at 95 %.
    pub flows_that_suffice: u64,
    /// Each timeout that held any.
    pub timeouts: Vec<MeasuredTimeout>,
    /// Whole sets of timeouts side by side, where the recording was replayed: the one in force first.
    pub compared: Vec<Compared>,
}

/// What a recording says of a timeout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredTimeout {
    /// Which.
    #[serde(serialize_with = "by_name")]
    pub timeout: Timeout,
    /// Its value in force at the end of the recording.
    pub in_force_secs: u32,
    /// The silence beyond which a flow counts.
    pub guard: Guard,
    /// Each service that it held.
    pub services: Vec<MeasuredService>,
    /// What each value would do to all of them, the gentlest first.
    pub values: Vec<Value>,
    /// What is recommended.
    pub recommended: Recommended,
}

/// What a value of a timeout would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// The value.
    pub secs: u32,
    /// The highest upper bound of any service; `None` where no flow idles beyond the guard.
    pub worst_upper: Option<f64>,
    /// That service.
    pub worst_service: Option<ServiceKind>,
    /// False kills per flow that idles beyond the guard, of all services together, by what was fitted; what is not known counts as
    /// harm.
    pub fitted_rate: Option<f64>,
    /// The part of that for which there is no evidence: silences whose end was not seen, beyond the ages that are known.
    pub not_known_rate: Option<f64>,
    /// The same, counted in the later part.
    pub later_rate: Option<f64>,
    /// The highest lower bound of any service, at 95 %, as counted in the later part.
    pub later_at_least: Option<f64>,
    /// Flows that idle beyond the guard.
    pub long_flows: f64,
    /// Their silences beyond it.
    pub long_gaps: f64,
    /// Entries fewer at a time.
    pub saved_entries: f64,
    /// What came of it in the twin, where it was replayed.
    pub replayed: Option<Replayed>,
}

impl Value {
    /// What was seen to be killed, without what is not known.
    pub fn seen_rate(&self) -> Option<f64> {
        Some((self.fitted_rate? - self.not_known_rate?).max(0.0))
    }
}

/// Measures what a recording says of timeouts.
pub fn measure(silences: &Silences, request: MeasureRequest<'_>) -> Measured {
    let spans = silences.spans();
    let lasted = spans.lasted();
    let split = spans.when(lasted.mul_f64(FITTED));
    let flows_that_suffice = flows_without_harm_for(request.most_false_kills);
    let of = |timeout| timeout_of(timeout, silences, request, &spans, split);
    Measured {
        lasted_secs: lasted.as_secs_f64(),
        silences: silences.count(),
        one_in: silences.one_in(),
        most_false_kills: request.most_false_kills.get(),
        rails: request.rails,
        flows_that_suffice,
        timeouts: silences.timeouts().into_iter().filter_map(of).collect(),
        compared: Vec::new(),
    }
}

fn timeout_of(
    timeout: Timeout,
    silences: &Silences,
    request: MeasureRequest<'_>,
    spans: &Spans,
    split: UnixMicros,
) -> Option<MeasuredTimeout> {
    let in_force_secs = silences.in_force_secs(timeout)?;
    let guard = Guard::of(timeout, request.settings, silences.role());
    let secs = candidates(timeout, in_force_secs, &guard, request.rails);
    let question = Question { values: &secs, in_force_secs, guard_secs: guard.secs, spans, split, seed: request.seed };
    let services: Vec<_> = grouped(silences, timeout)
        .iter()
        .filter_map(|(service, silences)| judge(*service, silences, question))
        .collect();
    let values: Vec<_> = secs.iter().enumerate().map(|(place, secs)| value(*secs, place, &services)).collect();
    let recommended = recommended::recommend(timeout, in_force_secs, &guard, &values, &services, request);
    Some(MeasuredTimeout { timeout, in_force_secs, guard, services, values, recommended })
}

/// The silences of each service of which there is much; the others together, by protocol.
fn grouped(silences: &Silences, timeout: Timeout) -> Vec<(ServiceKind, Vec<Silence>)> {
    let mut all: Vec<_> = silences.held_by(timeout).collect();
    all.sort_by_key(|(_, silences)| std::cmp::Reverse(silences.len()));
    let mut groups: BTreeMap<ServiceKind, Vec<Silence>> = BTreeMap::new();
    for (place, (service, silences)) in all.into_iter().enumerate() {
        let group = match service {
            ServiceKind::Port(protocol, _) if place >= MOST_SERVICES || silences.len() < FEW => {
                ServiceKind::Others(protocol)
            }
            service => service,
        };
        groups.entry(group).or_default().extend_from_slice(silences);
    }
    groups.into_iter().collect()
}

fn value(secs: u32, place: usize, services: &[MeasuredService]) -> Value {
    let of_all = || services.iter().filter_map(|service| Some((service.service, service.values.get(place)?)));
    let fitted = || of_all().filter_map(|(service, value)| Some((service, value.fitted.as_ref()?)));
    // A service of which nothing was seen to idle for long before the split, and then was: nothing is known of it.
    let unfitted = of_all().find(|(_, value)| value.fitted.is_none() && value.later.is_some());
    let worst = match unfitted {
        Some((service, _)) => Some((service, 1.0)),
        None => {
            fitted().map(|(service, kills)| (service, kills.upper)).max_by(|(_, one), (_, other)| one.total_cmp(other))
        }
    };
    let rate = |kills: &mut dyn Iterator<Item = (f64, f64)>| {
        let (killed, flows) = kills.fold((0.0, 0.0), |(killed, flows), (rate, of)| (killed + rate * of, flows + of));
        (flows > 0.0).then(|| killed / flows)
    };
    let later = of_all().filter_map(|(_, value)| value.later.as_ref());
    Value {
        secs,
        worst_upper: worst.map(|(_, upper)| upper),
        worst_service: worst.map(|(service, _)| service),
        fitted_rate: rate(&mut fitted().map(|(_, kills)| (kills.rate.value, kills.long_flows))),
        not_known_rate: rate(&mut fitted().map(|(_, kills)| (kills.not_known, kills.long_flows))),
        later_rate: rate(&mut later.map(|kills| (kills.rate.value, kills.long_flows))),
        later_at_least: of_all().filter_map(|(_, value)| Some(value.later.as_ref()?.rate.low)).max_by(f64::total_cmp),
        long_flows: fitted().map(|(_, kills)| kills.long_flows).sum(),
        long_gaps: fitted().map(|(_, kills)| kills.long_gaps).sum(),
        saved_entries: of_all().map(|(_, value)| value.saved_entries).sum(),
        replayed: None,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
fn by_name<S: Serializer>(timeout: &Timeout, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(timeout.sysctl().unwrap_or("none"))
}
