//! Services: what packets are sent to that rules translate to backends, and what translation has made of a flow.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use crate::{Cluster, Entry, Layer4, OwnAddresses, ProgramId, Protocol, Resolver, Service, Tuple, Untrusted};

/// What surrounds a table: the addresses that its flows come from and go to, and the services among them.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Addresses of the namespace's own.
    pub own: OwnAddresses,
    /// Those of each other namespace of this machine, where they could be read: pods and containers.
    pub neighbours: Vec<OwnAddresses>,
    /// Services, by the rules in force, and by Kubernetes where it was asked.
    pub services: Services,
    /// What Kubernetes says, where it was asked; else nothing.
    pub cluster: Cluster,
    /// What the resolvers are told of programs that look up names, where it could be read.
    pub resolvers: HashMap<ProgramId, Resolver>,
}

impl Surroundings {
    /// The service that a flow was sent to.
    pub fn service_of(&self, entry: &Entry) -> Option<ServiceId> {
        let asked = entry.original.service()?;
        let Services { by_address, by_port, all, .. } = &self.services;
        by_address.get(&asked).copied().or_else(|| {
            // Rules translate the flows that they match: one that stays untranslated was sent to something else.
            entry.translation().backend?;
            let at_port = by_port.get(&(asked.protocol, asked.port))?;
            let is_it = |id: &&ServiceId| match all.get(id.0).map(|service| service.at) {
                Some(ServedAt::OwnAddresses { .. }) => self.own.contains(asked.address),
                Some(ServedAt::AnyAddress { .. }) => true,
                Some(ServedAt::Address(_)) | None => false,
            };
            at_port.iter().find(is_it).copied()
        })
    }

    /// Whether an address is that of a pod or container: another namespace of this machine has it, a service of Kubernetes leads to it, or
    /// Kubernetes says so.
    pub fn is_pod(&self, address: IpAddr) -> bool {
        !self.own.contains(address)
            && (self.neighbours.iter().any(|neighbour| neighbour.contains(address))
                || self.services.pods.contains_key(&address)
                || self.cluster.pod(address).is_some())
    }
}

/// Services by the rules of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Services {
    all: Vec<KnownService>,
    /// What translates and was not understood, or could not be read.
    pub not_understood: Vec<Untrusted>,
    by_address: HashMap<Service, ServiceId>,
    by_port: HashMap<(Protocol, u16), Vec<ServiceId>>,
    by_backend: HashMap<Service, ServiceId>,
    pods: HashMap<IpAddr, ServiceId>,
}

/// Which of a namespace's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(usize);

impl Services {
    /// Takes services as rules tell them. What several of them say of one place is put together.
    pub fn new(found: impl IntoIterator<Item = KnownService>, not_understood: Vec<Untrusted>) -> Self {
        let mut services = Self { not_understood, ..Self::default() };
        let mut places = HashMap::new();
        for service in found {
            let id = *places.entry(service.at).or_insert_with(|| {
                services.all.push(KnownService { backends: Vec::new(), ..service.clone() });
                ServiceId(services.all.len() - 1)
            });
            if let Some(known) = services.all.get_mut(id.0) {
                known.add(service);
            }
        }
        for (place, service) in services.all.iter().enumerate() {
            let id = ServiceId(place);
            match service.at {
                ServedAt::Address(at) => {
                    services.by_address.insert(at, id);
                }
                ServedAt::OwnAddresses { protocol, port } | ServedAt::AnyAddress { protocol, port } => {
                    services.by_port.entry((protocol, port)).or_default().push(id);
                }
            }
            for backend in &service.backends {
                services.by_backend.entry(*backend).or_insert(id);
                if matches!(service.by, ServiceMaker::KubeProxy(_)) {
                    services.pods.entry(backend.address).or_insert(id);
                }
            }
        }
        services
    }

