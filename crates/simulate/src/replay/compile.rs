//! Lives, made into what is to be done and when.

use std::collections::HashMap;
use std::time::Duration;

use plimsoll_model::{Layer4, Status, Tuple};
use plimsoll_recording::{GapEnd, Life, Sight};

use crate::replay::donors::Donors;
use crate::replay::gather::{Gap, Gathered, Span};
use crate::replay::lending::Wanted;
use crate::replay::pattern::{Pattern, Silence};
use crate::replay::stays::{Course, Last, Start, Stay, course, is_kept};
use crate::replay::timeline::{Does, Mark, Meanwhile, Played};
use crate::replay::{Called, Replay, ReplayOptions};

/// No silence shorter than the interval of looks is seen, so that nothing is known of a shorter stay.
const SHORT: Duration = Duration::from_secs(10);
/// Copies are not spread further.
const MOST_SPREAD: Duration = Duration::from_secs(10);
/// A gap's begin is known to about a second, and so is its place among states.
const ABOUT: i64 = 3_000_000;

pub(super) fn compile(gathered: &Gathered, gaps: &[Gap], span: &Span, options: &ReplayOptions) -> Replay {
    let zone_numbers: HashMap<u16, usize> = gathered.zones.iter().copied().zip(0..).collect();
    let per_zone = (1 << 16) / gathered.zones.len().max(1);
    let mut replay = Replay {
        lives: Vec::with_capacity(gathered.lives.len()),
        marks: Vec::new(),
        patterns: Vec::new(),
        silences: Vec::new(),
        called: Vec::new(),
        in_force: options.in_force.clone(),
        seed: options.seed,
        lasts: span.end.since(span.begin),
        stands_for: gathered.stands_for,
        not_played: gathered.not_played,
        counted: span.counted.iter().map(|(at, occupancy)| (at.since(span.begin), *occupancy)).collect(),
    };
    let flows: u64 = gathered.lives.iter().map(|(_, copies)| *copies).sum();
    let mut compiler =
        Compiler { replay: &mut replay, called: HashMap::new(), donors: Donors::default(), wanted: vec![] };
    let mut rest = gaps;
    for (number, (life, copies)) in (0..).zip(&gathered.lives) {
        let (own, others) = rest.split_at(rest.partition_point(|gap| gap.life <= number));
        rest = others;
        let zone = zone_numbers.get(&life.zone.0).copied().unwrap_or(0) * per_zone;
        let share = *copies as f64 / flows.max(1) as f64;
        let spread = compiler.replay.lasts.mul_f64(share).min(MOST_SPREAD);
        let Some((course, unknown)) = course(life, own, span, &options.in_force) else { continue };
        compiler.replay.not_played.states += unknown as f64 * *copies as f64 * gathered.stands_for;
        compiler.take(life, u32::try_from(*copies).unwrap_or(u32::MAX), &course, own);
        if let Some(played) = compiler.replay.lives.last_mut() {
            played.zone = u16::try_from(zone).unwrap_or(0);
            played.spread = spread;
        }
    }
    compiler.lend();
    replay.lives.sort_by_key(|life| (life.starts, !matches!(life.start, Start::Stands { .. })));
    replay
}

pub(super) struct Compiler<'a> {
    pub(super) replay: &'a mut Replay,
    called: HashMap<Called, u32>,
    pub(super) donors: Donors,
    pub(super) wanted: Vec<Wanted>,
}

