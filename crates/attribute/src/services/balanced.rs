//! Services of IPVS, and what kube-proxy's sets say of them: these know addresses, but no names.

use std::collections::HashSet;

use plimsoll_model::{KnownService, KubeProxyMode, Masquerade, Protocol, ServedAt, Service, ServiceKind, ServiceMaker};
use plimsoll_rules::{Ipvs, Rule, Ruleset, Statement, Term, Verdict, VirtualService};

use super::walk::{is_marking, masked};

/// What IPVS balances.
pub(super) fn services(ruleset: &Ruleset, ipvs: &Ipvs, ipsets: &str) -> Vec<KnownService> {
    if ipvs.services.is_empty() {
        return Vec::new();
    }
    let sets = Sets::of(ipsets);
    let is_kube_proxys = rules(ruleset).any(|rule| rule.text.as_str().contains("--match-set KUBE-"));
    let by = if is_kube_proxys { ServiceMaker::KubeProxy(KubeProxyMode::Ipvs) } else { ServiceMaker::Ipvs };
    let marked = Marked::of(ruleset);
    // Port 0 stands for all ports, by a mark's service; such packets have no one service here.
    let one_port = ipvs.services.iter().filter(|service| service.at.port != 0);
    one_port.map(|service| known(service, &sets, &marked, by)).collect()
}

fn known(service: &VirtualService, sets: &Sets<'_>, marked: &Marked<'_>, by: ServiceMaker) -> KnownService {
    let VirtualService { at, servers } = service;
    let (kind, set) = sets.kind(*at).unwrap_or((ServiceKind::Virtual, ""));
    KnownService {
        at: ServedAt::Address(*at),
        kind,
        name: None,
        backends: servers.clone(),
        masquerade: marked.of_set(set),
        by,
    }
}

/// Elements of kube-proxy's sets, each as `ipset save` writes it.
struct Sets<'a>(HashSet<(&'a str, &'a str)>);

/// The sets of a kind: those of addresses and ports (`10.96.0.1,tcp:443`), with `KUBE-6-` for IPv6 (`pkg/proxy/ipvs/ipset.go`).
const KINDS: [(&str, &str, ServiceKind); 3] = [
    ("KUBE-CLUSTER-IP", "KUBE-6-CLUSTER-IP", ServiceKind::ClusterIp),
    ("KUBE-EXTERNAL-IP", "KUBE-6-EXTERNAL-IP", ServiceKind::ExternalIp),
    ("KUBE-LOAD-BALANCER", "KUBE-6-LOAD-BALANCER", ServiceKind::LoadBalancer),
];

impl<'a> Sets<'a> {
    fn of(ipsets: &'a str) -> Self {
        let element = |line: &'a str| {
            let mut words = line.strip_prefix("add ")?.split_ascii_whitespace();
            Some((words.next()?, words.next()?))
        };
        Self(ipsets.lines().filter_map(element).collect())
    }

    fn kind(&self, at: Service) -> Option<(ServiceKind, &'static str)> {
        let Service { address, protocol, port } = at;
        // Where a host has no /etc/protocols, ipset writes a protocol as its number.
        let elements = [format!("{address},{protocol}:{port}"), format!("{address},{}:{port}", protocol.0)];
        let has = |set: &'static str, element: &str| self.0.contains(&(set, element));
        let has_any = |set: &&'static str| elements.iter().any(|element| has(set, element));
        let by_address =
            KINDS.iter().find_map(|(v4, v6, kind)| [*v4, *v6].into_iter().find(has_any).map(|set| (*kind, set)));
        by_address.or_else(|| {
            let sets = match protocol {
                Protocol::TCP => ["KUBE-NODE-PORT-TCP", "KUBE-6-NODE-PORT-TCP"],
                Protocol::UDP => ["KUBE-NODE-PORT-UDP", "KUBE-6-NODE-PORT-UDP"],
                _ => return None,
            };
            sets.into_iter().find(|set| has(set, &port.to_string())).map(|set| (ServiceKind::NodePort, set))
        })
    }
}

/// The rules that mark packets to be masqueraded, of which a set tells.
struct Marked<'a>(Vec<&'a Rule>);

impl<'a> Marked<'a> {
    fn of(ruleset: &'a Ruleset) -> Self {
        let marking: HashSet<&str> = ruleset
            .tables
            .iter()
            .flat_map(|table| &table.chains)
            .filter(|chain| is_marking(chain))
            .map(|chain| chain.name.as_str())
            .collect();
        let marks = |rule: &&Rule| {
            rule.terms.iter().any(|term| match term {
                Term::Statement(Statement::Verdict(Verdict::Jump(to) | Verdict::Goto(to))) => {
                    marking.contains(to.as_str())
                }
                _ => false,
            })
        };
        Self(rules(ruleset).filter(marks).collect())
    }

    fn of_set(&self, set: &str) -> Masquerade {
        let names = format!("--match-set {set} ");
        let told = self.0.iter().filter(|rule| !set.is_empty() && rule.text.as_str().contains(&names));
        told.map(|rule| masked(rule)).max().unwrap_or(Masquerade::Nobody)
    }
}

fn rules(ruleset: &Ruleset) -> impl Iterator<Item = &Rule> {
    ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules)
}
