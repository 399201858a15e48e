//! What becomes of a flow: its packets, with the time between them.

use std::num::NonZeroU8;
use std::time::Duration;

use crate::time::{nanos, span};

/// The packets of a flow, in order. All are of one protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    protocol: FlowProtocol,
    /// Half a round trip passes wherever the direction changes.
    pub(crate) half_trip_nanos: u64,
    pub(crate) steps: Vec<Step>,
}

/// A protocol that a script can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP echo.
    Icmp,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who opened the flow.
    Client,
    /// Who was called.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A packet, as far as connection tracking cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it.
    pub from: Side,
    /// What it is.
    pub content: Content,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// TCP. Sequence and acknowledgement numbers follow from what was sent before: everything that came is
    /// acknowledged, everything sent is in order.
    Tcp(Segment),
    /// UDP with so many bytes.
    Udp(u16),
    /// UDP by which its sender announces the ports where it will have media, as SIP does.
    Announce(MediaPorts),
    /// An ICMP echo request (from the client) or reply (from the server) with so many bytes.
    Echo(u16),
}

/// Ports for media: consecutive ones, RTP's and RTCP's in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaPorts {
    /// The first: even, as RTP's is (RFC 3550).
    pub first: u16,
    /// How many.
    pub count: NonZeroU8,
}

impl MediaPorts {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        (0..self.count.get()).map(move |number| self.first + u16::from(number))
    }

    /// One of them, and round again.
    pub(crate) fn nth(self, number: u8) -> u16 {
        self.first + u16::from(number % self.count)
    }
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// SYN.
    Syn,
    /// SYN and ACK.
    SynAck,
    /// ACK alone.
    Ack,
    /// ACK with so many bytes, at least one.
    Data(u16),
    /// FIN and ACK.
    Fin,
    /// RST and ACK.
    Reset,
    /// FTP's `227 Entering Passive Mode`: the server's address, and this port of it.
    Passive(u16),
}

/// One of a scenario's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptId(pub(crate) usize);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Send(Packet),
    Wait(Gap),
    /// Goes on with the step of this number, so many times more.
    Back {
        to: u32,
        times: u32,
    },
    /// A flow of another script begins, to the port that was announced last; of several, to one after the other.
    Open(ScriptId),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gap {
    FixedNanos(u64),
    ExponentialNanos(u64),
}

/// `repeat forever`.
pub(crate) const FOREVER: u32 = u32::MAX;

/// The most that anything else is repeated.
const MOST_TIMES: u32 = 100_000;

/// The most media ports that one packet announces: what the kernel's SIP helper expects of one kind for one call.
const MOST_MEDIA_PORTS: NonZeroU8 = NonZeroU8::new(4).unwrap();

/// The most bytes that a packet carries: what fits an Ethernet frame with room to spare.
const MOST_BYTES: u16 = 1400;

impl Script {
    /// The protocol that it speaks.
    pub const fn protocol(&self) -> FlowProtocol {
        self.protocol
    }

    /// Whether it opens flows of other scripts.
    pub(crate) fn opens(&self) -> impl Iterator<Item = ScriptId> {
        self.steps.iter().filter_map(|step| match step {
            Step::Open(script) => Some(*script),
            _ => None,
        })
    }