    /// The same with what Kubernetes tells of services: names, kinds and backends that rules do not tell, and services that were not seen in
    /// any rules. What rules tell stays.
    #[must_use]
    pub fn completed(self, told: &[KnownService]) -> Self {
        let by_place: HashMap<ServedAt, &KnownService> = told.iter().map(|service| (service.at, service)).collect();
        let mut all = self.all;
        for known in &mut all {
            // IPVS has a port of every node as one service for each of its addresses.
            let port = match known.at {
                ServedAt::Address(Service { protocol, port, .. }) if known.kind == ServiceKind::NodePort => {
                    Some(ServedAt::OwnAddresses { protocol, port })
                }
                _ => None,
            };
            let same = by_place.get(&known.at).or_else(|| by_place.get(&port?));
            if let Some(told) = same {
                known.complete(told);
            }
        }
        let seen: HashSet<ServedAt> = all.iter().map(|known| known.at).collect();
        all.extend(told.iter().filter(|service| !seen.contains(&service.at)).cloned());
        Self::new(all, self.not_understood)
    }

    /// A service.
    pub fn get(&self, id: ServiceId) -> Option<&KnownService> {
        self.all.get(id.0)
    }

    /// All of them, in the order in which they were told.
    pub fn iter(&self) -> impl Iterator<Item = &KnownService> {
        self.all.iter()
    }

    /// The first service that has this backend.
    pub fn with_backend(&self, backend: Service) -> Option<&KnownService> {
        self.get(*self.by_backend.get(&backend)?)
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownService {
    /// Where packets are sent to.
    pub at: ServedAt,
    /// What kind of address that is.
    pub kind: ServiceKind,
    /// `namespace/service:port`, as far as rules tell.
    pub name: Option<Untrusted>,
    /// What answers; none where the service has none, or rules do not tell.
    pub backends: Vec<Service>,
    /// Whether backends see their clients by an address of this machine's.
    pub masquerade: Masquerade,
    /// Who made the rules.
    pub by: ServiceMaker,
}

impl KnownService {
    fn add(&mut self, other: Self) {
        self.masquerade = self.masquerade.max(other.masquerade);
        self.name = self.name.take().or(other.name);
        // A service of Kubernetes may have a hundred thousand.
        let mut known: HashSet<Service> = self.backends.iter().copied().collect();
        self.backends.extend(other.backends.into_iter().filter(|backend| known.insert(*backend)));
    }

    /// Takes over what is not known of it yet.
    fn complete(&mut self, told: &Self) {
        if self.name.is_none() {
            self.name.clone_from(&told.name);
        }
        if self.kind == ServiceKind::External {
            self.kind = told.kind;
        }
        if self.backends.is_empty() {
            self.backends.clone_from(&told.backends);
        }
    }
}

/// `shop/web:http (ClusterIP 10.96.0.10:80/tcp)`; without a name `published port 8080/tcp`.
impl fmt::Display for KnownService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({} {})", self.kind, self.at),
            None => write!(f, "{} {}", self.kind, self.at),
        }
    }
}

/// Where packets are sent to that reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServedAt {
    /// One address.
    Address(Service),
    /// Each address of the machine's own.
    OwnAddresses {
        /// Protocol.
        protocol: Protocol,
        /// Port.
        port: u16,
    },
    /// Whatever address has the port.
    AnyAddress {
        /// Protocol.
        protocol: Protocol,
        /// Port.
        port: u16,
    },
}

impl fmt::Display for ServedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(service) => service.fmt(f),
            Self::OwnAddresses { protocol, port } | Self::AnyAddress { protocol, port } => {
                write!(f, "{port}/{protocol}")
            }
        }
    }
}

/// What kind of address a service is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKind {
    /// Kubernetes: within the cluster.
    ClusterIp,
    /// Kubernetes: a port of every node.
    NodePort,
    /// Kubernetes: the load balancer's.
    LoadBalancer,
    /// Kubernetes: one of `externalIPs`.
    ExternalIp,
    /// Kubernetes: one of the last two, where rules do not tell which.
    External,
    /// A container's port at an address of the machine.
    PublishedPort,
    /// IPVS': not Kubernetes'.
    Virtual,
    /// Of a rule that belongs to none of these.
    ForwardedPort,
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "load balancer",
            Self::ExternalIp => "external IP",
            Self::External => "external IP or load balancer",
            Self::PublishedPort => "published port",
            Self::Virtual => "virtual service",
            Self::ForwardedPort => "forwarded port",
        })
    }
}

/// Whether clients of a service are masqueraded. A client that reaches itself always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Masquerade {
    /// None of them.
    Nobody,
    /// Some: as a rule those from outside of the pods' network.
    Some,
    /// All.
    All,
}

