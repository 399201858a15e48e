//! What the program decides, in Rust: what it is held against.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use plimsoll_model::Prefix;

use crate::{Action, Config, Limit, Outcome, Passed, Rate, Rates, Reason, Scope};

/// The program with its memory.
pub(crate) struct Decider {
    pub(crate) config: Config,
    full_at: HashMap<Bucket, Duration>,
    /// Packets that were dropped, by their source.
    pub(crate) hits: BTreeMap<IpAddr, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bucket {
    Source(Transport, IpAddr),
    Prefix(Transport, Prefix),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Transport {
    Tcp,
    Udp,
}

enum Verdict {
    Pass(Passed),
    Drop(Reason, IpAddr),
}

use Verdict::{Drop, Pass};

impl Decider {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, full_at: HashMap::new(), hits: BTreeMap::new() }
    }

    pub(crate) fn decide(&mut self, frame: &[u8], now: Duration) -> Outcome {
        if now >= self.config.until {
            return Outcome::Passed(Passed::Disarmed);
        }
        match (self.verdict(frame, now), self.config.action) {
            (Pass(why), _) => Outcome::Passed(why),
            (Drop(why, _), Action::Shadow) => Outcome::WouldDrop(why),
            (Drop(why, source), Action::Enforce) => {
                *self.hits.entry(source).or_default() += 1;
                Outcome::Dropped(why)
            }
        }
    }

    fn verdict(&mut self, frame: &[u8], now: Duration) -> Verdict {
        let packet = match Ip::in_frame(frame) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Pass(Passed::NotIp),
            Err(Broken) => return Pass(Passed::Malformed),
        };
        let source = packet.source();
        if self.config.allowed.iter().any(|network| network.holds(source)) {
            return Pass(Passed::Allowed);
        }
        let is_listed = self.config.dropped.iter().any(|dropped| dropped.network.holds(source) && now < dropped.until);
        if is_listed && self.config.scope == Scope::All {
            return Drop(Reason::Listed, source);
        }
        let payload = match packet.payload() {
            Ok(Some(payload)) => payload,
            Ok(None) => return Pass(Passed::Fragment),
            Err(Broken) => return Pass(Passed::Malformed),
        };
        match begun(&payload) {
            Ok(Some((transport, port))) if is_listed => match self.limit(transport, port) {
                Some(_) => Drop(Reason::Listed, source),
                None => Pass(Passed::Unlimited),
            },
            Ok(Some((transport, port))) => self.limited(transport, port, source, now),
            Ok(None) => Pass(Passed::Unlimited),
            Err(Broken) => Pass(Passed::Malformed),
        }
    }

    fn limit(&self, transport: Transport, port: u16) -> Option<&Limit> {
        let limit = match transport {
            Transport::Tcp => &self.config.tcp,
            Transport::Udp => &self.config.udp,
        };
        limit.as_ref().filter(|limit| limit.ports.hold(port))
    }

    fn limited(&mut self, transport: Transport, port: u16, source: IpAddr, now: Duration) -> Verdict {
        let Some(rates) = self.limit(transport, port).map(|limit| limit.rates) else {
            return Pass(Passed::Unlimited);
        };
        let buckets = [
            (rates.and_then(Rates::prefix), Bucket::Prefix(transport, Prefix::of(source)), Reason::OverPrefix),
            (rates.and_then(Rates::source), Bucket::Source(transport, source), Reason::OverSource),
        ];
        let mut charged = Vec::new();
        for (rate, bucket, reason) in buckets {
            let Some(rate) = rate else { continue };
            let begins = self.full_at.get(&bucket).copied().unwrap_or_default().max(now);
            if begins > now + allowance(rate) {
                return Drop(reason, source);
            }
            charged.push((bucket, begins + rate.interval()));
        }
        self.full_at.extend(charged);
        Pass(Passed::WithinLimit)
    }
}

fn allowance(rate: Rate) -> Duration {
    Duration::from_nanos(u64::try_from(rate.interval().as_nanos()).unwrap() * (rate.burst() - 1))
}

struct Broken;

/// An IP packet: from its header on, to the end of the frame.
enum Ip<'f> {
    V4(&'f [u8]),
    V6(&'f [u8]),
}

/// What follows the headers of IP, of a protocol.
struct Payload<'f> {
    protocol: u8,
    bytes: &'f [u8],
}

impl<'f> Ip<'f> {
    /// `None` for what is not IP.
    fn in_frame(frame: &'f [u8]) -> Result<Option<Self>, Broken> {
        let mut at = 12;
        for _ in 0..2 {
            match number(frame, at)? {
                0x8100 | 0x88a8 => at += 4,
                _ => break,
            }
        }
        let packet = || frame.get(at + 2..).ok_or(Broken);
        let (ip, header_bytes, version) = match number(frame, at)? {
            0x0800 => (Self::V4(packet()?), 20, 4),
            0x86dd => (Self::V6(packet()?), 40, 6),
            _ => return Ok(None),
        };
        match packet()?.first() {
            Some(first) if first >> 4 == version && packet()?.len() >= header_bytes => Ok(Some(ip)),
            _ => Err(Broken),
        }
    }

    fn source(&self) -> IpAddr {
        match self {
            Self::V4(packet) => IpAddr::from(<[u8; 4]>::try_from(&packet[12..16]).unwrap()),
            Self::V6(packet) => IpAddr::from(<[u8; 16]>::try_from(&packet[8..24]).unwrap()),
        }
    }

    /// `None` for a fragment that is not the first.
    fn payload(&self) -> Result<Option<Payload<'f>>, Broken> {
        match *self {
            Self::V4(packet) => {
                let header_bytes = usize::from(packet[0] & 15) * 4;
                let total_bytes = usize::from(number(packet, 2)?);
                if header_bytes < 20 || header_bytes > total_bytes || header_bytes > packet.len() {
                    return Err(Broken);
                }
                let bytes = &packet[header_bytes..packet.len().min(total_bytes)];
                let fragment_offset = number(packet, 6)? & 0x1fff;
                Ok((fragment_offset == 0).then_some(Payload { protocol: packet[9], bytes }))
            }
            Self::V6(packet) => {
                let end = packet.len().min(40 + usize::from(number(packet, 4)?));
                let mut payload = Payload { protocol: packet[6], bytes: &packet[40..end] };
                for _ in 0..6 {
                    let header = payload.bytes.get(..8).ok_or(Broken);
                    let bytes = match payload.protocol {
                        0 | 43 | 60 | 135 => usize::from(header?[1]) * 8 + 8,
                        51 => usize::from(header?[1]) * 4 + 8,
                        44 if number(header?, 2)? & 0xfff8 != 0 => return Ok(None),
                        44 => 8,
                        _ => return Ok(Some(payload)),
                    };
                    payload = Payload { protocol: payload.bytes[0], bytes: payload.bytes.get(bytes..).ok_or(Broken)? };
                }
                Ok(Some(payload))
            }
        }
    }
}

/// What a packet begins, and at which port.
fn begun(payload: &Payload) -> Result<Option<(Transport, u16)>, Broken> {
    let Payload { protocol, bytes } = payload;
    match protocol {
        6 if bytes.len() < 20 => Err(Broken),
        6 => Ok((bytes[13] & 0x17 == 0x02).then_some((Transport::Tcp, number(bytes, 2)?))),
        17 if bytes.len() < 8 => Err(Broken),
        17 => Ok(Some((Transport::Udp, number(bytes, 2)?))),
        _ => Ok(None),
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u16, Broken> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Broken),
    }
}
