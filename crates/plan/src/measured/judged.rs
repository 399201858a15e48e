//! What values of a timeout would do to the flows of one service.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use plimsoll_recording::{FlowKey, UnixMicros};
use plimsoll_survival::{
    Ages, Band, Change, FalseKills, Flow, Gap, Judge, Observed, Resampled, Resampling, Share, Weight, resampled,
};
use serde::Serialize;

use super::silences::{PeerSide, ServiceKind, Silence};
use super::spans::Spans;

/// Samples of peers that bounds rest on.
const SAMPLES: u32 = 200;

/// A silence that is shorter than a look's distance is rarely seen.
const SHORT_SECS: f64 = 10.0;

/// Points at which the curve of survival is told.
const CURVE_POINTS: usize = 40;

/// What was measured of a service's flows under a timeout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredService {
    /// Which.
    pub service: ServiceKind,
    /// Silences that were seen.
    pub silences: usize,
    /// Flows that had them.
    pub flows: usize,
    /// Peers that had those.
    pub peers: usize,
    /// Beyond this age nothing is known.
    pub known_until_secs: f64,
    /// How many of the silences last longer: by age.
    pub survival: Vec<SurvivalPoint>,
    /// What each value would do, the gentlest first.
    pub values: Vec<ServiceValue>,
}

/// The share of silences that last longer than an age.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SurvivalPoint {
    /// The age.
    pub age_secs: f64,
    /// The share, with its bounds at 95 %.
    pub share: Band,
}

/// What a value would do to a service's flows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceValue {
    /// The value.
    pub secs: u32,
    /// False kills, by what was seen up to the split; `None` where no flow was seen that idles beyond the guard.
    pub fitted: Option<FalseKills>,
    /// The same, counted in what was seen afterwards.
    pub later: Option<FalseKills>,
    /// Entries fewer at a time: those that had been silent for longer, on the average over the recording.
    pub saved_entries: f64,
}

/// Which values are judged, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) values: &'a [u32],
    pub(crate) in_force_secs: u32,
    pub(crate) guard_secs: u32,
    pub(crate) spans: &'a Spans,
    pub(crate) split: UnixMicros,
    pub(crate) seed: u64,
}

/// Judges a service's flows. `None` where a grid of ages cannot be made of what is asked, which no caller asks.
pub(crate) fn judge(service: ServiceKind, silences: &[Silence], question: Question<'_>) -> Option<MeasuredService> {
    let side = PeerSide::of(silences);
    let exact: Vec<f64> = question
        .values
        .iter()
        .chain([&question.in_force_secs, &question.guard_secs])
        .map(|secs| f64::from(*secs))
        .collect();
    let ages = Ages::with(&exact).ok()?;
    let mut flows: BTreeMap<FlowKey, Vec<&Silence>> = BTreeMap::new();
    for silence in silences {
        flows.entry(silence.flow).or_default().push(silence);
    }
    let mut before = Observed::new(ages.clone());
    let mut after = Observed::new(ages);
    for silences in flows.values() {
        add(&mut before, side, silences, |silence| up_to(silence, question.split));
        add(&mut after, side, silences, |silence| from_on(silence, question.split));
    }
    let fitted = resampled(&before, Resampling { samples: SAMPLES, seed: question.seed });
    let judged = resampled(&after, Resampling { samples: SAMPLES, seed: question.seed ^ 1 });
    let (of_fitted, of_judged) = (Judged::new(&fitted, question), Judged::new(&judged, question));
    let values = question.values.iter().map(|secs| ServiceValue {
        secs: *secs,
        fitted: of_fitted.false_kills(*secs),
        later: of_judged.false_kills(*secs),
        saved_entries: silences.iter().map(|silence| saved(silence, *secs, question.spans)).sum(),
    });
    let values = values.collect();
    // Where nothing is known of short silences, the curve begins at the guard: of those that last so long.
    let from_secs = if fitted.survival().known_until_secs() < SHORT_SECS {
        question.values.iter().copied().chain([question.guard_secs]).min().map_or(0.0, f64::from)
    } else {
        0.0
    };
    let known_until_secs = fitted.survival().known_until_from_secs(from_secs);
    let survival = points(known_until_secs)
        .filter(|age_secs| *age_secs >= from_secs)
        .filter_map(|age_secs| {
            let share = fitted.band_given(age_secs, from_secs, Share::NINETEEN_OF_TWENTY)?;
            Some(SurvivalPoint { age_secs, share })
        })
        .collect();
    Some(MeasuredService {
        service,
        silences: silences.len(),
        flows: flows.len(),
        peers: silences.iter().map(|silence| side.peer(silence)).collect::<HashSet<_>>().len(),
        known_until_secs,
        survival,
        values,
    })
}

