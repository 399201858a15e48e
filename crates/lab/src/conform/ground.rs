//! Where the kernel plays: a router in a namespace of its own that writes what it makes of a packet into the packet.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::{Dump, Entry, Unknowns, cpu_statistics};
use plimsoll_model::{Counter, CounterReading, Layer4, Protocol, TcpState, Timeout, Tuple};
use plimsoll_twin::{NatRange, NewFlow, PolicyId, PortRange, Relation, Rules, Ruling, Settings, Verdict};

use crate::between::Between;
use crate::tun::Tun;
use crate::{Error, LabNamespace};
use plimsoll_scenario::Side;

/// After this a packet that has not come out was dropped.
const PATIENCE: Duration = Duration::from_millis(20);

/// A router between clients and servers that the lab plays.
#[derive(Debug)]
pub(crate) struct Ground {
    namespace: LabNamespace,
    clients: Tun,
    servers: Tun,
}

/// What the router does beyond tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    None,
    /// [`SERVICE`] goes to [`BACKEND`], and clients of IPv4 go out by [`GATEWAY`].
    Both,
    /// Clients go out by two ports of [`GATEWAY`].
    TwoPorts,
}

/// Whether some flows have timeouts of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policies {
    None,
    /// IPv4 flows to ports below 500 ([`POLICY_SECS`]).
    OnLowPorts,
}

/// The timeouts that a policy names, of TCP and of UDP; the others are to be the compiled ones.
pub(crate) const POLICY_SECS: [&[(Timeout, &str, u32)]; 2] = [
    &[
        (Timeout::Tcp(TcpState::SynSent), "syn_sent", 33),
        (Timeout::Tcp(TcpState::Established), "established", 77),
        (Timeout::Tcp(TcpState::CloseWait), "close_wait", 44),
        (Timeout::Tcp(TcpState::TimeWait), "time_wait", 55),
    ],
    &[(Timeout::Udp, "unreplied", 22)],
];

/// What clients call…
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
/// …who answers…
pub(crate) const BACKEND: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// …on this port…
pub(crate) const BACKEND_PORT: u16 = 8080;
/// …and for whom the backend takes them. It is none of the router's addresses, so that nothing is ever delivered there.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The port of [`SERVICE`].
pub(crate) const SERVICE_PORT: u16 = 80;
/// The two ports.
pub(crate) const TWO_PORTS: PortRange = PortRange { first: 40_000, last: 40_001 };

/// What became of a packet, as far as both the kernel and the twin show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It opens a flow, or is of one that nobody has answered yet.
    New,
    /// It is of a flow.
    Established,
    /// It is about a flow, or was expected; this way.
    Related,
    /// The same of the answering side.
    NewReply,
    /// The same of the answering side.
    EstablishedReply,
    /// The same of the answering side.
    RelatedReply,
    /// `ct state invalid`.
    Invalid,
    /// `ct state untracked`.
    Untracked,
    /// It did not come out.
    Dropped,
}

impl Class {
    const MARKED: [(Self, u8, &str); 8] = [
        (Self::Invalid, 1, "ct state invalid"),
        (Self::Untracked, 2, "ct state untracked"),
        (Self::New, 4, "ct state new ct direction original"),
        (Self::NewReply, 5, "ct state new ct direction reply"),
        (Self::Established, 6, "ct state established ct direction original"),
        (Self::EstablishedReply, 7, "ct state established ct direction reply"),
        (Self::Related, 8, "ct state related ct direction original"),
        (Self::RelatedReply, 9, "ct state related ct direction reply"),
    ];

    /// The twin's.
    pub(crate) const fn of(verdict: &Verdict) -> Self {
        use plimsoll_twin::Direction::{Original, Reply};
        match verdict {
            Verdict::Passed { relation, direction, .. } => match (relation, direction) {
                (Relation::New, Original) => Self::New,
                (Relation::New, Reply) => Self::NewReply,
                (Relation::Established, Original) => Self::Established,
                (Relation::Established, Reply) => Self::EstablishedReply,
                (Relation::Related, Original) => Self::Related,
                (Relation::Related, Reply) => Self::RelatedReply,
            },
            Verdict::Invalid => Self::Invalid,
            Verdict::Untracked => Self::Untracked,
            Verdict::Dropped(_) => Self::Dropped,
        }
    }

