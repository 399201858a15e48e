//! Flows through the rules of kube-proxy and Docker on the real kernel: what is said of each against who sent it, who got it, and whom that one saw.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::{Dump, own_addresses};
use plimsoll_host::HostFs;
use plimsoll_lab::LabNamespace;
use plimsoll_model::{Entry, KnownService, Masquerade, Protocol, Service, ServiceKind, Surroundings};
use plimsoll_rules::{Ipvs, Ruleset};

/// A packet is waited for so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A socket that is asked.
enum Server {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Server {
    fn bind(protocol: Protocol, at: SocketAddr) -> Self {
        if protocol == Protocol::TCP {
            let listener = TcpListener::bind(at).unwrap();
            listener.set_nonblocking(true).unwrap();
            return Self::Tcp(listener);
        }
        let socket = UdpSocket::bind(at).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self::Udp(socket)
    }

    /// What it got meanwhile, and answered.
    fn got(&self) -> Option<Got> {
        let (by, seen) = match self {
            Self::Tcp(listener) => (listener.local_addr(), listener.accept().ok()?.1),
            Self::Udp(socket) => {
                let (_, seen) = socket.recv_from(&mut [0; 64]).ok()?;
                socket.send_to(b"answer", seen).unwrap();
                (socket.local_addr(), seen)
            }
        };
        Some(Got { by: by.unwrap(), seen })
    }
}

/// What really became of a flow.
#[derive(Clone, Copy)]
struct Got {
    by: SocketAddr,
    seen: SocketAddr,
}

/// A host of its own behind the node: a pod, a container, or somebody outside.
struct Host {
    namespace: LabNamespace,
    servers: Vec<Server>,
}

impl Host {
    /// Connects it to the node by a device of the node's, with an address of the node's and one of its own for each family.
    fn build(node: &LabNamespace, device: &str, links: &[[&str; 2]], served: &[(Protocol, u16)]) -> Self {
        let namespace = LabNamespace::create().unwrap();
        let run = |at: &LabNamespace, command: &str| {
            at.run(&command.split(' ').collect::<Vec<_>>()).unwrap();
        };
        run(node, &format!("ip link add {device} type veth peer name eth0 netns {}", namespace.name()));
        run(node, &format!("ip link set {device} up"));
        run(&namespace, "ip link set eth0 up");
        let mut servers = Vec::new();
        for [gateway, address] in links {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            run(node, &format!("ip address add {gateway} dev {device}{nodad}"));
            run(node, &format!("ip route add {address} dev {device}"));
            run(&namespace, &format!("ip address add {address} dev eth0{nodad}"));
            run(&namespace, &format!("ip route add {gateway} dev eth0"));
            let everywhere = if address.contains(':') { "::/0" } else { "0.0.0.0/0" };
            run(&namespace, &format!("ip route add {everywhere} via {gateway}"));
            let bind = |(protocol, port): &(Protocol, u16)| {
                Server::bind(*protocol, SocketAddr::new(address.parse().unwrap(), *port))
            };
            servers.extend(namespace.enter(|| served.iter().map(bind).collect::<Vec<_>>()).unwrap());
        }
        Self { namespace, servers }
    }
}

const SERVED: [(Protocol, u16); 6] = [
    (Protocol::UDP, 53),
    (Protocol::TCP, 53),
    (Protocol::TCP, 2525),
    (Protocol::TCP, 8080),
    (Protocol::TCP, 8443),
    (Protocol::TCP, 9153),
];
const NODE_V4: &str = "192.0.2.1";
const NODE_V6: &str = "2001:db8::1";

/// A node with pods and a container, the pod of another node, and a client outside.
struct Cluster {
    node: LabNamespace,
    servers: Vec<Server>,
    outside: Host,
    pods: Vec<Host>,
}

impl Cluster {
    fn build() -> Self {
        let node = LabNamespace::create().unwrap();
        node.set("net/ipv4/ip_forward", 1).unwrap();
        node.set("net/ipv6/conf/all/forwarding", 1).unwrap();
        // So that none is gone before they are counted, however slow the machine.
        node.set("net/netfilter/nf_conntrack_udp_timeout", 3600).unwrap();
        let pod = |device: &str, v4: &str, v6: &str| {
            Host::build(&node, device, &[["10.244.0.1", v4], ["fd00:10:244::1", v6]], &SERVED)
        };
        let mut pods = vec![
            pod("pod2", "10.244.0.2", "fd00:10:244::2"),
            pod("pod3", "10.244.0.3", "fd00:10:244::3"),
            pod("pod4", "10.244.0.4", "fd00:10:244::4"),
            pod("far", "10.244.1.2", "fd00:10:244:1::2"),
        ];
        pods.push(Host::build(&node, "docker0", &[["172.17.0.1", "172.17.0.2"]], &[(Protocol::UDP, 53)]));
        let outside = Host::build(&node, "wan", &[[NODE_V4, "192.0.2.9"], [NODE_V6, "2001:db8::9"]], &[]);
        // What the node sends is led on only after it has been routed.
        for (everywhere, via) in [("0.0.0.0/0", "192.0.2.9"), ("::/0", "2001:db8::9")] {
            node.run(&["ip", "route", "add", everywhere, "via", via, "dev", "wan"]).unwrap();
        }
        let api = SocketAddr::new(NODE_V4.parse().unwrap(), 6443);
        let servers = node.enter(|| vec![Server::bind(Protocol::TCP, api)]).unwrap();
        Self { node, servers, outside, pods }
    }

