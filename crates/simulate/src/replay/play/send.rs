//! The packets of a flow that is played.

use std::time::Duration;

use plimsoll_model::{Protocol, TcpState, Timeout};
use plimsoll_recording::State;
use plimsoll_scenario::Side;
use plimsoll_twin::packet::{Content, Segment, flags};
use plimsoll_twin::{Direction, NoRules, Verdict};

use super::{Fate, Player};
use crate::Harm;
use crate::replay::flow::Flow;
use crate::replay::gather::in_force_secs;
use crate::replay::packets::{Handshake, hop};
use crate::replay::pattern::Armed;
use crate::replay::rules::{AsRecorded, Port};
use crate::replay::stays::Start;
use crate::replay::timeline::Played;
use crate::simulation::Further;
use crate::watch::Tuples;

/// Who talks, of two sides of which both may.
pub(super) fn speaks(flow: &Flow) -> Side {
    // The client has closed.
    if flow.state == State::Tcp(TcpState::CloseWait) { Side::Server } else { Side::Client }
}

/// Who breaks a silence, which no recording tells: the side for which it is worse that the entry is gone. A translated client's
/// packet makes the entry again, its server's comes to nobody who knows of the flow.
pub(super) fn breaks_silence(flow: &Flow, played: &Played) -> Side {
    let is_translated = played.translates_source() || played.translates_destination();
    if is_translated && flow.state != State::Unreplied { Side::Server } else { speaks(flow) }
}

impl Player<'_, '_> {
    /// TCP's segments from one state to another.
    pub(super) fn lead(
        &mut self,
        at: Duration,
        flow: &mut Flow,
        played: &Played,
        mut from: TcpState,
        to: TcpState,
    ) -> Fate {
        let handshake = if played.is_assured { Handshake::Whole } else { Handshake::NotKnown };
        while from != to {
            let Some(hop) = hop(from, to, handshake) else { break };
            let content = flow.sent.segment(hop.from, hop.flags, 0);
            match self.send(at, flow, played, hop.from, content) {
                Fate::Arrived => from = hop.to,
                fate => return fate,
            }
        }
        Fate::Arrived
    }

    /// What has no states but answers.
    pub(super) fn lead_plain(
        &mut self,
        at: Duration,
        flow: &mut Flow,
        played: &Played,
        from: State,
        to: State,
    ) -> Fate {
        let sides: &[Side] = match (from, to) {
            (State::Unreplied, State::Replied) => &[Side::Server],
            (State::Unreplied, State::Assured) => &[Side::Server, Side::Client],
            (State::Replied, State::Assured) => &[Side::Client],
            _ => &[],
        };
        for side in sides {
            let fate = self.send(at, flow, played, *side, Content::Plain);
            if fate != Fate::Arrived {
                return fate;
            }
        }
        Fate::Arrived
    }

    /// One side says something, and the other answers.
    pub(super) fn talk(&mut self, at: Duration, flow: &mut Flow, played: &Played, first: Side, armed: Armed) -> Fate {
        let answers = if first == Side::Client { Side::Server } else { Side::Client };
        let is_tcp = matches!(flow.state, State::Tcp(_));
        let content = if is_tcp { flow.sent.segment(first, flags::PSH | flags::ACK, 1) } else { Content::Plain };
        let fate = self.send(at, flow, played, first, content);
        if fate != Fate::Arrived || flow.state == State::Unreplied || armed == Armed::Unacknowledged {
            return fate;
        }
        let content = if is_tcp { flow.sent.segment(answers, flags::ACK, 0) } else { Content::Plain };
        self.send(at, flow, played, answers, content)
    }