    /// The kernel's: what its rules have written into the packet.
    fn of_packet(packet: &[u8]) -> Option<Self> {
        let traffic_class = match packet.first()? >> 4 {
            4 => *packet.get(1)?,
            _ => (*packet.first()? << 4) | (*packet.get(1)? >> 4),
        };
        Self::MARKED.iter().find(|(_, mark, _)| *mark == traffic_class >> 2).map(|(class, ..)| *class)
    }
}

/// The kernel's table at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) entries: Vec<Entry>,
    pub(crate) counters: CounterReading,
}

impl Ground {
    /// Builds the router.
    pub(crate) fn build(settings: &Settings, translation: Translation, policies: Policies) -> Result<Self, Error> {
        let Between { namespace, clients, servers } = Between::build()?;
        for (timeout, secs) in settings.timeouts.iter_secs() {
            if let Some(sysctl) = timeout.sysctl() {
                namespace.set_where_there(&format!("net/netfilter/{sysctl}"), secs)?;
            }
        }
        for (sysctl, value) in [
            ("tcp_loose", u32::from(settings.tcp_loose)),
            ("tcp_be_liberal", u32::from(settings.tcp_be_liberal)),
            ("tcp_ignore_invalid_rst", u32::from(settings.tcp_ignore_invalid_rst)),
            ("tcp_max_retrans", settings.tcp_max_retrans),
        ] {
            namespace.set_where_there(&format!("net/netfilter/nf_conntrack_{sysctl}"), value)?;
        }
        namespace.nft(&rules(translation, policies))?;
        Ok(Self { namespace, clients, servers })
    }

    /// Sends a packet from a side, and says what came out.
    pub(crate) fn send(&self, side: Side, packet: &[u8]) -> io::Result<Class> {
        let (from, to) = match side {
            Side::Client => (&self.clients, &self.servers),
            Side::Server => (&self.servers, &self.clients),
        };
        from.send(packet)?;
        let begun = Instant::now();
        loop {
            // An answer to what is not translated any more goes back where it came from.
            for tun in [to, from] {
                let mut buffer = [0; 2048];
                while let Some(came) = tun.receive(&mut buffer)? {
                    if mark_of(came) == mark_of(packet)
                        && let Some(class) = Class::of_packet(came)
                    {
                        return Ok(class);
                    }
                }
            }
            // Forwarding is done when sending returns, unless the kernel was busy and left it to a thread of its own.
            if begun.elapsed() > PATIENCE {
                return Ok(Class::Dropped);
            }
            thread::yield_now();
        }
    }

    /// Reads the table.
    pub(crate) fn read(&self) -> Result<Reading, Error> {
        let read = || -> Result<Reading, plimsoll_ctnetlink::Error> {
            let mut entries = Vec::new();
            let mut dump = Dump::start()?;
            while let Some(batch) = dump.next_batch()? {
                for entry in batch.entries(&mut Unknowns::default()).flatten() {
                    entries.push(entry.entry);
                }
            }
            Ok(Reading { entries, counters: cpu_statistics()? })
        };
        Ok(self.namespace.enter(read)??)
    }
}

/// Counters that both have, and that the lab's own acts do not move.
pub(crate) const COMPARED: [Counter; 7] = [
    Counter::Found,
    Counter::Invalid,
    Counter::InsertFailed,
    Counter::Drop,
    Counter::EarlyDrop,
    Counter::IcmpError,
    Counter::ClashResolved,
];

