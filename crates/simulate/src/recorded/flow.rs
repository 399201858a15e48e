//! A flow of which packets were recorded.

use std::time::Duration;

use plimsoll_model::Protocol;
use plimsoll_scenario::Side;
use plimsoll_twin::packet::Content;
use plimsoll_twin::{Asked, EntryId, NoRules, Twin, Verdict, inverted};

use crate::simulation::{Further, Simulation};
use crate::watch::{Role, Tuples, Watch};

use super::key::Which;

/// What has neither handshake nor end is another flow after such a silence: the time for which RFC 4787 (REQ-5) has a
/// translation keep a UDP flow.
const SILENCE: Duration = Duration::from_mins(5);

/// How long a TCP stack lingers behind a connection that is over (`TCP_TIMEWAIT_LEN`): nothing is sent again after that.
const LINGER: Duration = Duration::from_mins(1);

/// What is remembered of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    progress: Talk,
    watch: Watch,
    last: Duration,
    /// Which of the flow's tuples is the client's.
    client: Which,
    protocol: Protocol,
}

/// A flow's packet, and when it comes.
#[derive(Clone, Copy)]
pub(super) struct Coming<'a> {
    pub(super) at: Duration,
    pub(super) content: &'a Content<'a>,
    pub(super) asked: &'a Asked,
    /// Which of the flow's tuples it has.
    pub(super) which: Which,
}

/// Who has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// Its first packet was dropped: it is not heard of until the client tries again.
    Refused,
    /// The client alone.
    Asked,
    /// The server has answered.
    Answered,
    /// The client has said something to that.
    Established,
}

impl Flow {
    /// The first packet of a flow comes.
    #[inline(never)]
    pub(super) fn open(simulation: &mut Simulation<'_>, packet: Coming<'_>) -> Self {
        let Coming { at, content, asked, which } = packet;
        simulation.flows += 1;
        let verdict = simulation.pass(at, asked, content, &mut NoRules);
        let mut watch = Watch::new(None);
        let progress = if matches!(verdict, Verdict::Dropped(_)) {
            simulation.refused_flows += 1;
            Talk::Refused
        } else {
            watch.note(content, Side::Client, &verdict);
            Talk::Asked
        };
        Self { progress, watch, last: at, client: which, protocol: asked.tuple().protocol }
    }

    /// A packet comes with one of the flow's tuples.
    #[inline]
    pub(super) fn go_on(&mut self, simulation: &mut Simulation<'_>, packet: Coming<'_>) {
        let Coming { at, content, asked, which } = packet;
        if self.is_another(at, content) {
            *self = Self::open(simulation, packet);
            return;
        }
        self.last = at;
        let from = if self.client == which { Side::Client } else { Side::Server };
        if self.progress == Talk::Refused {
            self.try_again(simulation, packet, from);
            return;
        }
        let tuples = || tuples(asked, from);
        simulation.pass_watched(Further { at, asked, content, from }, &mut self.watch, tuples, &mut NoRules);
        self.progress = match (self.progress, from) {
            (Talk::Asked, Side::Server) => Talk::Answered,
            (Talk::Answered, Side::Client) => Talk::Established,
            (progress, _) => progress,
        };
    }

    /// A packet of a refused flow would come.
    #[cold]
    fn try_again(&mut self, simulation: &mut Simulation<'_>, packet: Coming<'_>, from: Side) {
        let Coming { at, content, asked, .. } = packet;
        let tries_again = match content {
            Content::Tcp(_) => self.watch.role(content) == Role::Opens,
            _ => from == Side::Client,
        };
        if tries_again {
            let verdict = simulation.pass(at, asked, content, &mut NoRules);
            if !matches!(verdict, Verdict::Dropped(_)) {
                self.watch.note(content, from, &verdict);
                self.progress = Talk::Asked;
            }
        }
    }

    /// Whether a packet with its tuples is another flow's: one that opens after this one is over, or after a silence where
    /// nothing else would tell.
    #[inline]
    fn is_another(&self, at: Duration, content: &Content<'_>) -> bool {
        match content {
            Content::Tcp(_) => self.watch.is_over() && self.watch.role(content) == Role::Opens,
            _ => at.saturating_sub(self.last) > SILENCE,
        }
    }

    /// Its entry, as far as is known.
    #[inline]
    pub(super) const fn entry(&self) -> Option<EntryId> {
        self.watch.entry
    }

    /// Whether anything is to come of it, by what has come until now: if not, the next packet with its tuples is another flow's.
    pub(super) fn may_go_on(&self, now: Duration, twin: &Twin) -> bool {
        let is_over = self.watch.is_over();
        let is_open_connection = self.protocol == Protocol::TCP && self.progress == Talk::Established && !is_over;
        let patience = if is_over { LINGER } else { SILENCE };
        let is_silent = now.saturating_sub(self.last) > patience;
        is_open_connection || !is_silent || self.watch.entry.is_some_and(|entry| twin.is_alive(now, entry))
    }
}

/// Both tuples of a flow, by that of one of its packets.
fn tuples(asked: &Asked, from: Side) -> Tuples {
    let tuple = asked.tuple();
    let answer = inverted(&tuple).unwrap_or(tuple.mirrored());
    match from {
        Side::Client => Tuples { original: tuple, reply: answer },
        Side::Server => Tuples { original: answer, reply: tuple },
    }
}
