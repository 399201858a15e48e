//! Entries that are there when a scenario begins: an hour of silence cannot be waited for.

use std::net::IpAddr;
use std::time::Duration;

use plimsoll_model::{Layer4, NewEntry, Protocol, Status, TcpState, Timeout, Tuple, Untrusted, Zone};
use serde::Deserialize;

use crate::time::secs;
use crate::{Clients, Hosts, Servers, Size};
use plimsoll_draw::Draw;

/// Entries of flows that began before the scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What they are called.
    pub name: Untrusted,
    /// How many.
    pub amount: Amount,
    /// What became of the flows.
    pub kind: StandingKind,
    /// Time since each one's last packet, drawn evenly from here…
    pub idle_from: Duration,
    /// …to here.
    pub idle_until: Duration,
    /// Where they come from.
    pub clients: Clients,
    /// Where they go to.
    pub servers: Servers,
}

/// How many entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many at size 1.
    Count(u32),
    /// This share of the table's limit, at any size.
    OfCapacity(f64),
}

/// How a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandingKind {
    /// TCP: a SYN, and nothing since.
    SynSent,
    /// TCP: the last acknowledgement of the handshake never came.
    SynRecv,
    /// TCP: open, assured.
    Established,
    /// TCP: one side has closed, unacknowledged; assured.
    FinWait,
    /// TCP: one side has closed, the other has acknowledged that and not closed; assured.
    CloseWait,
    /// TCP: both sides have closed; assured.
    TimeWait,
    /// TCP: reset; assured.
    Close,
    /// UDP without an answer.
    UdpUnreplied,
    /// UDP to and fro, assured.
    UdpStream,
}

impl StandingKind {
    /// The timeout that is compiled in for it, in seconds: a namespace begins with those.
    pub fn timeout_secs(self) -> u32 {
        let timeout = match (self.tcp_state(), self) {
            (Some(state), _) => Timeout::Tcp(state),
            (None, Self::UdpStream) => Timeout::UdpStream,
            (None, _) => Timeout::Udp,
        };
        timeout.compiled_default_secs().unwrap_or(0)
    }

    /// The state, for TCP.
    pub const fn tcp_state(self) -> Option<TcpState> {
        Some(match self {
            Self::SynSent => TcpState::SynSent,
            Self::SynRecv => TcpState::SynRecv,
            Self::Established => TcpState::Established,
            Self::FinWait => TcpState::FinWait,
            Self::CloseWait => TcpState::CloseWait,
            Self::TimeWait => TcpState::TimeWait,
            Self::Close => TcpState::Close,
            Self::UdpUnreplied | Self::UdpStream => return None,
        })
    }

    /// The status bits that its packets have set.
    pub const fn status(self) -> Status {
        match self {
            Self::SynSent | Self::UdpUnreplied => Status(0),
            Self::SynRecv => Status::SEEN_REPLY,
            _ => Status::SEEN_REPLY.and(Status::ASSURED),
        }
    }
}

/// One of the entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandingEntry {
    /// The flow, from the client's side. No two entries of a [`Standing`] have the same.
    pub original: Tuple,
    /// How it stands.
    pub kind: StandingKind,
    /// Time since its last packet.
    pub idle: Duration,
}

impl StandingEntry {
    /// The entry, as it is to be made.
    pub fn new_entry(&self) -> NewEntry {
        NewEntry {
            original: self.original,
            reply: self.original.mirrored(),
            zone: Zone::default(),
            status: self.kind.status(),
            tcp_state: self.kind.tcp_state(),
            timeout_secs: self.remaining_secs(),
        }
    }

    /// Seconds until it expires, rounded up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    pub fn remaining_secs(&self) -> u32 {
        (f64::from(self.kind.timeout_secs()) - self.idle.as_secs_f64()).ceil() as u32
    }
}

/// More entries than there are tuples for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {wanted} entries are more than its clients, their ports and its servers can tell apart: {room}")]
pub struct TooManyEntries {
    /// What they are called.
    pub name: Untrusted,
    /// How many were asked for.
    pub wanted: u32,
    /// How many there can be.
    pub room: u64,
}

impl Standing {
    /// How many entries there are at a size, in a table with a limit.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
    pub fn count(&self, size: Size, capacity: u32) -> u32 {
        match self.amount {
            Amount::Count(count) => size.of(count),
            Amount::OfCapacity(share) => (f64::from(capacity) * share) as u32,
        }
    }

