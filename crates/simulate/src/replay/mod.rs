//! A recording, made ready to be played to a twin under any settings.

mod compile;
mod donors;
mod enlarged;
mod flow;
mod gather;
mod lending;
mod packets;
mod pattern;
mod play;
mod rules;
mod stays;
mod timeline;

use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Protocol, Timeouts};
use plimsoll_recording::{IdleGap, Life, TableReading};

use crate::Setup;
use crate::replay::pattern::{Pattern, Silence};
use crate::replay::timeline::{Mark, Played};

pub(crate) use play::play;

/// The flows of a recording, with the packets that are known of them or taken to have been.
///
/// It does not change: all runs of a sweep share it, and with it every random number.
#[derive(Debug)]
pub struct Replay {
    /// In the order in which they come.
    lives: Vec<Played>,
    marks: Vec<Mark>,
    patterns: Vec<Pattern>,
    silences: Vec<Silence>,
    called: Vec<Called>,
    in_force: Timeouts,
    seed: u64,
    lasts: Duration,
    stands_for: f64,
    not_played: NotPlayed,
    /// What the kernel counted, as far as it was read.
    counted: Vec<(Duration, u32)>,
}

/// How a recording is made ready.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// What is drawn follows from it.
    pub seed: u64,
    /// So many flows are played at most: where there are more, each that is played stands for several.
    pub most_flows: u64,
    /// The timeouts that were in force while it was recorded; those that are not there are taken to be the compiled ones.
    pub in_force: Timeouts,
}

/// Why a recording is not played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayed {
    /// There is no flow in it.
    #[error("the recording holds no flow that can be played")]
    NoFlows,
}

/// What flows call: a protocol's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Called {
    /// The protocol.
    pub protocol: Protocol,
    /// The port; `None` for protocols without ports.
    pub port: Option<u16>,
}

/// What of a recording is not played, or not as it was: flows are weighted, each as many as it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NotPlayed {
    /// Flows that are left out: of protocols whose states no packets of ours lead to, of unknown states, or of no weight.
    pub flows: f64,
    /// States that no packet leads to from the one before, or that are unknown: left out, and the flow goes on with the next.
    pub states: f64,
    /// Gaps of flows that are not in the recording; not counted where not all flows are played.
    pub stray_gaps: u64,
    /// Flows of which no silence is known, nor of any like them, over a time in which they may have been silent: they are played
    /// as silent for as long as the timeouts that were in force allow.
    pub flows_taken_as_silent: f64,
}

impl Replay {
    /// Makes a recording ready. Of its lives, those that are not among `most_flows` are forgotten as they come, so that the
    /// recording may be larger than memory; lives are read before gaps.
    pub fn of(
        lives: impl IntoIterator<Item = Life>,
        gaps: impl IntoIterator<Item = IdleGap>,
        readings: impl IntoIterator<Item = TableReading>,
        options: &ReplayOptions,
    ) -> Result<Self, NotReplayed> {
        let mut gathered = gather::lives(lives, options);
        let span = gathered.span(readings).ok_or(NotReplayed::NoFlows)?;
        let gaps = gather::gaps(gaps, &mut gathered, span.begin, &options.in_force);
        Ok(compile::compile(&gathered, &gaps, &span, options))
    }

    /// Only its beginning: what comes later is forgotten. What [`Replay::not_played`] and [`Replay::silent_for_longer_than`] tell
    /// of flows is of their whole lives still.
    #[must_use]
    pub fn lasting(mut self, most: Duration) -> Self {
        if most < self.lasts {
            self.lasts = most;
            self.lives.truncate(self.lives.partition_point(|life| life.starts <= most));
        }
        self
    }

    /// How many flows of the recording one that is played stands for, beside its copies: 1, or a power of two. The limit and
    /// the buckets of a setup are made smaller by as much; counts of entries, flows and kills, and memory, are to be made larger
    /// by as much ([`Replay::enlarge`]).
    pub const fn stands_for(&self) -> f64 {
        self.stands_for
    }

    /// Flows that are played, those that stand at the begin among them.
    pub fn flows(&self) -> u64 {
        self.lives.iter().map(|life| u64::from(life.copies)).sum()
    }

    /// How long it lasts.
    pub const fn lasts(&self) -> Duration {
        self.lasts
    }

    /// What flows call, in the order of [`Outcome::called`](crate::Outcome::called).
    pub fn called(&self) -> &[Called] {
        &self.called
    }

    /// How many of the flows that are played were silent for longer than this, and not for good: for each of
    /// [`Replay::called`]. A silence that the end of the recording cut off counts for what was seen of it; one in which the flow's
    /// entry expired does not.
    pub fn silent_for_longer_than(&self, guard_rail: Duration) -> Vec<u64> {
        let mut flows = vec![0; self.called.len()];
        for life in self.lives.iter().filter(|life| life.longest_silence > guard_rail) {
            if let Some(count) = flows.get_mut(life.called as usize) {
                *count += u64::from(life.copies);
            }
        }
        flows
    }

    /// What is not played, or not as it was.
    pub const fn not_played(&self) -> &NotPlayed {
        &self.not_played
    }

    /// The average of what the kernel counted while what is played was recorded; `None` where it was not read.
    pub fn recorded_mean_occupancy(&self) -> Option<f64> {
        let (mut area, mut secs) = (0.0, 0.0);
        let played = self.counted.iter().take_while(|(at, _)| *at <= self.lasts);
        for ((from, before), (until, after)) in played.clone().zip(played.skip(1)) {
            let lasts = until.saturating_sub(*from).as_secs_f64();
            area += lasts * (f64::from(*before) + f64::from(*after)) / 2.0;
            secs += lasts;
        }
        (secs > 0.0).then(|| area / secs)
    }

    /// The same world, smaller: shares, chains and what `early_drop` finds are the same.
    pub(crate) fn small(&self, setup: &Setup) -> Setup {
        let mut small = setup.clone();
        small.host.capacity = Capacity(setup.host.capacity.limit().map_or(0, |limit| self.divided(limit)));
        small.host.buckets = Buckets(self.divided(setup.host.buckets.0));
        small
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no more than the u32 that it was")]
    fn divided(&self, number: u32) -> u32 {
        ((f64::from(number) / self.stands_for).round() as u32).max(1)
    }
}
