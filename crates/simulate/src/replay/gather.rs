//! Reading lives and gaps, and forgetting what will not be played.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_model::{Protocol, TcpState, Timeout, Timeouts};
use plimsoll_recording::{FlowKey, GapEnd, IdleGap, Life, State, TableReading, UnixMicros};

use crate::replay::pattern::Armed;
use crate::replay::{NotPlayed, ReplayOptions};

/// Zones tell copies of a flow apart, and there are no more.
const ZONES: u64 = 1 << 16;

/// The lives that are played.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) lives: Vec<(Life, u64)>,
    pub(super) zones: BTreeSet<u16>,
    pub(super) stands_for: f64,
    pub(super) not_played: NotPlayed,
    most_flows: u64,
    seed: u64,
    flows: u64,
}

/// The time that is played.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) begin: UnixMicros,
    pub(super) end: UnixMicros,
    /// What the kernel counted, as far as it was read.
    pub(super) counted: Vec<(UnixMicros, u32)>,
}

/// A gap of a life that is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) life: u32,
    /// Microseconds since the begin; before it where less than 0.
    pub(super) began: i64,
    /// Until its next packet, if one came.
    pub(super) lasts: Option<Duration>,
    pub(super) longer_than: Duration,
    pub(super) end: GapEnd,
    /// The timeout of the state.
    pub(super) held_by: Option<Timeout>,
    pub(super) armed: Armed,
    pub(super) weight: f64,
}

/// Takes lives, as many as are to be played.
pub(super) fn lives(lives: impl IntoIterator<Item = Life>, options: &ReplayOptions) -> Gathered {
    let mut gathered = Gathered {
        lives: Vec::new(),
        zones: BTreeSet::new(),
        stands_for: 1.0,
        not_played: NotPlayed::default(),
        most_flows: options.most_flows.max(1),
        seed: options.seed,
        flows: 0,
    };
    lives.into_iter().for_each(|life| gathered.take(life));
    let most = ZONES / u64::try_from(gathered.zones.len()).unwrap_or(ZONES).max(1);
    while gathered.lives.iter().any(|(_, copies)| *copies > most) {
        gathered.thin_out();
    }
    gathered
}

impl Gathered {
    fn take(&mut self, life: Life) {
        if !is_playable(&life) {
            self.not_played.flows += if life.weight.is_finite() { life.weight.max(0.0) } else { 0.0 };
            return;
        }
        let copies = self.copies(&life);
        if copies == 0 {
            return;
        }
        self.zones.insert(life.zone.0);
        self.flows = self.flows.saturating_add(copies);
        self.lives.push((life, copies));
        while self.flows > self.most_flows {
            self.thin_out();
        }
    }

    /// As many as a life stands for, over as many as each that is played does; the fraction is drawn by its key, so that a life
    /// that was left out would never have come back.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "finite and no less than 0; as many as can be"
    )]
    fn copies(&self, life: &Life) -> u64 {
        (life.weight / self.stands_for + draw_for(self.seed, life.key).fraction()) as u64
    }

    fn thin_out(&mut self) {
        self.stands_for *= 2.0;
        let lives = std::mem::take(&mut self.lives);
        self.lives = lives
            .into_iter()
            .filter_map(|(life, _)| {
                let copies = self.copies(&life);
                (copies > 0).then_some((life, copies))
            })
            .collect();
        self.flows = self.lives.iter().map(|(_, copies)| *copies).sum();
    }

    /// From the first that is known of to the last.
    pub(super) fn span(&self, readings: impl IntoIterator<Item = TableReading>) -> Option<Span> {
        let first = self.lives.iter().map(|(life, _)| life.began.first_seen()).min()?;
        let last = self.lives.iter().map(|(life, _)| life.ended_at).max()?;
        let mut span = Span { begin: first, end: last, counted: Vec::new() };
        for reading in readings {
            span.begin = span.begin.min(reading.at);
            span.end = span.end.max(reading.at);
            span.counted.extend(reading.occupancy.map(|occupancy| (reading.at, occupancy.0)));
        }
        Some(span)
    }
}