    /// The entries.
    pub fn entries(
        &self,
        seed: u64,
        size: Size,
        capacity: u32,
    ) -> Result<impl Iterator<Item = StandingEntry> + Send + use<>, TooManyEntries> {
        let count = self.count(size, capacity);
        let room = hosts_of(self.clients.hosts, self.clients.network.room()) * u64::from(self.clients.ports.count());
        let server_ports = self.servers.ports.map_or(1, crate::Ports::count);
        let server_hosts = hosts_of(self.servers.hosts, self.servers.network.room());
        let room_of_all = room.saturating_mul(server_hosts).saturating_mul(server_ports.into());
        if u64::from(count) > room_of_all {
            return Err(TooManyEntries { name: self.name.clone(), wanted: count, room: room_of_all });
        }
        let Self { kind, idle_from, idle_until, clients, servers, .. } = self.clone();
        let client_hosts = hosts_of(clients.hosts, clients.network.room());
        let spread = idle_until.saturating_sub(idle_from);
        let mut draw = Draw::new(seed ^ 0x5354_414e_4449_4e47);
        Ok((0..count).map(move |number| {
            // Digits of a number to mixed bases: no two numbers have all of them alike.
            let (rest, client) = (u64::from(number) / client_hosts, u64::from(number) % client_hosts);
            let (rest, server) = (rest / server_hosts, rest % server_hosts);
            let server_ports = u64::from(server_ports);
            let (client_port, server_port) = (rest / server_ports, rest % server_ports);
            let digit = |digit: u64| u32::try_from(digit).unwrap_or(u32::MAX);
            let protocol = if kind.tcp_state().is_some() { Protocol::TCP } else { Protocol::UDP };
            let original = Tuple {
                source: IpAddr::V4(clients.network.host(digit(scattered(clients.hosts, client, client_hosts)))),
                destination: IpAddr::V4(servers.network.host(digit(scattered(servers.hosts, server, server_hosts)))),
                protocol,
                layer4: Layer4::Ports {
                    source: clients.ports.nth(digit(client_port)),
                    destination: servers.ports.map_or(0, |ports| ports.nth(digit(server_port))),
                },
            };
            StandingEntry { original, kind, idle: idle_from + spread.mul_f64(draw.fraction()) }
        }))
    }
}

/// Hosts that are drawn lie all over their network: multiplied by a prime that its size is no multiple of, each comes
/// once.
fn scattered(hosts: Hosts, host: u64, of: u64) -> u64 {
    match hosts {
        Hosts::First(_) => host,
        Hosts::Any => host * 2_654_435_761 % of,
    }
}

fn hosts_of(hosts: Hosts, room: u32) -> u64 {
    match hosts {
        Hosts::First(count) => count.get().into(),
        Hosts::Any => room.into(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStanding {
    name: String,
    count: Option<u32>,
    of_capacity: Option<f64>,
    state: StandingKind,
    #[serde(deserialize_with = "secs")]
    idle_from_secs: Duration,
    #[serde(deserialize_with = "secs")]
    idle_until_secs: Duration,
    clients: Clients,
    servers: Servers,
}

impl<'de> Deserialize<'de> for Standing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawStanding::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl TryFrom<RawStanding> for Standing {
    type Error = String;

    fn try_from(raw: RawStanding) -> Result<Self, String> {
        let amount = match (raw.count, raw.of_capacity) {
            (Some(count), None) => Amount::Count(count),
            (None, Some(share)) if 0.0 < share && share <= 1.0 => Amount::OfCapacity(share),
            (None, Some(_)) => return Err("`of_capacity` is a share: write one above 0 and at most 1".to_string()),
            _ => return Err("write either `count` or `of_capacity`".to_string()),
        };
        let timeout = raw.state.timeout_secs();
        if raw.idle_until_secs < raw.idle_from_secs || raw.idle_until_secs.as_secs() >= timeout.into() {
            return Err(format!(
                "idle from {} to {} s: write an ascending range below the state's timeout, {timeout} s",
                raw.idle_from_secs.as_secs(),
                raw.idle_until_secs.as_secs()
            ));
        }
        if raw.servers.ports.is_none() {
            return Err("its servers need `ports`".to_string());
        }
        Ok(Self {
            name: Untrusted::from(raw.name.as_str()),
            amount,
            kind: raw.state,
            idle_from: raw.idle_from_secs,
            idle_until: raw.idle_until_secs,
            clients: raw.clients,
            servers: raw.servers,
        })
    }
}
