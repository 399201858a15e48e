//! Handshakes of TCP with a firewall's host, and through it, segment by segment; done by the servers or by a proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_model::Protocol;

use crate::Error;
use crate::firewall::{Door, Fate, Firewall, sending};
use crate::wire::{Defect, MOST_BYTES, TcpHeader, Transport, datagram};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// What a peer's first segment begins with.
const FIRST: u32 = 1_000_000;

/// How long a socket of the host is given to hear of a handshake that is done: loopback may be left to ksoftirqd.
const PATIENCE: Duration = Duration::from_millis(400);

/// A segment that came out.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: SocketAddr,
    to: SocketAddr,
    flags: u8,
    sequence: u32,
}

impl Firewall {
    /// Whether a handshake from elsewhere comes to a service of the host: a socket accepts the connection.
    pub fn accepts(&self, by: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        let listening = self.namespace().enter(|| {
            let listener = TcpListener::bind(to)?;
            listener.set_nonblocking(true).map(|()| listener)
        })?;
        let listener = listening.map_err(|answer| sending(&answer))?;
        self.drain(by)?;
        self.say(by, from, to, SYN, FIRST, 0)?;
        let Some(answer) = self.hear(by, to, from, SYN | ACK)? else { return Ok(Fate::Stopped) };
        self.say(by, from, to, ACK, FIRST + 1, answer.sequence.wrapping_add(1))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match listener.accept() {
                Ok((_, peer)) if peer == from => return Ok(Fate::Passed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() > until {
                        return Ok(Fate::Stopped);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(sending(&error)),
            }
        }
    }

    /// Whether a handshake comes through the host, from one side to the other: its last packet, whoever sends it, reaches the server.
    pub fn carries(&self, by: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        let other = match by {
            Door::Outside => Door::Inside,
            Door::Inside => Door::Outside,
        };
        self.drain(by)?;
        self.drain(other)?;
        self.say(by, from, to, SYN, FIRST, 0)?;
        let (mut asked, is_proxied) = (self.hear(other, from, to, SYN)?, self.hear(by, to, from, SYN | ACK)?);
        if let Some(answer) = is_proxied {
            self.say(by, from, to, ACK, FIRST + 1, answer.sequence.wrapping_add(1))?;
            asked = self.hear(other, from, to, SYN)?;
        }
        let Some(asked) = asked else { return Ok(Fate::Stopped) };
        self.say(other, asked.to, asked.from, SYN | ACK, 7 * FIRST, asked.sequence.wrapping_add(1))?;
        if is_proxied.is_none() {
            let Some(answer) = self.hear(by, to, from, SYN | ACK)? else { return Ok(Fate::Stopped) };
            self.say(by, from, to, ACK, FIRST + 1, answer.sequence.wrapping_add(1))?;
        }
        let done = self.hear(other, from, to, ACK)?;
        Ok(if done.is_some() { Fate::Passed } else { Fate::Stopped })
    }

    fn say(
        &self,
        by: Door,
        from: SocketAddr,
        to: SocketAddr,
        flags: u8,
        sequence: u32,
        acknowledgement: u32,
    ) -> Result<(), Error> {
        let header = TcpHeader { flags, sequence, acknowledgement, window: 64_000 };
        let transport = Transport::Tcp { ports: [from.port(), to.port()], header, options: &[], payload: &[] };
        let bytes = datagram(from.ip(), to.ip(), 0, &transport, Defect::None);
        self.tun(by).send(&bytes).map_err(|answer| sending(&answer))
    }

    /// The next segment with these ports that came out with these flags alone. Addresses may be translated.
    fn hear(&self, by: Door, from: SocketAddr, to: SocketAddr, flags: u8) -> Result<Option<Segment>, Error> {
        let mut buffer = [0; MOST_BYTES];
        while let Some(packet) = self.tun(by).receive(&mut buffer).map_err(|answer| sending(&answer))? {
            let heard =
                segment(packet).filter(|heard| (heard.from.port(), heard.to.port()) == (from.port(), to.port()));
            if let Some(heard) = heard.filter(|heard| heard.flags & 0x17 == flags) {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }
}

fn segment(packet: &[u8]) -> Option<Segment> {
    let is_v4 = packet.first()? >> 4 == 4;
    let (protocol, behind) =
        if is_v4 { (*packet.get(9)?, packet.get(20..)?) } else { (*packet.get(6)?, packet.get(40..)?) };
    if protocol != Protocol::TCP.0 {
        return None;
    }
    let address = |nth: usize| -> Option<IpAddr> {
        Some(if is_v4 {
            Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12 + 4 * nth..16 + 4 * nth)?).ok()?).into()
        } else {
            Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(8 + 16 * nth..24 + 16 * nth)?).ok()?).into()
        })
    };
    let port = |at: usize| Some(u16::from_be_bytes(behind.get(at..at + 2)?.try_into().ok()?));
    Some(Segment {
        from: SocketAddr::new(address(0)?, port(0)?),
        to: SocketAddr::new(address(1)?, port(2)?),
        flags: *behind.get(13)?,
        sequence: u32::from_be_bytes(behind.get(4..8)?.try_into().ok()?),
    })
}