/// Takes the gaps of these lives, each life's in order.
pub(super) fn gaps(
    gaps: impl IntoIterator<Item = IdleGap>,
    gathered: &mut Gathered,
    begin: UnixMicros,
    in_force: &Timeouts,
) -> Vec<Gap> {
    let by_key: HashMap<FlowKey, u32> =
        (0..).zip(&gathered.lives).map(|(number, (life, _))| (life.key, number)).collect();
    let mut kept = Vec::new();
    // Of a silence that goes on the rest is told by another row, or by nobody: then the flow is not in a row either.
    for gap in gaps.into_iter().filter(|gap| gap.end != GapEnd::GoesOn) {
        let Some(life) = by_key.get(&gap.key) else {
            // Those that are left out would be among them.
            gathered.not_played.stray_gaps += u64::from(gathered.stands_for <= 1.0);
            continue;
        };
        kept.push(Gap {
            life: *life,
            began: gap.began_at.0.saturating_sub(begin.0),
            lasts: lasts(&gap),
            longer_than: gap.longer_than,
            end: gap.end,
            held_by: Some(gap.held_by),
            armed: armed(&gap, in_force),
            weight: if gap.weight.is_finite() { gap.weight.max(0.0) } else { 0.0 },
        });
    }
    kept.sort_by_key(|gap| (gap.life, gap.began));
    kept
}

/// How long a gap lasted at most: its entry was still there when the packet came.
fn lasts(gap: &IdleGap) -> Option<Duration> {
    const A_FEW_TICKS: Duration = Duration::from_millis(20);
    let armed = Duration::from_secs(gap.armed_secs.into()).saturating_sub(A_FEW_TICKS);
    let most = gap.at_most.filter(|_| gap.end == GapEnd::Packet)?;
    Some(most.min(armed).max(gap.longer_than))
}

/// What is drawn for a flow.
pub(super) fn draw_for(seed: u64, key: FlowKey) -> Draw {
    let mut own = Draw::new(key.0);
    Draw::new(seed ^ own.next())
}

/// Whether packets can lead to the flow's first state.
fn is_playable(life: &Life) -> bool {
    let protocol = life.original.protocol;
    let is_known = life.steps.iter().any(|step| is_known(step.state, protocol));
    is_known && life.weight.is_finite() && life.weight > 0.0
}

/// Whether packets can lead to a state: SCTP's would have chunks, and DCCP has no tracker any more.
pub(super) const fn is_known(state: State, protocol: Protocol) -> bool {
    match state {
        State::Tcp(TcpState::None) | State::Sctp(_) | State::Unknown => false,
        State::Tcp(_) => matches!(protocol, Protocol::TCP),
        State::Unreplied | State::Replied | State::Assured => {
            !matches!(protocol, Protocol::TCP | Protocol::SCTP | Protocol::DCCP)
        }
    }
}

/// The timeout in force while it was recorded.
pub(super) fn in_force_secs(in_force: &Timeouts, timeout: Timeout) -> Option<u32> {
    in_force.get_secs(timeout).or(timeout.compiled_default_secs())
}

/// By what an entry was held. Both caps of TCP are 300 s: which of them it was is not known, and data that nobody has
/// acknowledged are taken for the cause.
fn armed(gap: &IdleGap, in_force: &Timeouts) -> Armed {
    const TO_A_SECOND_OR_TWO: u32 = 2;
    let is = |timeout| {
        in_force_secs(in_force, timeout).is_some_and(|secs| secs.abs_diff(gap.armed_secs) <= TO_A_SECOND_OR_TWO)
    };
    let can_be_capped = matches!(gap.held_by, Timeout::Tcp(TcpState::Established)) && !is(gap.held_by);
    if can_be_capped && (is(Timeout::TcpUnacknowledged) || is(Timeout::TcpMaxRetrans)) {
        Armed::Unacknowledged
    } else {
        Armed::Own
    }
}
