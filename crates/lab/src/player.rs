//! Playing a schedule: every packet of both sides, at its time.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_scenario::{Content, Event, Flow, Packet, Place, Schedule, Segment, Side};

use crate::Error;
use crate::tun::Tun;
use crate::wire::{self, Headers, Layer4, MOST_BYTES, flags};

/// What came of playing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Packets that were sent.
    pub packets: u64,
    /// Flows that were begun.
    pub flows: u64,
    /// Flows whose first packet did not come through; the rest of them was not sent.
    pub refused: u64,
    /// How long it took.
    pub took: Duration,
    /// The most that a packet was late.
    pub latest: Duration,
}

impl Played {
    /// Packets a second.
    pub fn packets_per_sec(&self) -> u64 {
        let millis = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        self.packets.saturating_mul(1000) / millis.max(1)
    }
}

/// Plays both sides of flows that pass a router.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    clients: &'a Tun,
    servers: &'a Tun,
    flows: HashMap<u32, Ends>,
    played: Played,
}

/// The two ends of a flow.
#[derive(Clone, Copy, Debug)]
struct Ends {
    /// What the server takes for the client, and for itself.
    client: SocketAddrV4,
    server: SocketAddrV4,
    client_sends: u32,
    server_sends: u32,
}

impl<'a> Player<'a> {
    pub(crate) fn new(clients: &'a Tun, servers: &'a Tun) -> Self {
        Self { clients, servers, flows: HashMap::new(), played: Played::default() }
    }

    /// Plays until the schedule's end, or until it is told to stop.
    pub(crate) fn play(mut self, schedule: Schedule<'_>, stop: &AtomicBool) -> Result<Played, Error> {
        let begin = Instant::now();
        for event in schedule {
            if !wait_until(begin, event.at, stop) {
                break;
            }
            self.played.latest = self.played.latest.max(begin.elapsed().saturating_sub(event.at));
            self.send(&event).map_err(|answer| Error::Send { answer: answer.to_string() })?;
        }
        self.played.took = begin.elapsed();
        Ok(self.played)
    }

    fn send(&mut self, event: &Event) -> std::io::Result<()> {
        let Event { flow, packet, place, .. } = event;
        let opens = matches!(place, Place::First | Place::Only);
        let mut ends = match self.flows.get(&flow.number) {
            Some(ends) => *ends,
            None if opens => Ends::new(flow),
            // It was refused.
            None => return Ok(()),
        };
        let mut buffer = [0; MOST_BYTES];
        let mut payload = [0; MOST_BYTES];
        let payload = payload_of(packet.content, *flow.server.ip(), &mut payload);
        let bytes = wire::write(&mut buffer, &ends.headers(flow, *packet, payload), payload);
        self.played.packets += 1;
        self.played.flows += u64::from(opens);
        match packet.from {
            Side::Client => {
                self.clients.send(bytes)?;
                let came = self.came_out(flow, opens)?;
                if let Some((client, server)) = came {
                    (ends.client, ends.server) = (client, server);
                } else if opens {
                    self.played.refused += 1;
                    return Ok(());
                }
            }
            Side::Server => self.servers.send(bytes)?,
        }
        match place {
            Place::Only | Place::Last => self.flows.remove(&flow.number),
            Place::First | Place::Between => self.flows.insert(flow.number, ends),
        };
        Ok(())
    }

    /// What came out at the servers' side of the packet just sent: forwarding is done when sending returns, so it is
    /// there by now or was dropped. Later packets of a flow are only taken away, to leave room for the next.
    fn came_out(&self, flow: &Flow, opens: bool) -> std::io::Result<Option<(SocketAddrV4, SocketAddrV4)>> {
        let mut buffer = [0; MOST_BYTES];
        while let Some(packet) = self.servers.receive(&mut buffer)? {
            let seen = wire::read(packet).filter(|seen| seen.mark == mark(flow) && seen.protocol == flow.protocol);
            if let Some(seen) = seen {
                return Ok(opens.then_some((seen.from, seen.to)));
            }
        }
        Ok(None)
    }
}

fn mark(flow: &Flow) -> u16 {
    (flow.number & 0xffff) as u16
}

impl Ends {
    const fn new(flow: &Flow) -> Self {
        Self { client: flow.client, server: flow.server, client_sends: flow.number, server_sends: !flow.number }
    }

    /// A packet's headers; what it takes of its sender's sequence numbers is taken.
    fn headers(&mut self, flow: &Flow, packet: Packet, payload: &[u8]) -> Headers {
        let (from, to) = match packet.from {
            Side::Client => (flow.client, flow.server),
            Side::Server => (self.server, self.client),
        };
        let layer4 = match (packet.content, packet.from) {
            (Content::Tcp(segment), side) => self.tcp(side, segment, payload),
            (Content::Udp(_), _) => Layer4::Udp,
            (Content::Echo(_), Side::Client) => Layer4::EchoRequest,
            (Content::Echo(_), Side::Server) => Layer4::EchoReply,
        };
        Headers { from, to, mark: mark(flow), layer4 }
    }

    fn tcp(&mut self, side: Side, segment: Segment, payload: &[u8]) -> Layer4 {
        let (flags, of_its_own) = match segment {
            Segment::Syn => (flags::SYN, 1),
            Segment::SynAck => (flags::SYN | flags::ACK, 1),
            Segment::Ack => (flags::ACK, 0),
            Segment::Data(_) | Segment::Passive(_) => (flags::PSH | flags::ACK, 0),
            Segment::Fin => (flags::FIN | flags::ACK, 1),
            Segment::Reset => (flags::RST | flags::ACK, 0),
        };
        let (sends, other) = match side {
            Side::Client => (&mut self.client_sends, self.server_sends),
            Side::Server => (&mut self.server_sends, self.client_sends),
        };
        let sequence = *sends;
        *sends = sequence.wrapping_add(of_its_own).wrapping_add(u32::try_from(payload.len()).unwrap_or(0));
        Layer4::Tcp { flags, sequence, acknowledged: if flags & flags::ACK == 0 { 0 } else { other } }
    }
}

/// A packet's payload: text that ends a line, because the FTP helper looks at nothing that does not follow one.
fn payload_of(content: Content, server: Ipv4Addr, buffer: &mut [u8; MOST_BYTES]) -> &[u8] {
    let length = match content {
        Content::Tcp(Segment::Passive(port)) => {
            let [a, b, c, d] = server.octets();
            let text = format!("227 Entering Passive Mode ({a},{b},{c},{d},{},{}).\r\n", port >> 8, port & 0xff);
            buffer.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
            text.len()
        }
        Content::Tcp(Segment::Data(length)) | Content::Udp(length) | Content::Echo(length) => {
            let length = usize::from(length);
            if let Some([.., end, of_line]) = buffer.get_mut(..length) {
                (*end, *of_line) = (b'\r', b'\n');
            }
            length
        }
        Content::Tcp(_) => 0,
    };
    buffer.get(..length).unwrap_or_default()
}

/// How long to sleep at most before looking whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Waits until a time, and says whether to go on.
pub(crate) fn wait_until(begin: Instant, at: Duration, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        match at.checked_sub(begin.elapsed()) {
            Some(early) if !early.is_zero() => thread::sleep(early.min(PATIENCE)),
            _ => return true,
        }
    }
}
