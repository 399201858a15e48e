//! Who wrote a rule, and what it is called there.
//!
//! kube-proxy in iptables mode comments its rules (`shop/web:http cluster IP`; `pkg/proxy/iptables/proxier.go`), in nftables mode it names chains
//! (`service-HASH-shop/web/tcp/http`; `pkg/proxy/nftables/proxier.go`), in IPVS mode it names nothing.

use plimsoll_model::{
    KnownService, KubeProxyMode, Masquerade, ServedAt, Service, ServiceKind, ServiceMaker, Untrusted,
};
use plimsoll_rules::{Chain, Element, Field, Key, Origin, Rule, Ruleset, Table, address_number};

use super::walk::{Led, Way};

/// What is said of a way.
pub(super) struct Named {
    pub(super) kind: ServiceKind,
    pub(super) name: Option<Untrusted>,
    pub(super) by: ServiceMaker,
}

impl Named {
    pub(super) fn of(led: &Led<'_>) -> Self {
        let way = &led.way;
        let by = maker(way.table, &way.chains);
        match by {
            ServiceMaker::KubeProxy(KubeProxyMode::Nftables) => {
                Self { kind: kind_by_map(way), name: name_of_chain(way), by }
            }
            ServiceMaker::KubeProxy(_) => of_comments(led, by),
            ServiceMaker::Docker | ServiceMaker::CniPortmap | ServiceMaker::Netavark => {
                Self { kind: ServiceKind::PublishedPort, name: None, by }
            }
            ServiceMaker::Ipvs | ServiceMaker::Rules | ServiceMaker::Kubernetes => {
                Self { kind: ServiceKind::ForwardedPort, name: None, by }
            }
        }
    }
}

fn maker(table: &Table, chains: &[&str]) -> ServiceMaker {
    let leads_by = |prefix: &str| chains.iter().any(|chain| chain.starts_with(prefix));
    if table.origin == Origin::Nft && table.name == KUBE_PROXY_TABLE {
        ServiceMaker::KubeProxy(KubeProxyMode::Nftables)
    } else if leads_by("KUBE-") {
        ServiceMaker::KubeProxy(KubeProxyMode::Iptables)
    } else if chains.contains(&"DOCKER") || table.name == "docker-bridges" {
        ServiceMaker::Docker
    } else if leads_by("CNI-") {
        ServiceMaker::CniPortmap
    } else if leads_by("NETAVARK-") || table.name == "netavark" {
        ServiceMaker::Netavark
    } else {
        ServiceMaker::Rules
    }
}

const KUBE_PROXY_TABLE: &str = "kube-proxy";
const NO_ENDPOINTS: &str = " has no endpoints";

/// What kube-proxy says behind a service's name of the rule for one of its addresses.
const KINDS: [(&str, ServiceKind); 3] = [
    (" cluster IP", ServiceKind::ClusterIp),
    (" external IP", ServiceKind::ExternalIp),
    (" loadbalancer IP", ServiceKind::LoadBalancer),
];

fn of_comments(led: &Led<'_>, by: ServiceMaker) -> Named {
    let way = &led.way;
    let step_from = |chain: &str| {
        let at = way.chains.iter().position(|name| *name == chain)?;
        way.steps.get(at).map(|(rule, _)| *rule)
    };
    let is_node_port = way.chains.contains(&"KUBE-NODEPORTS");
    let front = if is_node_port { step_from("KUBE-NODEPORTS") } else { step_from("KUBE-SERVICES") };
    let comment = |rule: &Rule| rule.comment.clone();
    // Beyond a thousand endpoints kube-proxy leaves out the comments of the rules for each of them.
    let told = front.and_then(comment).or_else(|| comment(led.rule));
    let (name, kind) = told.as_ref().map_or((None, None), |told| without_kind(told.as_str()));
    let leads_to = |prefix: &str| way.chains.iter().any(|chain| chain.starts_with(prefix));
    let kind = match kind {
        _ if is_node_port => ServiceKind::NodePort,
        Some(kind) => kind,
        None if leads_to("KUBE-EXT-") || leads_to("KUBE-FW-") || leads_to("KUBE-XLB-") => ServiceKind::External,
        None => ServiceKind::ClusterIp,
    };
    Named { kind, name, by }
}

/// Text of rules is escaped already.
fn without_kind(comment: &str) -> (Option<Untrusted>, Option<ServiceKind>) {
    let found = KINDS.iter().find_map(|(suffix, kind)| Some((comment.strip_suffix(suffix)?, *kind)));
    let (name, kind) = found.map_or((comment, None), |(name, kind)| (name, Some(kind)));
    // A name of Kubernetes' has a slash, and no blank.
    let is_name = name.contains('/') && !name.contains(' ');
    (is_name.then(|| Untrusted::from_escaped(name.to_string())), kind)
}