    /// Loads rules by a program that reads them from a file, be it compressed or not.
    fn load(&self, program: &str, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        self.node.run(&["sh", "-c", &format!("xz -dcf {} | {program}", path.display())]).unwrap();
    }

    /// What the product knows of it.
    fn surroundings(&self) -> Surroundings {
        let (told, own) = self.node.enter(|| (HostFs::new().rulesets(), own_addresses().unwrap())).unwrap();
        assert!(told.unseen.is_empty(), "{:?}", told.unseen);
        let services = plimsoll_attribute::services(&Ruleset::read(&told.told).unwrap(), &Ipvs::default(), "");
        assert!(services.not_understood.is_empty(), "{:?}", services.not_understood);
        Surroundings { own, services, ..Surroundings::default() }
    }

    fn namespace(&self, client: Client) -> &LabNamespace {
        match client {
            Client::Outside => &self.outside.namespace,
            Client::Node => &self.node,
            Client::Pod2 => &self.pods[0].namespace,
            Client::Pod3 => &self.pods[1].namespace,
        }
    }

    /// Asks, and waits until somebody got it.
    fn ask(&self, client: &LabNamespace, protocol: Protocol, port: u16, to: SocketAddr) -> Flow {
        let asked = client.enter(|| Asked::of(protocol, port, to)).unwrap();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let mut servers = self.pods.iter().flat_map(|pod| &pod.servers).chain(&self.servers);
            if let Some(got) = servers.find_map(Server::got) {
                asked.get_answer();
                return Flow { asked, to, got };
            }
            std::thread::yield_now();
        }
        panic!("nobody got what {} asked {to}", asked.from);
    }

    /// The entries of all flows, by who opened them and to whom.
    fn entries(&self) -> HashMap<(Service, Service), Entry> {
        let read = || {
            let mut unknowns = plimsoll_ctnetlink::Unknowns::default();
            let (mut dump, mut entries) = (Dump::start().unwrap(), HashMap::new());
            while let Some(batch) = dump.next_batch().unwrap() {
                for dumped in batch.entries(&mut unknowns) {
                    let entry = dumped.unwrap().entry;
                    let ends = entry.original.source_service().zip(entry.original.service());
                    entries.extend(ends.map(|ends| (ends, entry)));
                }
            }
            entries
        };
        self.node.enter(read).unwrap()
    }
}