/// Judges values by what was seen. What is asked is on the grid: where nothing can be told, no flow idles for so long.
struct Judged<'a> {
    seen: &'a Resampled<'a>,
    question: Question<'a>,
    beyond_guard: Option<Judge<'a>>,
}

impl<'a> Judged<'a> {
    fn new(seen: &'a Resampled<'a>, question: Question<'a>) -> Self {
        Self { seen, question, beyond_guard: seen.judge(question.guard_secs.into()).ok() }
    }

    fn false_kills(&self, secs: u32) -> Option<FalseKills> {
        let change = Change { timeout_secs: secs.into(), in_force_secs: self.question.in_force_secs.into() };
        let judged = |judge: &Judge<'_>| judge.false_kills(&change, Share::NINETEEN_OF_TWENTY).ok();
        if secs < self.question.guard_secs {
            // It is told what it does to whoever idles beyond the value itself.
            return judged(&self.seen.judge(secs.into()).ok()?);
        }
        judged(self.beyond_guard.as_ref()?)
    }
}

fn add(observed: &mut Observed, side: PeerSide, silences: &[&Silence], part: impl Fn(&Silence) -> Option<Gap>) {
    let Some(first) = silences.first() else { return };
    let gaps: Vec<Gap> = silences.iter().filter_map(|silence| part(silence)).collect();
    if gaps.is_empty() {
        return;
    }
    let weight = Weight::new(first.weight).unwrap_or(Weight::ONE);
    observed.add(&Flow { weight, ..Flow::new(side.peer(first), gaps) });
}

/// What was known of a silence by a moment.
fn up_to(silence: &Silence, split: UnixMicros) -> Option<Gap> {
    let (seen_from, longer_than) = (silence.seen_from, silence.longer_than);
    if silence.began.plus(seen_from) >= split {
        return None;
    }
    let by_then = split.since(silence.began);
    match silence.at_most.filter(|at_most| *at_most <= by_then) {
        Some(at_most) => ended(seen_from, longer_than, at_most),
        None => lost(seen_from, longer_than.min(by_then)),
    }
}

/// What was seen of a silence from a moment on.
fn from_on(silence: &Silence, split: UnixMicros) -> Option<Gap> {
    let by_then = split.since(silence.began);
    let seen_from = silence.seen_from.max(by_then);
    match silence.at_most {
        Some(at_most) if at_most > by_then => ended(seen_from, silence.longer_than.max(seen_from), at_most),
        None if silence.longer_than > by_then => lost(seen_from, silence.longer_than),
        _ => None,
    }
}

fn ended(seen_from: Duration, longer_than: Duration, at_most: Duration) -> Option<Gap> {
    Gap::ended(seen_from.as_secs_f64(), longer_than.as_secs_f64(), at_most.as_secs_f64()).ok()
}

fn lost(seen_from: Duration, longer_than: Duration) -> Option<Gap> {
    Gap::lost(seen_from.as_secs_f64(), longer_than.as_secs_f64()).ok()
}

/// Entries fewer at a time, on the average over the recording: for so much of it the silence was older than the value.
fn saved(silence: &Silence, secs: u32, spans: &Spans) -> f64 {
    let lasts = spans.lasted().as_secs_f64();
    let is_over = silence.began.plus(Duration::from_secs(secs.into()));
    let held = spans.between(is_over, silence.seen_until()).as_secs_f64();
    if lasts > 0.0 { silence.weight * held / lasts } else { 0.0 }
}

/// Ages from a second to as far as is known, each as much longer than the one before it.
fn points(known_until_secs: f64) -> impl Iterator<Item = f64> {
    let step = (known_until_secs.max(1.0).ln() / CURVE_POINTS as f64).exp();
    (0..=CURVE_POINTS).map(move |number| step.powf(number as f64)).filter(move |age| *age <= known_until_secs)
}
