//! Where flows of one kind come from.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use plimsoll_draw::Draw;

use crate::script::ScriptId;
use crate::time::nanos;
use crate::{Arrivals, Clients, Hosts, Servers, Size, Traffic};

/// Where flows of one kind come from.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    traffic: &'a Traffic,
    draw: Draw,
    pace: Pace,
    /// For each host, how many ports it has taken; the first is drawn.
    ports: Vec<u32>,
}

/// When the next flow comes.
#[derive(Debug)]
enum Pace {
    Random { mean: Duration, last_nanos: u64, until_nanos: u64 },
    Spread { from: Duration, over: Duration, count: u32, begun: u32 },
}

impl Pace {
    fn new(arrivals: Arrivals, size: Size) -> Self {
        match arrivals {
            Arrivals::Random { per_sec, from, until } => Self::Random {
                mean: Duration::from_secs_f64(1.0 / (per_sec * size.factor())),
                last_nanos: nanos(from),
                until_nanos: nanos(until),
            },
            Arrivals::Spread { count, from, until } => {
                Self::Spread { from, over: until.saturating_sub(from), count: size.of(count), begun: 0 }
            }
        }
    }
}

impl<'a> Source<'a> {
    pub(crate) fn new(traffic: &'a Traffic, seed: u64, size: Size) -> Self {
        let mut draw = Draw::new(seed);
        let hosts = match traffic.clients.hosts {
            Hosts::First(count) => count.get(),
            Hosts::Any => 0,
        };
        let count = traffic.clients.ports.count();
        let ports = (0..hosts).map(|_| draw.below(count)).collect();
        Self { traffic, draw, pace: Pace::new(traffic.arrivals, size), ports }
    }

    /// What becomes of its flows.
    pub(crate) const fn script(&self) -> ScriptId {
        self.traffic.script
    }

    /// When the next flow comes; `None` behind the last.
    pub(crate) fn next_arrival_nanos(&mut self) -> Option<u64> {
        match &mut self.pace {
            Pace::Random { mean, last_nanos, until_nanos } => {
                *last_nanos = last_nanos.saturating_add(nanos(self.draw.exponential(*mean)));
                (*last_nanos < *until_nanos).then_some(*last_nanos)
            }
            Pace::Spread { from, over, count, begun } => {
                let at = *from + over.mul_f64(f64::from(*begun) / f64::from((*count).max(1)));
                *begun += 1;
                (*begun <= *count).then_some(nanos(at))
            }
        }
    }

    /// What a flow's own numbers are drawn from.
    pub(crate) const fn draw(&mut self) -> Draw {
        Draw::new(self.draw.next())
    }

    /// Client and server of the next flow.
    pub(crate) fn endpoints(&mut self) -> (SocketAddrV4, SocketAddrV4) {
        let Clients { network, hosts, ports } = &self.traffic.clients;
        let client = match hosts {
            Hosts::First(count) => {
                let host = self.draw.below(count.get());
                SocketAddrV4::new(network.host(host), self.port_of(host))
            }
            Hosts::Any => {
                let host = network.host(self.draw.below(network.room()));
                SocketAddrV4::new(host, ports.nth(self.draw.below(ports.count())))
            }
        };
        let Servers { network, hosts, ports } = &self.traffic.servers;
        let host = match hosts {
            Hosts::First(count) => self.draw.below(count.get()),
            Hosts::Any => self.draw.below(network.room()),
        };
        let port = ports.map_or(0, |ports| ports.nth(self.draw.below(ports.count())));
        (client, SocketAddrV4::new(network.host(host), port))
    }

    /// The next port of a client that is known by its address.
    pub(crate) fn next_port(&mut self, client: Ipv4Addr) -> u16 {
        let clients = &self.traffic.clients;
        match clients.hosts {
            Hosts::First(_) => self.port_of(clients.network.number_of(client)),
            Hosts::Any => clients.ports.nth(self.draw.below(clients.ports.count())),
        }
    }

    fn port_of(&mut self, host: u32) -> u16 {
        let taken = self.ports.get_mut(host as usize).map_or(0, |taken| {
            *taken = taken.wrapping_add(1);
            *taken
        });
        self.traffic.clients.ports.nth(taken)
    }
}