    /// Whether it announces media ports.
    pub(crate) fn announces_media(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Send(Packet { content: Content::Announce(_), .. })))
    }

    /// Reads a script's lines. `find` knows the scripts by their names. An error has its line, from 0 on.
    pub(crate) fn parse(
        text: &str,
        round_trip: Duration,
        find: impl Fn(&str) -> Option<ScriptId>,
    ) -> Result<Self, (usize, String)> {
        let mut steps = Vec::new();
        let mut protocol = None;
        let mut repeat: Option<Repeat> = None;
        for (number, line) in text.lines().enumerate() {
            let problem = |problem: String| (number, problem);
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["wait", time] => {
                    let gap = match time.strip_prefix('~') {
                        Some(mean) => span(mean).map(|mean| Gap::ExponentialNanos(nanos(mean))),
                        None => span(time).map(|gap| Gap::FixedNanos(nanos(gap))),
                    };
                    steps.push(Step::Wait(gap.map_err(problem)?));
                }
                ["repeat", _] if repeat.is_some() => {
                    return Err(problem("a `repeat` within another: end the first one with `end`".to_string()));
                }
                ["repeat", times] => {
                    let times = match (*times, times.parse()) {
                        ("forever", _) => FOREVER,
                        (_, Ok(times)) if (2..=MOST_TIMES).contains(&times) => times,
                        _ => {
                            return Err(problem(format!(
                                "repeat \"{times}\": write a number of 2 to {MOST_TIMES}, or `forever`"
                            )));
                        }
                    };
                    repeat = Some(Repeat { from: steps.len(), times, line: number });
                }
                ["end"] => {
                    let Some(Repeat { from, times, .. }) = repeat.take() else {
                        return Err(problem("`end` without a `repeat` before it".to_string()));
                    };
                    let body = steps.get(from..).unwrap_or_default();
                    if !body.iter().any(|step| matches!(step, Step::Send(_))) {
                        return Err(problem("what repeats needs a packet".to_string()));
                    }
                    if times == FOREVER && !body.iter().any(|step| matches!(step, Step::Wait(_))) {
                        return Err(problem("what repeats forever needs a `wait`".to_string()));
                    }
                    let more = if times == FOREVER { FOREVER } else { times - 1 };
                    steps.push(Step::Back { to: u32::try_from(from).unwrap_or(u32::MAX), times: more });
                }
                ["+", name] => {
                    let unknown = || problem(format!("there is no script \"{name}\" to open"));
                    steps.push(Step::Open(find(name).ok_or_else(unknown)?));
                }
                [direction @ (">" | "<"), packet @ ..] => {
                    let from = if *direction == ">" { Side::Client } else { Side::Server };
                    let content = content(from, packet).map_err(problem)?;
                    let speaks = content.protocol();
                    if *protocol.get_or_insert(speaks) != speaks {
                        return Err(problem("a packet of another protocol than those before it".to_string()));
                    }
                    steps.push(Step::Send(Packet { from, content }));
                }
                _ => {
                    return Err(problem(format!(
                        "\"{}\" is no step: write `> PACKET`, `< PACKET`, `wait TIME`, `repeat TIMES`, `end` or `+ SCRIPT`",
                        line.trim()
                    )));
                }
            }
        }
        if let Some(repeat) = repeat {
            return Err((repeat.line, "a `repeat` without its `end`".to_string()));
        }
        match (protocol, steps.first()) {
            (Some(protocol), Some(Step::Send(Packet { from: Side::Client, .. }))) => {
                Ok(Self { protocol, half_trip_nanos: nanos(round_trip / 2), steps })
            }
            _ => Err((0, "a script begins with a packet of the client's: `> PACKET`".to_string())),
        }
    }
}

struct Repeat {
    from: usize,
    times: u32,
    line: usize,
}

impl Content {
    /// The protocol that it belongs to.
    pub const fn protocol(self) -> FlowProtocol {
        match self {
            Self::Tcp(_) => FlowProtocol::Tcp,
            Self::Udp(_) | Self::Announce(_) => FlowProtocol::Udp,
            Self::Echo(_) => FlowProtocol::Icmp,
        }
    }
}

fn content(from: Side, words: &[&str]) -> Result<Content, String> {
    let bytes = |text: &str, least: u16| match text.parse() {
        Ok(bytes) if (least..=MOST_BYTES).contains(&bytes) => Ok(bytes),
        _ => Err(format!("\"{text}\" is no number of bytes: write one of {least} to {MOST_BYTES}")),
    };
    Ok(match (from, words) {
        (_, ["syn"]) => Content::Tcp(Segment::Syn),
        (_, ["syn-ack"]) => Content::Tcp(Segment::SynAck),
        (_, ["ack"]) => Content::Tcp(Segment::Ack),
        (_, ["fin"]) => Content::Tcp(Segment::Fin),
        (_, ["rst"]) => Content::Tcp(Segment::Reset),
        (_, ["data", length]) => Content::Tcp(Segment::Data(bytes(length, 1)?)),
        (Side::Server, ["passive"]) => Content::Tcp(Segment::Passive(0)),
        (_, ["udp", length]) => Content::Udp(bytes(length, 0)?),
        (_, ["announce", count]) => match count.parse() {
            Ok(count) if count <= MOST_MEDIA_PORTS => Content::Announce(MediaPorts { first: 0, count }),
            _ => return Err(format!("\"{count}\" is no number of ports: write one of 1 to {MOST_MEDIA_PORTS}")),
        },
        (Side::Client, ["ping", length]) | (Side::Server, ["pong", length]) => Content::Echo(bytes(length, 0)?),
        _ => {
            return Err(format!(
                "\"{}\" is no packet: write syn, syn-ack, ack, data BYTES, fin, rst, udp BYTES, announce PORTS, \
                 `> ping BYTES`, `< pong BYTES` or `< passive`",
                words.join(" ")
            ));
        }
    })
}