/// Who made the rules of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceMaker {
    /// kube-proxy, in one of its modes.
    KubeProxy(KubeProxyMode),
    /// Whatever carries Kubernetes' services here: they are known by its API, not by rules. Whether clients are masqueraded is then what
    /// kube-proxy does, not what was seen.
    Kubernetes,
    /// Docker.
    Docker,
    /// The portmap plugin of CNI.
    CniPortmap,
    /// Podman's netavark.
    Netavark,
    /// Whoever set up IPVS.
    Ipvs,
    /// Somebody.
    Rules,
}

/// A mode of kube-proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KubeProxyMode {
    /// `iptables`.
    Iptables,
    /// `nftables`.
    Nftables,
    /// `ipvs`.
    Ipvs,
}

impl fmt::Display for ServiceMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KubeProxy(KubeProxyMode::Iptables) => "kube-proxy in iptables mode",
            Self::KubeProxy(KubeProxyMode::Nftables) => "kube-proxy in nftables mode",
            Self::KubeProxy(KubeProxyMode::Ipvs) => "kube-proxy in IPVS mode",
            Self::Kubernetes => "whatever carries Kubernetes' services here",
            Self::Docker => "Docker",
            Self::CniPortmap => "CNI's portmap plugin",
            Self::Netavark => "Podman",
            Self::Ipvs => "IPVS",
            Self::Rules => "rules of somebody's own",
        })
    }
}

/// What translation has made of a flow, told by its tuples: IPVS changes these and sets no status bit
/// (`ip_vs_update_conntrack` in `ip_vs_nfct.c`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// What answers instead of what was asked.
    pub backend: Option<Service>,
    /// The address that the backend sees instead of the client, or with another port than the client's.
    pub source: Option<IpAddr>,
    /// Whether the client is its own backend.
    pub is_hairpin: bool,
}

impl Entry {
    /// What translation has made of it.
    pub fn translation(&self) -> Translation {
        let (asked, answers) = (self.original.service(), self.reply.source_service());
        let backend = answers.filter(|answers| asked != Some(*answers));
        let sees = |tuple: &Tuple| match tuple.layer4 {
            Layer4::Ports { destination, .. } => Some((tuple.destination, Some(destination))),
            Layer4::Icmp { .. } | Layer4::None => Some((tuple.destination, None)),
        };
        let source = (sees(&self.reply) != sees(&self.original.mirrored())).then_some(self.reply.destination);
        let is_hairpin = backend.is_some() && self.reply.source == self.original.source;
        Translation { backend, source, is_hairpin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(from: &str, to: &str) -> Tuple {
        let parse = |end: &str| end.parse::<std::net::SocketAddr>().unwrap();
        let (from, to) = (parse(from), parse(to));
        let layer4 = Layer4::Ports { source: from.port(), destination: to.port() };
        Tuple { source: from.ip(), destination: to.ip(), protocol: Protocol::TCP, layer4 }
    }

    fn entry(from: &str, to: &str, answers: &str, is_answered: &str) -> Entry {
        Entry { reply: flow(answers, is_answered), ..Entry::of(flow(from, to)) }
    }

    fn at(end: &str) -> Service {
        flow("0.0.0.0:0", end).service().unwrap()
    }

    fn service(at: ServedAt, name: Option<&str>, backend: &str) -> KnownService {
        KnownService {
            at,
            kind: ServiceKind::ClusterIp,
            name: name.map(Untrusted::from),
            backends: vec![self::at(backend)],
            masquerade: Masquerade::Nobody,
            by: ServiceMaker::KubeProxy(KubeProxyMode::Iptables),
        }
    }

    #[test]
    fn tuples_tell_what_is_translated() {
        let (client, asked) = ("10.0.0.1:5000", "10.96.0.1:80");
        let told = |answers: &str, is_answered: &str| entry(client, asked, answers, is_answered).translation();
        assert_eq!(told(asked, client), Translation::default());
        let backend = Some(at("10.244.0.2:8080"));
        assert_eq!(told("10.244.0.2:8080", client), Translation { backend, ..Translation::default() });
        let node = Some("192.0.2.1".parse().unwrap());
        assert_eq!(told("10.244.0.2:8080", "192.0.2.1:999"), Translation { backend, source: node, is_hairpin: false });
        let other_port = told(asked, "10.0.0.1:999");
        assert_eq!((other_port.backend, other_port.source), (None, Some("10.0.0.1".parse().unwrap())));
        assert!(told("10.0.0.1:8080", "192.0.2.1:5000").is_hairpin);
        assert!(!told(asked, "192.0.2.1:5000").is_hairpin);
    }

    #[test]
    fn kubernetes_completes_what_rules_tell() {
        let bare = |at, kind| KnownService { kind, ..service(at, None, "10.244.0.2:80") };
        let address = |end| ServedAt::Address(at(end));
        let told = |at, kind, name| KnownService {
            kind,
            by: ServiceMaker::Kubernetes,
            masquerade: Masquerade::Some,
            ..service(at, Some(name), "10.244.0.9:80")
        };
        let port = ServedAt::OwnAddresses { protocol: Protocol::TCP, port: 30080 };
        let rules = Services::new(
            [
                bare(address("10.96.0.1:80"), ServiceKind::ClusterIp),
                bare(address("203.0.113.1:80"), ServiceKind::External),
                bare(address("192.0.2.1:30080"), ServiceKind::NodePort),
                service(address("10.96.0.2:80"), Some("rules/say"), "10.244.0.2:80"),
            ],
            vec!["odd".into()],
        );
        let services = rules.completed(&[
            told(address("10.96.0.1:80"), ServiceKind::ClusterIp, "a/web"),
            told(address("203.0.113.1:80"), ServiceKind::LoadBalancer, "a/web"),
            told(port, ServiceKind::NodePort, "a/node"),
            told(address("10.96.0.2:80"), ServiceKind::ClusterIp, "other"),
            told(address("10.96.0.3:80"), ServiceKind::ClusterIp, "a/new"),
        ]);
        let shown: Vec<_> = services.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "a/web (ClusterIP 10.96.0.1:80/tcp)",
                "a/web (load balancer 203.0.113.1:80/tcp)",
                "a/node (NodePort 192.0.2.1:30080/tcp)",
                "rules/say (ClusterIP 10.96.0.2:80/tcp)",
                "a/node (NodePort 30080/tcp)",
                "a/new (ClusterIP 10.96.0.3:80/tcp)",
            ]
        );
        let first = services.iter().next().unwrap();
        assert_eq!(
            (&*first.backends, first.masquerade),
            (&[at("10.244.0.2:80")][..], Masquerade::Nobody),
            "rules stay"
        );
        assert_eq!(services.not_understood.len(), 1);
    }

