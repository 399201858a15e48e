//! Services of IPVS, and what kube-proxy's sets say of them: these know addresses, but no names.

use plimsoll_model::{KnownService, KubeProxyMode, Protocol, ServedAt, Service, ServiceKind, ServiceMaker};
use plimsoll_rules::{Ipvs, Rule, Ruleset, VirtualService};

use super::ipsets::Sets;
use super::marked::Marking;

/// What IPVS balances.
pub(super) struct Balanced {
    pub(super) services: Vec<KnownService>,
    /// Whether there were more rules to follow than are followed: whom they masquerade is not known of all then.
    pub(super) is_cut: bool,
}

/// The services of IPVS.
pub(super) fn services(ruleset: &Ruleset, ipvs: &Ipvs, ipsets: &str) -> Balanced {
    if ipvs.services.is_empty() {
        return Balanced { services: Vec::new(), is_cut: false };
    }
    let sets = Sets::of(ipsets);
    let is_kube_proxys = rules(ruleset).any(|rule| rule.text.as_str().contains("--match-set KUBE-"));
    let by = if is_kube_proxys { ServiceMaker::KubeProxy(KubeProxyMode::Ipvs) } else { ServiceMaker::Ipvs };
    // Port 0 stands for all ports, by a mark's service; such packets have no one service here.
    let one_port = ipvs.services.iter().filter(|service| service.at.port != 0);
    let mut marking = Marking::of(ruleset, &sets);
    let known = |VirtualService { at, servers }: &VirtualService| KnownService {
        at: ServedAt::Address(*at),
        kind: kind(&sets, *at),
        name: None,
        backends: servers.clone(),
        masquerade: marking.masquerade(*at),
        by,
    };
    let services = one_port.map(known).collect();
    Balanced { services, is_cut: marking.is_cut() }
}

/// kube-proxy's sets of addresses and ports, `KUBE-6-` being those of IPv6 (`pkg/proxy/ipvs/ipset.go`).
const OF_SERVICES: [(&str, ServiceKind); 5] = [
    ("CLUSTER-IP", ServiceKind::ClusterIp),
    ("EXTERNAL-IP", ServiceKind::ExternalIp),
    ("EXTERNAL-IP-LOCAL", ServiceKind::ExternalIp),
    ("LOAD-BALANCER", ServiceKind::LoadBalancer),
    ("NODE-PORT-SCTP-HASH", ServiceKind::NodePort),
];
/// And those of ports alone.
const OF_PORTS: [(&str, Protocol); 2] = [("NODE-PORT-TCP", Protocol::TCP), ("NODE-PORT-UDP", Protocol::UDP)];

fn kind(sets: &Sets<'_>, at: Service) -> ServiceKind {
    let prefix = if at.address.is_ipv4() { "KUBE-" } else { "KUBE-6-" };
    let of_service = OF_SERVICES.iter().find(|(set, _)| sets.has_service(&format!("{prefix}{set}"), at));
    let is_of_port =
        |(set, protocol): &(&str, Protocol)| *protocol == at.protocol && sets.has_port(&format!("{prefix}{set}"), at);
    match of_service {
        Some((_, kind)) => *kind,
        None if OF_PORTS.iter().any(is_of_port) => ServiceKind::NodePort,
        None => ServiceKind::Virtual,
    }
}

fn rules(ruleset: &Ruleset) -> impl Iterator<Item = &Rule> {
    ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules)
}