impl Compiler<'_> {
    fn take(&mut self, life: &Life, copies: u32, course: &Course, gaps: &[Gap]) {
        let Some(first) = course.stays.first() else { return };
        let number = self.replay.lives.len();
        let first_mark = self.replay.marks.len();
        let called = called(&life.original);
        let called_number = self.number_of(called);
        self.replay.lives.push(Played {
            key: life.key,
            original: life.original,
            reply: life.reply,
            zone: 0,
            copies,
            spread: Duration::ZERO,
            called: called_number,
            starts: first.at,
            start: course.start,
            first: first.state,
            then: Meanwhile::Silent,
            is_assured: life.status.has(Status::ASSURED),
            first_mark: u32::try_from(first_mark).unwrap_or(u32::MAX),
            marks: 0,
            longest_silence: longest(gaps),
        });
        let is_looked_at = !gaps.is_empty() || life.sight == Sight::Looks;
        let mut rest = gaps;
        for (place, stay) in course.stays.iter().enumerate() {
            let next = course.stays.get(place + 1);
            let own = self.split(&mut rest, stay, next, life);
            let mark = place.checked_sub(1).map(|place| first_mark + place);
            let lasts = stay.until.saturating_sub(stay.at);
            let has_ended = next.is_none() && course.last == Last::Nothing && lasts.is_zero();
            let then = if !is_kept(stay.state, life.original.protocol) || (has_ended && own.is_none()) {
                Meanwhile::Silent
            } else {
                let weight = f64::from(copies) * self.replay.stands_for;
                if lasts >= SHORT {
                    self.donors.count(called, stay.state, lasts, weight);
                }
                match own {
                    Some((pattern, of_each)) => {
                        if lasts >= SHORT {
                            let weight = weight * of_each / life.weight;
                            self.donors.lend(called, stay.state, lasts, weight, pattern);
                        }
                        self.add(pattern)
                    }
                    None if is_looked_at || lasts < SHORT => Meanwhile::Busy,
                    None => {
                        self.wanted.push(Wanted { life: number, mark, stay: *stay });
                        Meanwhile::Silent
                    }
                }
            };
            match mark {
                None => self.set(number, None, then),
                Some(_) => {
                    self.replay.marks.push(Mark { at: stay.at, does: Does::Comes(stay.state), then });
                }
            }
        }
        self.finish(course);
        let marks = self.replay.marks.len() - first_mark;
        if let Some(played) = self.replay.lives.last_mut() {
            played.marks = u32::try_from(marks).unwrap_or(0);
        }
    }

    fn finish(&mut self, course: &Course) {
        let Some(stay) = course.stays.last() else { return };
        let does = match course.last {
            Last::Nothing => return,
            Last::Packet(armed) => Does::Rests(armed),
            Last::Silence => Does::Ends,
            Last::Reset => Does::Resets,
            Last::Leaves => Does::Leaves,
        };
        self.replay.marks.push(Mark { at: stay.until, does, then: Meanwhile::Silent });
    }

    /// The silences of a stay, and how many each stands for.
    fn split(&mut self, rest: &mut &[Gap], stay: &Stay, next: Option<&Stay>, life: &Life) -> Option<(Pattern, f64)> {
        let protocol = life.original.protocol;
        let first = self.replay.silences.len();
        let [at, until] = [stay.at, stay.until].map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        let mut weight = 0.0;
        while let [gap, others @ ..] = rest {
            let is_next = next.is_some_and(|next| {
                gap.began >= until
                    || (gap.began + ABOUT >= until
                        && gap.held_by != stay.state.held_by(protocol)
                        && gap.held_by == next.state.held_by(protocol))
            });
            if is_next {
                break;
            }
            *rest = others;
            if gap.held_by != stay.state.held_by(protocol) {
                self.replay.not_played.stray_gaps += 1;
                continue;
            }
            let from = gap.began.max(at);
            let lasts = gap.lasts.map(|lasts| lasts.saturating_sub(Duration::from_micros(from.abs_diff(gap.began))));
            if lasts.is_some_and(|lasts| lasts.is_zero()) {
                continue;
            }
            weight += gap.weight;
            self.replay.silences.push(Silence::new(Duration::from_micros(from.abs_diff(at)), lasts, gap.armed));
        }
        let count = self.replay.silences.len() - first;
        if count == 0 {
            return None;
        }
        if !is_kept(stay.state, protocol) {
            // The states tell when packets came.
            self.replay.silences.truncate(first);
            return None;
        }
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let pattern = Pattern {
            first: number(first),
            count: number(count),
            factor: 1.0,
            repeats: Duration::MAX,
            longest: Duration::MAX,
        };
        Some((pattern, weight / count as f64))
    }

    pub(super) fn add(&mut self, pattern: Pattern) -> Meanwhile {
        self.replay.patterns.push(pattern);
        Meanwhile::Like(u32::try_from(self.replay.patterns.len() - 1).unwrap_or(u32::MAX))
    }

    pub(super) fn set(&mut self, life: usize, mark: Option<usize>, then: Meanwhile) {
        match mark {
            None => {
                if let Some(life) = self.replay.lives.get_mut(life) {
                    life.then = then;
                }
            }
            Some(mark) => {
                if let Some(mark) = self.replay.marks.get_mut(mark) {
                    mark.then = then;
                }
            }
        }
    }

    fn number_of(&mut self, called: Called) -> u32 {
        let next = u32::try_from(self.called.len()).unwrap_or(u32::MAX);
        *self.called.entry(called).or_insert_with(|| {
            self.replay.called.push(called);
            next
        })
    }
}

/// The longest silence that was not one for good.
fn longest(gaps: &[Gap]) -> Duration {
    let silences = gaps.iter().filter(|gap| gap.end != GapEnd::Expired);
    silences.map(|gap| gap.lasts.unwrap_or(gap.longer_than)).max().unwrap_or_default()
}

pub(super) fn called(original: &Tuple) -> Called {
    let port = match original.layer4 {
        Layer4::Ports { destination, .. } => Some(destination),
        Layer4::Icmp { .. } | Layer4::None => None,
    };
    Called { protocol: original.protocol, port }
}
