//! Where a flow stands in its script.

use std::time::Duration;

use plimsoll_draw::Draw;

use crate::script::{Content, FOREVER, Gap, MediaPorts, Packet, Script, ScriptId, Segment, Side, Step};
use crate::time::nanos;

/// Where a flow stands in its script: at a turn, which it takes when its time has come.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    /// The number of the turn's step.
    step: u32,
    /// How often the loop under way was gone back to.
    rounds: u32,
    /// Who has sent the last packet.
    last_from: Option<Side>,
    announced: Announced,
    draw: Draw,
}

/// By which ports a flow's next one may open.
#[derive(Clone, Debug)]
struct Announced {
    passive_port: u16,
    /// What each side has announced, the client first.
    media: [Option<MediaPorts>; 2],
    /// Flows that were opened since.
    opened: u8,
}

/// What a flow does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn<'s> {
    /// It sends a packet of the script's.
    Send(&'s Packet),
    /// It sends a packet that announces ports of its own.
    Announce(Packet),
    /// It opens another flow, by these ports.
    Open(ScriptId, OpenedBy),
}

/// Nanoseconds until a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// As the script has it: every flow's are the same.
    Written(u64),
    /// This flow's alone.
    Drawn(u64),
}

impl After {
    const AT_ONCE: Self = Self::Written(0);

    #[inline]
    const fn plus(self, more: u64) -> Self {
        match self {
            Self::Written(after) => Self::Written(after.saturating_add(more)),
            Self::Drawn(after) => Self::Drawn(after.saturating_add(more)),
        }
    }

    const fn plus_drawn(self, more: u64) -> Self {
        match self {
            Self::Written(after) | Self::Drawn(after) => Self::Drawn(after.saturating_add(more)),
        }
    }
}

/// The ports of a flow that another opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenedBy {
    /// The client's, if it has announced one.
    pub(crate) client: Option<u16>,
    /// The server's.
    pub(crate) server: u16,
}

impl Cursor {
    /// At the first turn, which comes at once: a packet of the client's.
    pub(crate) const fn new(draw: Draw) -> Self {
        let announced = Announced { passive_port: 0, media: [None; 2], opened: 0 };
        Self { step: 0, rounds: 0, last_from: None, announced, draw }
    }

    /// Whether a packet was sent.
    #[inline]
    pub(crate) const fn has_sent(&self) -> bool {
        self.last_from.is_some()
    }

    /// Takes the turn.
    #[inline]
    pub(crate) fn take_turn<'s>(&mut self, script: &'s Script) -> Option<Turn<'s>> {
        match script.steps.get(self.step as usize)? {
            Step::Send(packet) => {
                self.last_from = Some(packet.from);
                Some(match packet.content {
                    Content::Tcp(Segment::Passive(_)) | Content::Announce(_) => Turn::Announce(self.announce(*packet)),
                    _ => Turn::Send(packet),
                })
            }
            Step::Open(script) => Some(Turn::Open(*script, self.announced.next())),
            Step::Wait(_) | Step::Back { .. } => None,
        }
    }

    /// Goes on to the next turn and says after which time it comes; `None` at the script's end.
    #[inline]
    pub(crate) fn go_on(&mut self, script: &Script) -> Option<After> {
        self.step += 1;
        // Most packets follow each other without a word between them.
        match script.steps.get(self.step as usize)? {
            Step::Send(packet) => Some(self.after_turning(After::AT_ONCE, *packet, script)),
            _ => self.go_on_behind(script),
        }
    }

    /// Goes on with the step that is next, whatever it is.
    #[inline(never)]
    fn go_on_behind(&mut self, script: &Script) -> Option<After> {
        let mut after = After::AT_ONCE;
        loop {
            match script.steps.get(self.step as usize)? {
                Step::Send(packet) => return Some(self.after_turning(after, *packet, script)),
                Step::Open(_) => return Some(after),
                Step::Wait(gap) => {
                    after = match gap {
                        Gap::FixedNanos(gap) => after.plus(*gap),
                        Gap::ExponentialNanos(mean) => {
                            after.plus_drawn(nanos(self.draw.exponential(Duration::from_nanos(*mean))))
                        }
                    };
                    self.step += 1;
                }
                Step::Back { to, times } => {
                    let goes_back = *times == FOREVER || self.rounds < *times;
                    (self.rounds, self.step) =
                        if goes_back { (self.rounds.wrapping_add(1), *to) } else { (0, self.step + 1) };
                }
            }
        }
    }

    /// Half a round trip later, if the other side sends.
    #[inline]
    fn after_turning(&self, after: After, packet: Packet, script: &Script) -> After {
        let turns = self.last_from.is_some_and(|last| last != packet.from);
        after.plus(if turns { script.half_trip_nanos } else { 0 })
    }

    /// Draws the ports that a packet announces: ports that no service has, and that no client has by default.
    #[cold]
    fn announce(&mut self, mut packet: Packet) -> Packet {
        match &mut packet.content {
            Content::Tcp(Segment::Passive(port)) => {
                *port = 20_000 + u16::try_from(self.draw.below(10_000)).unwrap_or(0);
                self.announced.passive_port = *port;
            }
            Content::Announce(ports) => {
                ports.first = 20_000 + 2 * u16::try_from(self.draw.below(5_000)).unwrap_or(0);
                self.announced.media[packet.from as usize] = Some(*ports);
                self.announced.opened = 0;
            }
            _ => {}
        }
        packet
    }
}

impl Announced {
    /// The ports of the next flow that is opened.
    fn next(&mut self) -> OpenedBy {
        let number = self.opened;
        self.opened = self.opened.wrapping_add(1);
        let [client, server] = self.media.map(|ports| ports.map(|ports| ports.nth(number)));
        OpenedBy { client, server: server.unwrap_or(self.passive_port) }
    }
}
