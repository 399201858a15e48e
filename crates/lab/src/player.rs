//! Playing a schedule: every packet of both sides, at its time.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_scenario::{
    Content, Ends, Event, Flow, Packet, Place, Schedule, Segment, Sent, Side, TcpNumbers, WINDOW, passive_text,
};

use crate::Error;
use crate::seen;
use crate::tun::Tun;
use crate::wire::{Defect, MOST_BYTES, TcpHeader, Transport, datagram};

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
        let mut payload = [0; MOST_BYTES];
        let sent = ends.send(flow, *packet);
        let payload = payload_of(flow, packet.content, &sent, &mut payload);
        let bytes = bytes_of(flow, *packet, &sent, payload);
        self.played.packets += 1;
        self.played.flows += u64::from(opens);
        match packet.from {
            Side::Client => {
                self.clients.send(&bytes)?;
                let came = self.came_out(flow, opens)?;
                if let Some((client, server)) = came {
                    (ends.client, ends.server) = (client, server);
                } else if opens {
                    self.played.refused += 1;
                    return Ok(());
                }
            }
            Side::Server => self.servers.send(&bytes)?,
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
            let seen = seen::read(packet).filter(|seen| seen.mark == mark(flow) && seen.protocol == flow.protocol);
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

/// A packet as the lab sends it. Its mark is half of its flow's number, by which it is known again behind a translation.
fn bytes_of(flow: &Flow, packet: Packet, sent: &Sent, payload: &[u8]) -> Vec<u8> {
    let ports = [sent.from.port(), sent.to.port()];
    let echo = |kind, id: u16| {
        let [high, low] = id.to_be_bytes();
        Transport::Icmp { kind, code: 0, rest: [high, low, 0, 1], body: payload }
    };
    let transport = match (sent.tcp, packet.content, packet.from) {
        (Some(TcpNumbers { flags, sequence, acknowledgement }), ..) => {
            let header = TcpHeader { flags, sequence, acknowledgement, window: WINDOW };
            Transport::Tcp { ports, header, options: &[], payload }
        }
        // The identifier is the client's port.
        (None, Content::Echo(_), Side::Client) => echo(8, sent.from.port()),
        (None, Content::Echo(_), Side::Server) => echo(0, sent.to.port()),
        (None, ..) => Transport::Udp { ports, payload },
    };
    datagram((*sent.from.ip()).into(), (*sent.to.ip()).into(), mark(flow), &transport, Defect::None)
}

/// A packet's payload: text that ends a line, because the FTP helper looks at nothing that does not follow one.
fn payload_of<'b>(flow: &Flow, content: Content, sent: &Sent, buffer: &'b mut [u8; MOST_BYTES]) -> &'b [u8] {
    let length = usize::from(sent.payload_bytes);
    if let Content::Tcp(Segment::Passive(port)) = content {
        let text = passive_text(*flow.server.ip(), port);
        buffer.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    } else if let Some([.., end, of_line]) = buffer.get_mut(..length) {
        (*end, *of_line) = (b'\r', b'\n');
    }
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