    #[test]
    fn a_flow_is_its_address_before_its_port() {
        let port = ServedAt::OwnAddresses { protocol: Protocol::TCP, port: 80 };
        let address = ServedAt::Address(at("10.96.0.1:80"));
        let mut surroundings = Surroundings::default();
        surroundings.own.add("192.0.2.1".parse().unwrap(), []);
        surroundings.services = Services::new(
            [
                service(port, Some("a/node"), "10.244.0.2:80"),
                service(address, None, "10.244.0.2:80"),
                service(address, Some("a/web:http"), "10.244.0.3:80"),
            ],
            Vec::new(),
        );
        let of = |to: &str, answers: &str| {
            let id = surroundings.service_of(&entry("10.0.0.1:5000", to, answers, "10.0.0.1:5000"))?;
            surroundings.services.get(id).map(ToString::to_string)
        };
        assert_eq!(of("10.96.0.1:80", "10.244.0.2:80").as_deref(), Some("a/web:http (ClusterIP 10.96.0.1:80/tcp)"));
        assert_eq!(of("192.0.2.1:80", "10.244.0.2:80").as_deref(), Some("a/node (ClusterIP 80/tcp)"));
        // Not of this machine, or served by itself.
        assert_eq!(of("192.0.2.9:80", "10.244.0.2:80"), None);
        assert_eq!(of("192.0.2.1:80", "192.0.2.1:80"), None);
        let both = surroundings.services.iter().last().unwrap();
        assert_eq!(both.backends, [at("10.244.0.2:80"), at("10.244.0.3:80")], "put together");
        assert!(surroundings.is_pod("10.244.0.3".parse().unwrap()));
        assert!(!surroundings.is_pod("192.0.2.1".parse().unwrap()));
        assert!(!surroundings.is_pod("127.0.0.1".parse().unwrap()));
    }
}
