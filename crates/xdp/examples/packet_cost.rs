//! What a packet of a flood costs, by where it is stopped: ratios of one run, over a veth pair and over a TAP device.
//!
//! `cargo run --profile bench -p plimsoll-xdp --example packet_cost [PACKETS [ROUNDS]]`: needs root, `ip` and `nft`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an example")]

use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use plimsoll_host::boottime_now;
use plimsoll_lab::{HandPacket, LabNamespace, Payload, Side, Tap};
use plimsoll_xdp::{
    Action, Attached, Config, Dropped, Limit, Outcome, Ports, Rate, Rates, Reason, Room, Scope, Way, XdpMode,
};

/// Packets that are timed together. A batch during which the machine did something else is far from the median.
const BATCH: usize = 500;

fn main() {
    let mut arguments = env::args().skip(1).map(|argument| argument.parse::<usize>().expect("[PACKETS [ROUNDS]]"));
    let packets = arguments.next().unwrap_or(50_000);
    let rounds = arguments.next().unwrap_or(5);
    for medium in [Medium::Veth, Medium::Tap] {
        measure(medium, packets, rounds);
    }
}

/// What packets come in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    /// A TAP device whose packets are forwarded, untracked, to one end of a veth pair; the other end is in a namespace of its own.
    Veth,
    /// A TAP device: its driver runs an XDP program on the bytes that were written, before it makes an skb.
    Tap,
}

/// Where packets are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the medium: what sending costs.
    Sending,
    NativeListed,
    NativeLimited,
    GenericListed,
    GenericLimited,
    Raw,
    /// Tracked, and dropped behind the routing decision.
    Input,
    /// Tracked, and answered by a listening socket with a SYN cookie.
    Accepted,
    /// The same, with a program attached that looks at each packet and lets it pass.
    AcceptedBehindNative,
}

const STAGES: [Stage; 9] = [
    Stage::Sending,
    Stage::NativeListed,
    Stage::NativeLimited,
    Stage::GenericListed,
    Stage::GenericLimited,
    Stage::Raw,
    Stage::Input,
    Stage::Accepted,
    Stage::AcceptedBehindNative,
];

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Sending => "not delivered: sending alone",
            Self::NativeListed => "XDP, native: source listed",
            Self::NativeLimited => "XDP, native: over the limit",
            Self::GenericListed => "XDP, generic: source listed",
            Self::GenericLimited => "XDP, generic: over the limit",
            Self::Raw => "nft, raw priority: set of sources",
            Self::Input => "tracked, nft input drops",
            Self::Accepted => "tracked, accepted, answered",
            Self::AcceptedBehindNative => "the same, native XDP passes it",
        }
    }

    const fn mode(self) -> Option<XdpMode> {
        match self {
            Self::NativeListed | Self::NativeLimited | Self::AcceptedBehindNative => Some(XdpMode::Native),
            Self::GenericListed | Self::GenericLimited => Some(XdpMode::Generic),
            Self::Sending | Self::Raw | Self::Input | Self::Accepted => None,
        }
    }

    /// Rules of the receiving namespace.
    const fn rules(self) -> &'static str {
        match self {
            Self::Raw => {
                "set listed { type ipv4_addr; flags interval; elements = { 10.0.0.0/16 }; }; \
                 chain raw { type filter hook prerouting priority raw; ip saddr @listed drop; };"
            }
            Self::Input => "chain in { type filter hook input priority 0; ct state new drop; };",
            _ => "chain in { type filter hook input priority 0; ct state invalid drop; };",
        }
    }
}

/// The receiving end.
struct End {
    tap: Tap,
    sender: LabNamespace,
    receiver: Option<LabNamespace>,
    device: &'static str,
    /// Kept open.
    _listener: TcpListener,
}

impl End {
    fn build(medium: Medium, stage: Stage) -> Self {
        let sender = LabNamespace::create().unwrap();
        let tap = Tap::create(&sender, "tap0").unwrap();
        sender.run(&["ip", "link", "set", "tap0", "address", "02:00:00:00:00:01", "arp", "off", "up"]).unwrap();
        let (receiver, device) = match medium {
            Medium::Tap => (None, "tap0"),
            Medium::Veth => (Some(behind(&sender)), "v1"),
        };
        if stage == Stage::Sending {
            let hook = if medium == Medium::Veth { "egress device v0" } else { "ingress device tap0" };
            let rule = format!("table netdev s {{ chain c {{ type filter hook {hook} priority 0; drop; }}; }}\n");
            sender.nft(&rule).unwrap();
        }
        let end = receiver.as_ref().unwrap_or(&sender);
        end.run(&["ip", "address", "add", "10.1.0.1/8", "dev", device]).unwrap();
        end.nft(&format!("table inet t {{ {} }}\n", stage.rules())).unwrap();
        let listener = end.enter(|| TcpListener::bind("10.1.0.1:80")).unwrap().unwrap();
        Self { tap, sender, device, _listener: listener, receiver }
    }

    const fn end(&self) -> &LabNamespace {
        match &self.receiver {
            Some(receiver) => receiver,
            None => &self.sender,
        }
    }