fn kind_by_map(way: &Way<'_>) -> ServiceKind {
    let came_by = |map: &str| way.steps.iter().any(|(_, told_by)| *told_by == Some(map));
    if came_by("service-nodeports") {
        ServiceKind::NodePort
    } else if is_cluster_ip(way) {
        ServiceKind::ClusterIp
    } else {
        ServiceKind::External
    }
}

fn is_cluster_ip(way: &Way<'_>) -> bool {
    let addresses = way.addresses().named();
    let known = way.table.sets.iter().find(|set| set.name == "cluster-ips");
    known.is_some_and(|known| {
        let has = |number: u128| {
            known.elements.iter().any(|element| element.values.first().is_some_and(|values| values.has(number)))
        };
        !addresses.is_empty() && addresses.into_iter().all(|address| has(address_number(address)))
    })
}

/// `service-HASH-namespace/name/protocol/port`, and the same behind `external-` and behind `local-`, which leads to backends on this node alone.
fn name_of_chain(way: &Way<'_>) -> Option<Untrusted> {
    let prefixes = ["service-", "local-", "external-"];
    let chain = way.chains.iter().find_map(|chain| prefixes.iter().find_map(|prefix| chain.strip_prefix(prefix)))?;
    let (_, name) = chain.split_once('-')?;
    let mut parts = name.split('/');
    let (namespace, service, _, port) = (parts.next()?, parts.next()?, parts.next(), parts.next());
    Some(match port.filter(|port| !port.is_empty()) {
        Some(port) => Untrusted::from(format!("{namespace}/{service}:{port}").as_str()),
        None => Untrusted::from(format!("{namespace}/{service}").as_str()),
    })
}

/// Services that kube-proxy refuses, since nothing answers for them.
pub(super) fn without_backends(ruleset: &Ruleset) -> Vec<KnownService> {
    let mut found = Vec::new();
    for table in &ruleset.tables {
        for chain in table.chains.iter().filter(|chain| chain.name.starts_with("KUBE-")) {
            found.extend(chain.rules.iter().filter_map(|rule| refused(table, chain, rule)));
        }
        if table.origin == Origin::Nft && table.name == KUBE_PROXY_TABLE {
            found.extend(refused_by_maps(table));
        }
    }
    found
}

fn refused(table: &Table, chain: &Chain, rule: &Rule) -> Option<KnownService> {
    let name = rule.comment.as_ref()?.as_str().strip_suffix(NO_ENDPOINTS)?;
    let mut way = Way::to(table, &chain.name);
    if !way.meets(rule) {
        return None;
    }
    let is_outer = chain.name == "KUBE-EXTERNAL-SERVICES";
    let kind = if is_outer { ServiceKind::External } else { ServiceKind::ClusterIp };
    without_answer(&way, kind, without_kind(name).0, KubeProxyMode::Iptables)
}

/// In nftables mode two maps have them, each with its name in a comment.
fn refused_by_maps(table: &Table) -> Vec<KnownService> {
    let of_address = [Field::Destination, Field::Protocol, Field::DestinationPort].map(Key::Field);
    let of_node = [Field::Protocol, Field::DestinationPort].map(Key::Field);
    let maps = [("no-endpoint-services", &of_address[..]), ("no-endpoint-nodeports", &of_node[..])];
    let elements = |name: &str| {
        let map = table.sets.iter().find(|set| set.name == name);
        map.map_or(&[][..], |map| map.elements.as_slice()).iter()
    };
    let refused = |(name, keys)| elements(name).filter_map(move |element| refused_by(table, keys, element));
    maps.into_iter().flat_map(refused).collect()
}

fn refused_by(table: &Table, keys: &[Key], element: &Element) -> Option<KnownService> {
    let mut way = Way::to(table, &table.name);
    if !way.takes(keys, element) {
        return None;
    }
    let kind = if is_cluster_ip(&way) { ServiceKind::ClusterIp } else { ServiceKind::External };
    let name = element.comment.as_ref().and_then(|comment| without_kind(comment.as_str()).0);
    without_answer(&way, kind, name, KubeProxyMode::Nftables)
}

/// Where packets that come this way are sent to an address, it is of this kind; else it is a port of the node's.
fn without_answer(
    way: &Way<'_>,
    of_address: ServiceKind,
    name: Option<Untrusted>,
    mode: KubeProxyMode,
) -> Option<KnownService> {
    let (protocol, port) = (way.protocol()?, way.port()?);
    let (at, kind) = match way.addresses().named().first().copied() {
        Some(address) => (ServedAt::Address(Service { address, protocol, port }), of_address),
        None => (ServedAt::OwnAddresses { protocol, port }, ServiceKind::NodePort),
    };
    let by = ServiceMaker::KubeProxy(mode);
    Some(KnownService { at, kind, name, backends: Vec::new(), masquerade: Masquerade::Nobody, by })
}
