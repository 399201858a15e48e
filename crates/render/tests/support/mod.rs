//! A plan that has something for every format.
#![allow(dead_code, reason = "each test program uses a part of it")]

use plimsoll_model::{
    Buckets, Bypass, Bypassed, Capacity, Edit, Limits, ModuleState, Network, PolicyProtocol, PolicyTimeout,
    ServicePolicy, Sysctl, TcpState, Timeout,
};
use plimsoll_render::{Place, Reasoned, Target};

pub(crate) fn host() -> Target {
    Target {
        module: ModuleState::Loaded,
        place: Place::Host,
        limits: Limits { capacity: Some(Capacity(262_144)), buckets: Some(Buckets(65_536)), expect_max: Some(1024) },
        tuned_profile: Some("throughput-performance".into()),
    }
}

pub(crate) fn setting(sysctl: Sysctl, from: u32, to: u32, why: &str) -> Reasoned {
    Reasoned { edit: Edit::Sysctl { sysctl, from, to }, why: why.to_string() }
}

pub(crate) fn timeout(timeout: Timeout) -> Sysctl {
    Sysctl::of_timeout(timeout).unwrap()
}

pub(crate) fn policy(protocol: PolicyProtocol, port: u16, timeouts: &[(Timeout, u32)], why: &str) -> Reasoned {
    let timeouts = timeouts.iter().map(|(of, secs)| PolicyTimeout { sysctl: timeout(*of), secs: *secs }).collect();
    Reasoned { edit: Edit::Policy(ServicePolicy { protocol, port, timeouts }), why: why.to_string() }
}

/// Settings that a namespace of a test's own has as well.
pub(crate) fn namespaced() -> Vec<Reasoned> {
    vec![
        setting(
            timeout(Timeout::Tcp(TcpState::TimeWait)),
            120,
            30,
            "Short connections: 41% of the entries are in TIME_WAIT.",
        ),
        setting(
            timeout(Timeout::Tcp(TcpState::Established)),
            432_000,
            3600,
            "No flow here is silent for more than 12 minutes.",
        ),
        setting(timeout(Timeout::UdpStream), 120, 60, "DNS answers at once."),
        setting(Sysctl::TCP_BE_LIBERAL, 0, 1, "Routes are asymmetric."),
        setting(Sysctl::SYNCOOKIES, 0, 1, "A flood would fill listeners' backlogs."),
    ]
}

pub(crate) fn policies() -> Vec<Reasoned> {
    vec![
        policy(
            PolicyProtocol::Udp,
            53,
            &[(Timeout::Udp, 10), (Timeout::UdpStream, 40)],
            "DNS: one question, one answer.",
        ),
        policy(
            PolicyProtocol::Tcp,
            8443,
            &[
                (Timeout::Tcp(TcpState::Established), 7200),
                (Timeout::Tcp(TcpState::TimeWait), 15),
                (Timeout::TcpUnacknowledged, 240),
                (Timeout::TcpMaxRetrans, 250),
            ],
            "The API's clients come back within two hours.",
        ),
    ]
}

pub(crate) fn bypass(protocol: PolicyProtocol, port: u16, flows: Bypassed, why: &str) -> Reasoned {
    Reasoned { edit: Edit::Bypass(Bypass { protocol, port, flows }), why: why.to_string() }
}

pub(crate) fn networks(all: &[&str]) -> Vec<Network> {
    all.iter().map(|network| network.parse().unwrap()).collect()
}

pub(crate) fn bypasses() -> Vec<Reasoned> {
    let servers = networks(&["192.0.2.53/32", "2001:db8::53/128"]);
    let between =
        Bypassed::Forwarded { clients: networks(&["10.1.0.0/16", "10.2.0.0/16"]), servers: networks(&["10.9.0.0/24"]) };
    vec![
        bypass(PolicyProtocol::Udp, 53, Bypassed::ServedHere, "DNS is served here: 62% of the entries."),
        bypass(PolicyProtocol::Udp, 53, Bypassed::AskedFromHere { servers }, "Resolvers are asked from here."),
        bypass(PolicyProtocol::Tcp, 9100, between, "Exporters are scraped through here."),
    ]
}

/// All of it.
pub(crate) fn plan() -> Vec<Reasoned> {
    let limits = [
        setting(Sysctl::BUCKETS, 65_536, 262_000, "Two entries a chain at the new limit."),
        setting(
            Sysctl::CAPACITY,
            262_144,
            524_288,
            "Demand is 310,000 entries at its peak, and it grows by a half a year; this is 1.7 times as many, and takes 192 MiB of 16 GiB.",
        ),
    ];
    limits.into_iter().chain(namespaced()).chain(policies()).chain(bypasses()).collect()
}