/// A client's end, kept open so that no other gets its port.
struct Asked {
    from: SocketAddr,
    end: End,
}

enum End {
    Tcp(#[expect(dead_code, reason = "held open")] TcpStream),
    Udp(UdpSocket),
}

impl Asked {
    /// The port is one of UDP's: TCP takes one that is free.
    fn of(protocol: Protocol, port: u16, to: SocketAddr) -> Self {
        if protocol == Protocol::TCP {
            let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
            return Self { from: stream.local_addr().unwrap(), end: End::Tcp(stream) };
        }
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, port)).unwrap();
        // It gets answers from there alone.
        socket.connect(to).unwrap();
        socket.send(b"plimsoll").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { from: socket.local_addr().unwrap(), end: End::Udp(socket) }
    }

    /// TCP has been answered before it is connected.
    fn get_answer(&self) {
        if let End::Udp(socket) = &self.end {
            socket.recv(&mut [0; 64]).expect("the answer comes back, from whom was asked");
        }
    }

    fn protocol(&self) -> Protocol {
        match self.end {
            End::Tcp(_) => Protocol::TCP,
            End::Udp(_) => Protocol::UDP,
        }
    }
}

/// A flow that was sent and got.
struct Flow {
    asked: Asked,
    to: SocketAddr,
    got: Got,
}

impl Flow {
    fn ends(&self) -> (Service, Service) {
        let protocol = self.asked.protocol();
        let service = |at: SocketAddr| Service { address: at.ip(), protocol, port: at.port() };
        (service(self.asked.from), service(self.to))
    }

    fn is_hairpin(&self) -> bool {
        self.got.by.ip() == self.asked.from.ip()
    }

    fn is_masqueraded(&self) -> bool {
        self.got.seen.ip() != self.asked.from.ip()
    }