fn mark_of(packet: &[u8]) -> Option<u16> {
    let at = match packet.first()? >> 4 {
        4 => 4,
        _ => 2,
    };
    packet.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn rules(translation: Translation, policies: Policies) -> String {
    let mut rules =
        String::from("table inet conform {\nchain marks { type filter hook forward priority 0; policy accept;\n");
    for (_, mark, state) in Class::MARKED {
        for family in ["ip", "ip6"] {
            let protocol = if family == "ip" { "ipv4" } else { "ipv6" };
            rules += &format!("meta nfproto {protocol} {state} {family} dscp set {mark}\n");
        }
    }
    rules += "}\n";
    if policies == Policies::OnLowPorts {
        for (protocol, timeouts) in ["tcp", "udp"].into_iter().zip(POLICY_SECS) {
            let named: Vec<_> = timeouts.iter().map(|(_, name, secs)| format!("{name} : {secs}")).collect();
            rules += &format!(
                "ct timeout low_{protocol} {{ protocol {protocol}; l3proto ip; policy = {{ {} }}; }}\n\
                 chain set_{protocol} {{ type filter hook forward priority -10; \
                 meta nfproto ipv4 ct state new {protocol} dport 1-499 ct timeout set \"low_{protocol}\"; }}\n",
                named.join(", ")
            );
        }
    }
    if translation == Translation::Both {
        rules += &format!(
            "chain before {{ type nat hook prerouting priority -100;\n\
             ip daddr {SERVICE} tcp dport {SERVICE_PORT} dnat ip to {BACKEND}:{BACKEND_PORT}\n\
             ip daddr {SERVICE} udp dport {SERVICE_PORT} dnat ip to {BACKEND}:{BACKEND_PORT}\n}}\n"
        );
    }
    rules += &match translation {
        Translation::None => String::new(),
        Translation::Both => {
            format!(
                "chain after {{ type nat hook postrouting priority 100; ip saddr 10.0.0.0/8 snat ip to {GATEWAY}\n}}\n"
            )
        }
        Translation::TwoPorts => format!(
            "chain after {{ type nat hook postrouting priority 100; \
             ip saddr 10.0.0.0/8 tcp sport 1-65535 snat ip to {GATEWAY}:{}-{}\n}}\n",
            TWO_PORTS.first, TWO_PORTS.last
        ),
    };
    rules + "}\n"
}

/// The same rules for the twin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TwinRules {
    pub(crate) translation: Translation,
    /// TCP's and UDP's.
    pub(crate) policies: Option<[PolicyId; 2]>,
}

impl Rules for TwinRules {
    fn rule(&mut self, new: &NewFlow) -> Ruling {
        let tuple = new.tuple();
        let is_own = matches!(tuple.source, IpAddr::V4(source) if source.octets()[0] == 10);
        let has_service = tuple.destination == IpAddr::V4(SERVICE)
            && matches!(tuple.protocol, Protocol::TCP | Protocol::UDP)
            && matches!(tuple.layer4, Layer4::Ports { destination: SERVICE_PORT, .. });
        let to = |address: Ipv4Addr, ports| NatRange { address: address.into(), ports, is_masquerade: false };
        let translated = match self.translation {
            Translation::None => Ruling::default(),
            Translation::Both => Ruling {
                destination: has_service
                    .then(|| to(BACKEND, Some(PortRange { first: BACKEND_PORT, last: BACKEND_PORT }))),
                source: is_own.then(|| to(GATEWAY, None)),
                ..Ruling::default()
            },
            Translation::TwoPorts => Ruling {
                source: (is_own && tuple.protocol == Protocol::TCP).then(|| to(GATEWAY, Some(TWO_PORTS))),
                ..Ruling::default()
            },
        };
        Ruling { policy: self.policy(&tuple), ..translated }
    }
}

impl TwinRules {
    fn policy(self, tuple: &Tuple) -> Option<PolicyId> {
        let [tcp, udp] = self.policies?;
        // Rules at this priority see the destination as it was translated: BACKEND_PORT is above.
        let is_low = matches!(tuple.layer4, Layer4::Ports { destination: 1..500, .. })
            && tuple.destination != IpAddr::V4(SERVICE);
        match tuple.protocol {
            Protocol::TCP if is_low && tuple.source.is_ipv4() => Some(tcp),
            Protocol::UDP if is_low && tuple.source.is_ipv4() => Some(udp),
            _ => None,
        }
    }
}