    fn attach(&self, stage: Stage) -> Option<Attached> {
        let wanted = stage.mode()?;
        let until = boottime_now() + Duration::from_hours(1);
        let limit = |burst| {
            let rate = Rate::each(Duration::from_millis(100), NonZeroU32::new(burst).unwrap()).unwrap();
            Some(Limit { ports: Ports::All, rates: Some(Rates::Source(rate)) })
        };
        let listed = Dropped { network: "10.0.0.0/16".parse().unwrap(), until };
        let (dropped, tcp) = match stage {
            Stage::NativeListed | Stage::GenericListed => (vec![listed], None),
            Stage::NativeLimited | Stage::GenericLimited => (vec![], limit(1)),
            _ => (vec![], limit(100_000)),
        };
        let (allowed, action, room) = (Vec::new(), Action::Enforce, Room::default());
        let config = Config { until, action, owner: 1, allowed, dropped, scope: Scope::All, tcp, udp: None, room };
        let way = if wanted == XdpMode::Generic { Way::Generic } else { Way::Native };
        let attached = self.end().enter(|| Attached::attach(self.device, way, &config)).unwrap().unwrap();
        assert_eq!(attached.mode(), wanted, "{:?}", attached.not_native());
        Some(attached)
    }
}

/// A namespace to which another one forwards over veth. What comes back is dropped at once.
fn behind(router: &LabNamespace) -> LabNamespace {
    let receiver = LabNamespace::create().unwrap();
    let add = ["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", receiver.name()];
    router.run(&add).unwrap();
    // Without ARP a device sends to its own address, so both ends have the same one.
    for (lab, device) in [(router, "v0"), (&receiver, "v1")] {
        lab.run(&["ip", "link", "set", device, "address", "02:00:00:00:00:01", "arp", "off", "up"]).unwrap();
    }
    router.set("net/ipv4/ip_forward", 1).unwrap();
    router.run(&["ip", "address", "add", "10.0.255.1/16", "dev", "tap0"]).unwrap();
    router.run(&["ip", "route", "add", "10.1.0.0/16", "dev", "v0"]).unwrap();
    router.nft("table netdev t { chain c { type filter hook ingress device v0 priority 0; drop; }; }\n").unwrap();
    receiver
}

/// Rounds over all stages, so that what else the machine does meets all of them.
fn measure(medium: Medium, packets: usize, rounds: usize) {
    let frames: Vec<Vec<u8>> = (0..packets).map(syn).collect();
    let mut figures = vec![Vec::new(); STAGES.len()];
    for _ in 0..rounds {
        for (stage, figures) in STAGES.into_iter().zip(&mut figures) {
            figures.push(one(medium, stage, &frames));
        }
    }
    let index = |stage| STAGES.iter().position(|other| *other == stage).unwrap();
    let (sending, accepted) = (&figures[index(Stage::Sending)], &figures[index(Stage::Accepted)]);
    println!(
        "\n{medium:?}: {packets} SYNs of 64 sources, each its own flow; medians of {rounds} rounds (least to greatest)"
    );
    println!("{:34}{:>10}{:>12}  {:22}  without sending", "stopped", "ns/packet", "packets/s", "of what is accepted");
    for (stage, figures) in STAGES.into_iter().zip(&figures) {
        let ns = median(figures.clone());
        let gross = spread(figures.iter().zip(accepted).map(|(ns, accepted)| ns / accepted));
        let parts = figures.iter().zip(accepted).zip(sending);
        let net = spread(parts.map(|((ns, accepted), sending)| (ns - sending) / (accepted - sending)));
        println!("{:34}{ns:>10.0}{:>12.0}  {gross:22}  {net}", stage.name(), 1e9 / ns);
    }
}

/// The median of ratios, and between what they lie.
fn spread(ratios: impl Iterator<Item = f64>) -> String {
    let ratios: Vec<f64> = ratios.collect();
    let (least, most) =
        ratios.iter().fold((f64::MAX, f64::MIN), |(least, most), ratio| (least.min(*ratio), most.max(*ratio)));
    format!("{:.2} ({least:.2} to {most:.2})", median(ratios))
}

/// Nanoseconds a packet.
fn one(medium: Medium, stage: Stage, frames: &[Vec<u8>]) -> f64 {
    let end = End::build(medium, stage);
    let attached = end.attach(stage);
    let mut batches = Vec::new();
    for batch in frames.chunks(BATCH) {
        let begun = Instant::now();
        for frame in batch {
            end.tap.send(frame).unwrap();
        }
        batches.push(begun.elapsed().as_secs_f64() * 1e9 / batch.len() as f64);
    }
    if let Some(attached) = attached {
        ensure_it_was_so(stage, &attached, frames.len());
    }
    median(batches)
}

/// A figure of packets that went elsewhere is none.
fn ensure_it_was_so(stage: Stage, attached: &Attached, sent: usize) {
    let counts = attached.status().unwrap().counts;
    let sent = sent as u64;
    let counted = match stage {
        Stage::NativeListed | Stage::GenericListed => counts.of(Outcome::Dropped(Reason::Listed)),
        Stage::NativeLimited | Stage::GenericLimited => counts.of(Outcome::Dropped(Reason::OverSource)),
        _ => counts.passed(),
    };
    assert!(counted > sent / 10 * 9, "{stage:?}: {counted} of {sent}: {counts:?}");
}

fn syn(number: usize) -> Vec<u8> {
    let source = Ipv4Addr::from([10, 0, 0, u8::try_from(number % 64).unwrap()]);
    let port = 1024 + u16::try_from(number / 64).expect("at most 4,000,000 packets");
    let payload = Payload::Tcp { flags: 2, sequence: 1, acknowledgement: 0, window: 1000, bytes: 0 };
    let client = SocketAddr::from((source, port));
    let server = "10.1.0.1:80".parse().unwrap();
    let packet = HandPacket { from: Side::Client, client, server, payload }.datagram();
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &packet].concat()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