    /// Whether the client was masqueraded as the rules are said to do.
    fn is_foretold(&self, service: &KnownService) -> bool {
        let client = self.asked.from.ip().to_string();
        let is_node = |address: &str| address == NODE_V4 || address == NODE_V6;
        // One of the node's own addresses may be the one that its packets have anyway, and what stays on the node does not come to postrouting.
        if is_node(&client) || is_node(&self.got.by.ip().to_string()) {
            return true;
        }
        let is_pod = client.starts_with("10.244.") || client.starts_with("fd00:10:244:");
        match (service.masquerade, service.kind) {
            (Masquerade::All, _) => self.is_masqueraded(),
            (Masquerade::Some, ServiceKind::ClusterIp) => self.is_masqueraded() == (!is_pod || self.is_hairpin()),
            // The node's own.
            (Masquerade::Some | Masquerade::Nobody, _) => self.is_masqueraded() == self.is_hairpin(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Outside,
    Node,
    Pod2,
    Pod3,
}

const ANYBODY: &[Client] = &[Client::Outside, Client::Node, Client::Pod2, Client::Pod3];
/// Whom `loadBalancerSourceRanges` lets in.
const OF_THE_RANGES: &[Client] = &[Client::Outside, Client::Node];
/// Who gets to backends of other nodes only, by `externalTrafficPolicy: Local`. kube-proxy in nftables mode stops the node, too.
const PODS: &[Client] = &[Client::Pod2, Client::Pod3];

/// What is looked for: an address that is asked, what it is called, and who may ask.
struct Case {
    protocol: Protocol,
    to: &'static str,
    called: &'static str,
    by: &'static [Client],
}

const fn tcp(to: &'static str, called: &'static str, by: &'static [Client]) -> Case {
    Case { protocol: Protocol::TCP, to, called, by }
}

const fn udp(to: &'static str, called: &'static str, by: &'static [Client]) -> Case {
    Case { protocol: Protocol::UDP, to, called, by }
}

/// The cluster of `crates/rules/tests/kube-proxy`.
const CASES: [Case; 19] = [
    tcp("10.96.0.1:443", "default/kubernetes:https (ClusterIP 10.96.0.1:443/tcp)", ANYBODY),
    udp("10.96.0.10:53", "kube-system/kube-dns:dns (ClusterIP 10.96.0.10:53/udp)", ANYBODY),
    udp("[fd00:10:96::a]:53", "kube-system/kube-dns:dns (ClusterIP [fd00:10:96::a]:53/udp)", ANYBODY),
    tcp("10.96.0.10:53", "kube-system/kube-dns:dns-tcp (ClusterIP 10.96.0.10:53/tcp)", ANYBODY),
    tcp("10.96.0.10:9153", "kube-system/kube-dns:metrics (ClusterIP 10.96.0.10:9153/tcp)", ANYBODY),
    tcp("10.96.0.20:80", "shop/web:http (ClusterIP 10.96.0.20:80/tcp)", ANYBODY),
    tcp("[fd00:10:96::14]:80", "shop/web:http (ClusterIP [fd00:10:96::14]:80/tcp)", ANYBODY),
    tcp("192.0.2.1:30080", "shop/web:http (NodePort 30080/tcp)", ANYBODY),
    tcp("[2001:db8::1]:30080", "shop/web:http (NodePort 30080/tcp)", ANYBODY),
    tcp("198.51.100.80:80", "shop/web:http (external IP 198.51.100.80:80/tcp)", ANYBODY),
    tcp("203.0.113.80:80", "shop/web:http (load balancer 203.0.113.80:80/tcp)", ANYBODY),
    udp("10.96.0.30:53", STICKY_CLUSTER_IP, ANYBODY),
    udp("192.0.2.1:30053", "shop/names (NodePort 30053/udp)", ANYBODY),
    tcp("10.96.0.40:443", "shop/shielded:https (ClusterIP 10.96.0.40:443/tcp)", ANYBODY),
    tcp("192.0.2.1:30443", "shop/shielded:https (NodePort 30443/tcp)", ANYBODY),
    tcp("203.0.113.81:443", "shop/shielded:https (load balancer 203.0.113.81:443/tcp)", OF_THE_RANGES),
    tcp("10.96.0.50:80", "shop/near:http (ClusterIP 10.96.0.50:80/tcp)", ANYBODY),
    tcp("10.96.0.60:25", "shop/away:smtp (ClusterIP 10.96.0.60:25/tcp)", ANYBODY),
    tcp("203.0.113.82:25", "shop/away:smtp (load balancer 203.0.113.82:25/tcp)", PODS),
];
/// Of a service with `sessionAffinity: ClientIP`.
const STICKY_CLUSTER_IP: &str = "shop/names (ClusterIP 10.96.0.30:53/udp)";

/// nftables mode keeps both kinds of outer addresses in one map.
fn in_one_map(called: &str) -> String {
    called.replace("(external IP", OUTER).replace("(load balancer", OUTER)
}
const OUTER: &str = "(external IP or load balancer";

const FIRST_PORT: u16 = 40_000;

/// Sends to each case from everybody who may ask, and compares.
fn compare(cluster: &Cluster, called: impl Fn(&str) -> String) {
    let around = cluster.surroundings();
    let mut counts = Counts::default();
    let mut port = FIRST_PORT;
    for case in &CASES {
        let to: SocketAddr = case.to.parse().unwrap();
        // So many that both backends are met, but once in a million.
        let clients: Vec<_> = case.by.iter().flat_map(|client| [*client; 6]).collect();
        let mut asked = Vec::new();
        for client in clients {
            port += 1;
            asked.push((client, cluster.ask(cluster.namespace(client), case.protocol, port, to)));
        }
        let entries = cluster.entries();
        assert_eq!(
            entries.len(),
            usize::from(port) - 40_000,
            "a flow takes one entry, whatever leads it to its backend"
        );
        for (client, flow) in &asked {
            let got = flow.got;
            let ends = flow.ends();
            let what = format!("{client:?} {} to {to}, got by {} from {}", ends.0, got.by, got.seen);
            let entry = entries.get(&ends).expect(&what);
            let what = format!("{what}: {entry:?}");

            let service = around.services.get(around.service_of(entry).expect(&what)).unwrap();
            assert_eq!(service.to_string(), called(case.called), "{what}");
            let translation = entry.translation();
            let backend = translation.backend.expect(&what);
            assert_eq!((backend.address, backend.port), (got.by.ip(), got.by.port()), "{what}");
            assert!(service.backends.contains(&backend), "{what}: {:?}", service.backends);
            let seen = (got.seen != flow.asked.from).then_some(got.seen.ip());
            assert_eq!(translation.source, seen, "{what}");
            assert_eq!(translation.is_hairpin, flow.is_hairpin(), "{what}");
            assert!(flow.is_foretold(service), "{what}: {:?}", service.masquerade);
            counts.add(case, *client, flow, backend);
        }
    }
    counts.assert_all_was_there();
}

#[derive(Debug, Default)]
struct Counts {
    backends: BTreeMap<&'static str, BTreeSet<Service>>,
    /// Of the service that keeps its clients.
    sticky: BTreeMap<Client, BTreeSet<Service>>,
    masqueraded: u32,
    hairpins: u32,
}

impl Counts {
    fn add(&mut self, case: &Case, client: Client, flow: &Flow, backend: Service) {
        self.backends.entry(case.called).or_default().insert(backend);
        if case.called == STICKY_CLUSTER_IP {
            self.sticky.entry(client).or_default().insert(backend);
        }
        self.masqueraded += u32::from(flow.is_masqueraded());
        self.hairpins += u32::from(flow.is_hairpin());
    }

    /// That there was something to be told.
    fn assert_all_was_there(&self) {
        let of = |service: &'static str| self.backends.iter().filter(move |(called, _)| called.starts_with(service));
        assert!(of("shop/web").chain(of("kube-system")).all(|(_, backends)| backends.len() >= 2), "{self:?}");
        assert!(of("shop/near").chain(of("default")).all(|(_, backends)| backends.len() == 1), "{self:?}");
        assert!(self.sticky.values().all(|backends| backends.len() == 1) && self.sticky.len() == 4, "{self:?}");
        assert!(self.masqueraded > 0 && self.hairpins > 0, "{self:?}");
    }
}

#[test]
fn flows_through_kube_proxys_rules_by_iptables_legacy() {
    let cluster = Cluster::build();
    cluster.load("iptables-legacy-restore", "../rules/tests/rulesets/kube-iptables.v4");
    cluster.load("ip6tables-legacy-restore", "../rules/tests/rulesets/kube-iptables.v6");
    compare(&cluster, str::to_string);
}

#[test]
fn flows_through_kube_proxys_rules_by_iptables_nft() {
    let cluster = Cluster::build();
    cluster.load("iptables-nft-restore", "../rules/tests/rulesets/kube-iptables.v4");
    cluster.load("ip6tables-nft-restore", "../rules/tests/rulesets/kube-iptables.v6");
    compare(&cluster, str::to_string);
}

#[test]
fn flows_through_kube_proxys_rules_for_many_endpoints() {
    let cluster = Cluster::build();
    cluster.load("iptables-nft-restore", "tests/rulesets/kube-iptables-large.v4.xz");
    cluster.load("ip6tables-nft-restore", "../rules/tests/rulesets/kube-iptables.v6");
    compare(&cluster, str::to_string);
}

#[test]
fn flows_through_kube_proxys_rules_by_nft() {
    let cluster = Cluster::build();
    cluster.load("nft -f -", "../rules/tests/rulesets/kube-nftables.nft");
    compare(&cluster, in_one_map);
}

#[test]
fn questions_that_the_node_answers_untracked_take_no_entry() {
    const QUESTIONS: u16 = 20;
    let mut cluster = Cluster::build();
    cluster.load("iptables-nft-restore", "../rules/tests/rulesets/kube-iptables.v4");
    let ask = |cluster: &Cluster, server: &str, first: u16| {
        let pod = &cluster.pods[0].namespace;
        let ask = |port| cluster.ask(pod, Protocol::UDP, port, server.parse().unwrap());
        (first..first + QUESTIONS).map(ask).map(|flow| flow.got.by.to_string()).collect::<BTreeSet<_>>()
    };
    let by_service = ask(&cluster, "10.96.0.10:53", FIRST_PORT);
    let pods = ["10.244.0.4:53", "10.244.1.2:53"];
    assert!(by_service.iter().all(|by| pods.contains(&by.as_str())), "{by_service:?}");
    assert_eq!(cluster.entries().len(), usize::from(QUESTIONS));

    // What NodeLocal DNSCache sets up: addresses of the node's own, the service's among them, and rules that leave these untracked.
    for address in ["169.254.20.10", "10.96.0.10"] {
        cluster.node.run(&["ip", "address", "add", address, "dev", "lo"]).unwrap();
        let at = SocketAddr::new(address.parse().unwrap(), 53);
        cluster.servers.push(cluster.node.enter(|| Server::bind(Protocol::UDP, at)).unwrap());
    }
    cluster.load("iptables-nft-restore", "tests/rulesets/node-local-dns.v4");
    for (server, first) in [("10.96.0.10:53", 41_000), ("169.254.20.10:53", 42_000)] {
        let by_node = ask(&cluster, server, first);
        assert!(by_node.iter().eq([server]), "{by_node:?}");
    }
    assert_eq!(cluster.entries().len(), usize::from(QUESTIONS), "none has come");
}

#[test]
fn flows_to_dockers_published_port() {
    for program in ["iptables-legacy-restore", "iptables-nft-restore"] {
        let cluster = Cluster::build();
        cluster.load(program, "../rules/tests/rulesets/docker.v4");
        let around = cluster.surroundings();
        let to = "192.0.2.1:8053".parse().unwrap();
        let flow = cluster.ask(&cluster.outside.namespace, Protocol::UDP, 40_000, to);
        assert_eq!((flow.got.by.to_string().as_str(), flow.got.seen), ("172.17.0.2:53", flow.asked.from));
        let entry = &cluster.entries()[&flow.ends()];
        let service = around.services.get(around.service_of(entry).unwrap()).unwrap();
        assert_eq!(service.to_string(), "published port 8053/udp");
        assert_eq!(service.by.to_string(), "Docker");
        let translation = entry.translation();
        assert_eq!(translation.backend.unwrap().to_string(), "172.17.0.2:53/udp");
        assert_eq!((translation.source, translation.is_hairpin), (None, false));
        // The container's own way out: masqueraded, and to no service.
        let outside: SocketAddr = "192.0.2.9:5353".parse().unwrap();
        let server = cluster.outside.namespace.enter(|| Server::bind(Protocol::UDP, outside)).unwrap();
        let asked = cluster.pods[4].namespace.enter(|| Asked::of(Protocol::UDP, 40_000, outside)).unwrap();
        let until = Instant::now() + PATIENCE;
        let got = loop {
            if let Some(got) = server.got() {
                break got;
            }
            assert!(Instant::now() < until, "nobody got it");
            std::thread::yield_now();
        };
        let flow = Flow { asked, to: outside, got };
        let entry = &cluster.entries()[&flow.ends()];
        assert_eq!(around.service_of(entry), None);
        assert_eq!((entry.translation().backend, entry.translation().source), (None, Some(got.seen.ip())));
        assert_eq!(got.seen.ip().to_string(), NODE_V4);
    }
}
