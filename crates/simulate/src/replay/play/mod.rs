//! A replay, played to a twin.

mod send;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::{NewEntry, Status, TcpState, Timeout, Timeouts, Zone};
use plimsoll_recording::State;
use plimsoll_scenario::Side;
use plimsoll_twin::packet::{Content, flags};
use plimsoll_twin::{Settings, Verdict};

use crate::outcome::{Completeness, FlowsOf, Outcome};
use crate::replay::Replay;
use crate::replay::flow::{Flow, Next};
use crate::replay::gather::draw_for;
use crate::replay::packets::Sent;
use crate::replay::pattern::Armed;
use crate::replay::stays::Start;
use crate::replay::timeline::{Does, Played};
use crate::simulation::Simulation;
use crate::watch::Watch;
use crate::{FalseKills, Progress, Setup};

use self::send::{breaks_silence, speaks};

pub(crate) fn play(replay: &Replay, setup: &Setup, observer: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Outcome {
    let small = replay.small(setup);
    let translates = replay.lives.iter().any(|life| life.translates_source() || life.translates_destination());
    let settings = Settings { translates, ..small.settings.clone() };
    let simulation = Simulation::new(&small, settings, Some(replay.lasts), observer);
    let called = replay.called.iter();
    let called =
        called.map(|called| FlowsOf { called: *called, flows: 0, false_kills: FalseKills::default() }).collect();
    let mut player = Player {
        replay,
        simulation,
        timeouts: &small.settings.timeouts,
        called,
        flows: Vec::new(),
        free: Vec::new(),
        due: BinaryHeap::new(),
    };
    let (lasted, completeness) = match player.play() {
        ControlFlow::Continue(()) => (replay.lasts, Completeness::Whole),
        ControlFlow::Break(at) => (at, Completeness::StoppedAt(at)),
    };
    Outcome { called: player.called, ..player.simulation.finish(lasted, completeness) }
}

struct Player<'a, 'o> {
    replay: &'a Replay,
    simulation: Simulation<'o>,
    timeouts: &'a Timeouts,
    called: Vec<FlowsOf>,
    flows: Vec<Flow>,
    /// Places in `flows` that are free.
    free: Vec<u32>,
    due: BinaryHeap<Reverse<(Duration, u32)>>,
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrived.
    Arrived,
    /// It did not.
    Lost,
    /// It did not, or somebody else got it, and the connection is over.
    Broken,
}

impl Player<'_, '_> {
    fn play(&mut self) -> ControlFlow<Duration> {
        let replay = self.replay;
        let lives = &replay.lives;
        let stands = |life: &Played| life.starts.is_zero() && matches!(life.start, Start::Stands { .. });
        let standing = lives.partition_point(stands);
        for number in 0..standing {
            self.admit(number);
        }
        // What stands is there before time begins.
        while let Some(Reverse((Duration::ZERO, place))) = self.due.peek().copied() {
            self.due.pop();
            self.act(Duration::ZERO, place);
            self.simulation.tell_of_standing().map_break(|()| Duration::ZERO)?;
        }
        let mut next = standing;
        loop {
            let soonest = self.due.peek().map(|Reverse((at, _))| *at);
            if let Some(life) = lives.get(next).filter(|life| soonest.is_none_or(|at| life.starts <= at)) {
                if life.starts > self.replay.lasts {
                    break;
                }
                self.admit(next);
                next += 1;
                continue;
            }
            let Some(Reverse((at, place))) = self.due.pop() else { break };
            self.simulation.until(at)?;
            self.act(at, place);
        }
        self.simulation.until(self.replay.lasts)
    }

    /// Lets the copies of a life come.
    fn admit(&mut self, number: usize) {
        let Some(played) = self.replay.lives.get(number) else { return };
        let mut draw = draw_for(self.replay.seed, played.key);
        for copy in 0..played.copies {
            let sent = Sent::from_number(u32::try_from(draw.next() >> 32).unwrap_or(0));
            let spread = if copy == 0 { Duration::ZERO } else { played.spread.mul_f64(draw.fraction()) };
            let (comes, shift) = match played.start {
                Start::Opens | Start::PickedUp => (played.starts + spread, spread),
                // It stands from then on, only for less long: by whole seconds, and by what is more than whole seconds, for
                // entries are armed to the second.
                Start::Stands { age, .. } => {
                    let whole = Duration::from_secs(spread.as_secs().min(age.as_secs()));
                    (played.starts, whole + Duration::from_nanos(age.subsec_nanos().into()))
                }
            };
            if comes > self.replay.lasts {
                continue;
            }
            let zone = Zone(played.zone.wrapping_add(u16::try_from(copy).unwrap_or(u16::MAX)));
            let flow = Flow::new(u32::try_from(number).unwrap_or(u32::MAX), played, zone, shift, sent);
            let place = self.free.pop().unwrap_or_else(|| {
                self.flows.push(flow);
                u32::try_from(self.flows.len() - 1).unwrap_or(u32::MAX)
            });
            self.flows[place as usize] = flow;
            self.due.push(Reverse((comes, place)));
        }
    }

    /// A flow does what is due, and is gone if it does nothing any more.
    fn act(&mut self, at: Duration, place: u32) {
        let mut flow = self.flows[place as usize];
        let Some(played) = self.replay.lives.get(flow.life as usize) else { return };
        let goes_on = match flow.next {
            Next::Starts => self.start(at, &mut flow, played),
            Next::Mark => self.pass_mark(at, &mut flow, played),
            Next::Talks => {
                let first = speaks(&flow);
                self.talk(at, &mut flow, played, first, Armed::Own)
            }
            Next::Falls(armed) => {
                let first = speaks(&flow);
                let fate = self.talk(at, &mut flow, played, first, armed);
                flow.falls(self.replay);
                fate
            }
            Next::Speaks => {
                let first = breaks_silence(&flow, played);
                let fate = self.talk(at, &mut flow, played, first, Armed::Own);
                flow.speaks();
                fate
            }
        };
        let counted_from = if flow.next == Next::Starts { at.max(played.starts + flow.shift) } else { at };
        let pause = self.pause(&flow, played);
        let next = (goes_on != Fate::Broken).then(|| flow.plan(self.replay, counted_from, pause)).flatten();
        self.flows[place as usize] = flow;
        match next {
            Some(next) => self.due.push(Reverse((next, place))),
            None => self.free.push(place),
        }
    }

    fn start(&mut self, at: Duration, flow: &mut Flow, played: &Played) -> Fate {
        self.simulation.flows += 1;
        if let Some(called) = self.called.get_mut(played.called as usize) {
            called.flows += 1;
        }
        let fate = match played.start {
            Start::Stands { age, armed } => {
                let fate = self.stand(at, flow, played, age.saturating_sub(flow.shift), armed);
                flow.stands(self.replay, at + flow.shift, played.then);
                return fate;
            }
            Start::PickedUp => {
                let content = flow.sent.segment(Side::Client, flags::ACK, 1);
                self.open(at, flow, played, content)
            }
            Start::Opens => match played.first {
                State::Tcp(first) => {
                    let content = flow.sent.segment(Side::Client, flags::SYN, 0);
                    match self.open(at, flow, played, content) {
                        Fate::Arrived => self.lead(at, flow, played, TcpState::SynSent, first),
                        fate => fate,
                    }
                }
                _ => match self.open(at, flow, played, Content::Plain) {
                    Fate::Arrived => self.lead_plain(at, flow, played, State::Unreplied, played.first),
                    fate => fate,
                },
            },
        };
        flow.stays(at, played.then);
        fate
    }

    /// An entry that stands with what is left of its timeout; where nothing is left it is gone, and missed by its next packet.
    fn stand(&mut self, at: Duration, flow: &mut Flow, played: &Played, age: Duration, armed: Armed) -> Fate {
        let own = played.first.held_by(played.original.protocol).map_or(0, |timeout| self.secs(timeout));
        let secs = match armed {
            Armed::Own => own,
            Armed::Unacknowledged => own.min(self.secs(Timeout::TcpUnacknowledged)),
        };
        let left = u64::from(secs).saturating_sub(age.as_secs());
        flow.watch = Watch::standing(played.first, None);
        if left == 0 {
            return Fate::Arrived;
        }
        let (status, tcp_state) = match played.first {
            State::Tcp(TcpState::SynSent | TcpState::SynSent2) | State::Unreplied => (Status::default(), played.first),
            State::Tcp(TcpState::SynRecv) | State::Replied => (Status::SEEN_REPLY, played.first),
            State::Tcp(_) if !played.is_assured => (Status::SEEN_REPLY, played.first),
            other => (Status::SEEN_REPLY.and(Status::ASSURED), other),
        };
        let new = NewEntry {
            original: played.original,
            reply: played.reply,
            zone: flow.zone,
            status,
            tcp_state: if let State::Tcp(state) = tcp_state { Some(state) } else { None },
            timeout_secs: u32::try_from(left).unwrap_or(u32::MAX),
        };
        match self.simulation.stand_from(at, &new) {
            Some(entry) => {
                flow.watch = Watch::standing(played.first, Some(entry));
                Fate::Arrived
            }
            // As with a flow that is refused: nothing is heard of it.
            None => Fate::Broken,
        }
    }

    fn open(&mut self, at: Duration, flow: &mut Flow, played: &Played, content: Content<'_>) -> Fate {
        let asked = self.simulation.ask(flow.zone, &played.original);
        let mut rules = self.rules(at, flow, played, Side::Client);
        let verdict = self.simulation.pass(at, &asked, &content, &mut rules);
        if matches!(verdict, Verdict::Dropped(_)) {
            self.simulation.refused_flows += 1;
            return Fate::Broken;
        }
        flow.watch.note(&content, Side::Client, &verdict);
        self.look_at_reply(at, flow, &verdict);
        Fate::Arrived
    }

    fn pass_mark(&mut self, at: Duration, flow: &mut Flow, played: &Played) -> Fate {
        let Some(mark) = flow.take_mark(self.replay) else { return Fate::Broken };
        let fate = match mark.does {
            Does::Comes(to) => {
                let from = std::mem::replace(&mut flow.state, to);
                match (from, to) {
                    (State::Tcp(from), State::Tcp(to)) => self.lead(at, flow, played, from, to),
                    _ => self.lead_plain(at, flow, played, from, to),
                }
            }
            Does::Rests(armed) => self.talk(at, flow, played, speaks(flow), armed),
            Does::Ends => Fate::Broken,
            Does::Resets => {
                let content = flow.sent.segment(Side::Server, flags::RST | flags::ACK, 0);
                self.send(at, flow, played, Side::Server, content);
                Fate::Broken
            }
            Does::Leaves => {
                if let Some(entry) = flow.watch.entry {
                    self.simulation.twin.delete(entry);
                }
                Fate::Broken
            }
        };
        flow.stays(at, mark.then);
        fate
    }
}
