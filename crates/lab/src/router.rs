//! A router in a namespace of its own, between clients and servers that the lab plays.

use std::sync::atomic::AtomicBool;

use plimsoll_host::HostFs;
use plimsoll_scenario::{ROUTER, Scenario, Schedule, Size, Standing};

use crate::player::{Played, Player};
use crate::refusal::{Refusal, refuse_many};
use crate::tun::Tun;
use crate::{Error, LabNamespace};

/// A router that tracks what it forwards. Removed when dropped.
#[derive(Debug)]
pub struct Router {
    namespace: LabNamespace,
    clients: Tun,
    servers: Tun,
    capacity: u32,
}

/// The router's devices.
const CLIENTS: &str = "clients";
const SERVERS: &str = "servers";

impl Router {
    /// Builds the router that a scenario describes, or refuses where the host is not as the scenario needs it.
    pub fn build(scenario: &Scenario) -> Result<Self, Error> {
        let host = HostFs::new();
        let unread = |error: plimsoll_host::Error| Refusal::NoTracking { answer: error.to_string() };
        if let Some(wanted) = scenario.needs.buckets_at_most {
            let there = host.buckets().map_err(unread)?.0;
            if there > wanted {
                return Err(Refusal::Buckets { wanted, there }.into());
            }
        }
        let namespace = LabNamespace::create()?;
        namespace.set("net/ipv4/ip_forward", 1)?;
        for of in ["all", "default"] {
            // Packets come from wherever the scenario says.
            namespace.set(&format!("net/ipv4/conf/{of}/rp_filter"), 0)?;
            // Nothing is to come out but what was sent: no router solicitations.
            namespace.set_where_there(&format!("net/ipv6/conf/{of}/disable_ipv6"), 1)?;
        }
        let clients = Tun::create(&namespace, CLIENTS)?;
        let servers = Tun::create(&namespace, SERVERS)?;
        namespace.ip(&links(scenario))?;
        namespace.nft(&rules(scenario))?;
        // Only now is the kernel's module there, if it is one.
        let capacity = namespace.enter(|| HostFs::new().capacity())?.map_err(unread)?;
        Ok(Self { namespace, clients, servers, capacity: capacity.0 })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &LabNamespace {
        &self.namespace
    }

    /// The table's limit.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Makes the entries that are there when a scenario begins, and returns how many.
    pub fn fill(&self, standing: &[Standing], seed: u64, size: Size) -> Result<u64, Error> {
        refuse_many(standing.iter().map(|standing| u64::from(standing.count(size, self.capacity))).sum())?;
        let mut made = 0;
        for standing in standing {
            let entries = standing.entries(seed, size, self.capacity).map_err(Refusal::from)?;
            made += self.namespace.fill(entries.map(|entry| entry.new_entry()))?;
        }
        Ok(made)
    }

    /// Plays a scenario's traffic in the calling thread, until its end or until it is told to stop.
    pub fn play(&self, scenario: &Scenario, seed: u64, size: Size, stop: &AtomicBool) -> Result<Played, Error> {
        Player::new(&self.clients, &self.servers).play(Schedule::new(scenario, seed, size), stop)
    }
}

/// Commands of ip(8).
fn links(scenario: &Scenario) -> String {
    let mut commands = format!(
        "link set {CLIENTS} up\n\
         link set {SERVERS} up\n\
         address add {ROUTER} dev {SERVERS}\n\
         route add default dev {SERVERS}\n"
    );
    let mut networks: Vec<String> = scenario.client_networks().map(|network| network.to_string()).collect();
    networks.sort();
    networks.dedup();
    for network in networks {
        commands += &format!("route add {network} dev {CLIENTS}\n");
    }
    commands
}

/// The ruleset: nothing is refused; asking for the state is what makes the kernel track.
fn rules(scenario: &Scenario) -> String {
    let router = &scenario.router;
    let mut rules = String::from(
        "table ip lab {\n\
         chain forward { type filter hook forward priority 0; policy accept; ct state invalid counter; }\n",
    );
    if let Some(port) = router.ftp_port {
        rules += &format!(
            "ct helper ftp {{ type \"ftp\" protocol tcp; }}\n\
             chain helper {{ type filter hook prerouting priority -150; tcp dport {port} ct helper set \"ftp\"; }}\n"
        );
    }
    if router.translates() {
        rules += "chain before { type nat hook prerouting priority -100;\n";
        for nat in &router.destination_nat {
            let service = &nat.service;
            let (protocol, backends) = (service.protocol.name(), nat.backends.iter().enumerate());
            let to = backends.map(|(number, to)| format!("{number} : {} . {}", to.address, to.port));
            let to = to.collect::<Vec<_>>().join(", ");
            rules += &format!(
                "ip daddr {} {protocol} dport {} dnat to numgen random mod {} map {{ {to} }}\n",
                service.address,
                service.port,
                nat.backends.len()
            );
        }
        rules += "}\nchain after { type nat hook postrouting priority 100;\n";
        for nat in &router.source_nat {
            for protocol in ["tcp", "udp"] {
                rules += &format!(
                    "oifname {SERVERS} ip saddr {} meta l4proto {protocol} snat to {}:{}\n",
                    nat.clients, nat.to, nat.ports
                );
            }
        }
        for nat in &router.masquerade {
            rules += &format!("oifname {SERVERS} ip saddr {} masquerade\n", nat.clients);
        }
        rules += "}\n";
    }
    rules + "}\n"
}