    /// A packet that is not the flow's first.
    pub(super) fn send(
        &mut self,
        at: Duration,
        flow: &mut Flow,
        played: &Played,
        from: Side,
        content: Content<'static>,
    ) -> Fate {
        let tuple = match from {
            Side::Client => played.original,
            Side::Server => flow.reply,
        };
        let asked = self.simulation.ask(flow.zone, &tuple);
        let mut rules = self.rules(at, flow, played, from);
        let was_hit = flow.watch.was_hit;
        let before = flow.watch.entry;
        let tuples = Tuples { original: played.original, reply: flow.reply };
        let (verdict, harm) = self.simulation.pass_watched(
            Further { at, asked: &asked, content: &content, from },
            &mut flow.watch,
            || tuples,
            &mut rules,
        );
        if let (Some(harm), Some(called)) = (harm, self.called.get_mut(played.called as usize)) {
            called.false_kills.count(harm);
            called.false_kills.flows_hit += u64::from(!was_hit);
        }
        if from == Side::Client && flow.watch.entry != before {
            self.look_at_reply(at, flow, &verdict);
        }
        if from == Side::Server {
            self.answer_in_place_of_a_client(at, flow, played, &content, &verdict);
        }
        let is_tcp = played.original.protocol == Protocol::TCP;
        match (harm, verdict) {
            // Who is told that nobody knows of the connection ends it; who hears nothing gives up.
            (Some(Harm::Reset | Harm::BlackHoled), _) if is_tcp => Fate::Broken,
            (Some(Harm::BlackHoled), _) | (_, Verdict::Invalid | Verdict::Dropped(_)) => Fate::Lost,
            _ => Fate::Arrived,
        }
    }

    /// The server answers to what it sees behind the translation.
    pub(super) fn look_at_reply(&self, at: Duration, flow: &mut Flow, verdict: &Verdict) {
        if let Verdict::Passed { entry, direction: Direction::Original, .. } = verdict
            && let Some(tuples) = self.simulation.tuples(at, *entry)
        {
            flow.reply = tuples.reply;
        }
    }

    /// A server's segment that no entry brings back to a translated client has reached the router itself, which knows of no
    /// such connection (`tcp_v4_send_reset`).
    fn answer_in_place_of_a_client(
        &mut self,
        at: Duration,
        flow: &Flow,
        played: &Played,
        content: &Content<'_>,
        verdict: &Verdict,
    ) {
        let Content::Tcp(segment) = content else { return };
        let is_for_the_router = flow.reply.destination != played.original.source
            && matches!(verdict, Verdict::Passed { direction: Direction::Original, .. });
        if !is_for_the_router || segment.has(flags::RST) {
            return;
        }
        let reset = Content::Tcp(Segment::new(flags::RST, segment.acknowledgement, 0, 0));
        let asked = self.simulation.ask(flow.zone, &flow.reply.mirrored());
        self.simulation.pass(at, &asked, &reset, &mut NoRules);
    }

    /// The flow's translation, should its packet need one. The port that it had is asked for unless another entry has it by now:
    /// what its server has sent meanwhile, too, has made one.
    pub(super) fn rules<'p>(&self, at: Duration, flow: &Flow, played: &'p Played, from: Side) -> AsRecorded<'p> {
        let twin = &self.simulation.twin;
        let place = self.simulation.place(flow.zone);
        let is_taken = from == Side::Client
            && played.translates_source()
            && twin.lookup(at, place, &played.original).is_none()
            && twin.lookup(at, place, &played.reply).is_some();
        AsRecorded { flow: played, port: if is_taken { Port::Any } else { Port::Recorded } }
    }

    /// Between two packets of a flow that talks: often enough that its entry lives, and its evictions are noticed.
    pub(super) fn pause(&self, flow: &Flow, played: &Played) -> Duration {
        const LEAST: Duration = Duration::from_millis(500);
        let own = flow.state.held_by(played.original.protocol).map_or(0, |timeout| self.secs(timeout));
        // Its entry may have been made anew, and be held by less.
        let is_unsure = flow.watch.was_hit || played.start == Start::PickedUp || played.first == State::Assured;
        let least = match flow.state {
            State::Tcp(_) if is_unsure => {
                own.min(self.secs(Timeout::TcpUnacknowledged)).min(self.secs(Timeout::TcpMaxRetrans))
            }
            State::Assured if is_unsure && played.original.protocol == Protocol::UDP => {
                own.min(self.secs(Timeout::Udp))
            }
            _ => own,
        };
        (Duration::from_secs(least.into()) / 2).max(LEAST)
    }

    pub(super) fn secs(&self, timeout: Timeout) -> u32 {
        in_force_secs(self.timeouts, timeout).unwrap_or(0)
    }
}
