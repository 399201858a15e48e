//! Flows through the rules of kube-proxy and Docker on the real kernel: what is said of each against who sent it, who got it, and whom that one saw.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::{Dump, own_addresses};
use plimsoll_host::HostFs;
use plimsoll_lab::LabNamespace;
use plimsoll_model::{Entry, KnownService, Masquerade, Service, Surroundings};
use plimsoll_rules::{Ipvs, Ruleset};

/// A packet is waited for so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A host of its own behind the node: a pod, a container, or somebody outside.
struct Host {
    address: IpAddr,
    namespace: LabNamespace,
    /// What it serves by.
    sockets: Vec<UdpSocket>,
}

impl Host {
    /// Connects it to the node by a device of the node's, whose address is its gateway.
    fn build(node: &LabNamespace, device: &str, [gateway, address]: [&str; 2], ports: &[u16]) -> Self {
        let namespace = LabNamespace::create().unwrap();
        let run = |at: &LabNamespace, command: &str| {
            at.run(&command.split(' ').collect::<Vec<_>>()).unwrap();
        };
        run(node, &format!("ip link add {device} type veth peer name eth0 netns {}", namespace.name()));
        run(node, &format!("ip address add {gateway}/32 dev {device}"));
        run(node, &format!("ip link set {device} up"));
        run(node, &format!("ip route add {address}/32 dev {device}"));
        run(&namespace, &format!("ip address add {address}/32 dev eth0"));
        run(&namespace, "ip link set eth0 up");
        run(&namespace, &format!("ip route add {gateway}/32 dev eth0"));
        run(&namespace, &format!("ip route add default via {gateway}"));
        let address: IpAddr = address.parse().unwrap();
        let sockets = namespace.enter(|| ports.iter().map(|port| bound(SocketAddr::new(address, *port))).collect());
        Self { address, sockets: sockets.unwrap(), namespace }
    }
}

fn bound(at: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// A node with pods and a container, and a client outside of it.
struct Cluster {
    node: LabNamespace,
    outside: Host,
    pods: Vec<Host>,
    /// What the node itself serves by.
    own: Vec<UdpSocket>,
}

impl Cluster {
    fn build() -> Self {
        let node = LabNamespace::create().unwrap();
        node.set("net/ipv4/ip_forward", 1).unwrap();
        // So that none is gone before they are counted, however slow the machine.
        node.set("net/netfilter/nf_conntrack_udp_timeout", 3600).unwrap();
        let pod = |n: u8, ports: &[u16]| {
            Host::build(&node, &format!("pod{n}"), ["10.244.0.1", &format!("10.244.0.{n}")], ports)
        };
        let mut pods = vec![pod(2, &[8080, 53]), pod(3, &[8080, 53]), pod(4, &[53])];
        pods.push(Host::build(&node, "docker0", ["172.17.0.1", "172.17.0.2"], &[53]));
        let outside = Host::build(&node, "wan", ["192.0.2.1", "192.0.2.9"], &[]);
        // What the node sends is led on only after it has been routed.
        node.run(&["ip", "route", "add", "default", "via", "192.0.2.9", "dev", "wan"]).unwrap();
        Self { node, outside, pods, own: Vec::new() }
    }

    /// Loads rules by a program that reads them from a file.
    fn load(&self, program: &str, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        self.node.run(&["sh", "-c", &format!("{program} < {}", path.display())]).unwrap();
    }

    /// What the product knows of it.
    fn surroundings(&self) -> Surroundings {
        let (told, own) = self.node.enter(|| (HostFs::new().rulesets(), own_addresses().unwrap())).unwrap();
        assert!(told.unseen.is_empty(), "{:?}", told.unseen);
        let services = plimsoll_attribute::services(&Ruleset::read(&told.told).unwrap(), &Ipvs::default(), "");
        assert!(services.not_understood.is_empty(), "{:?}", services.not_understood);
        Surroundings { own, services, ..Surroundings::default() }
    }

    /// Sends a datagram, has it answered, and returns whose socket got it, and from where.
    fn send(&self, client: &LabNamespace, from: SocketAddr, to: SocketAddr) -> Got {
        let client = client.enter(|| UdpSocket::bind(from).unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.send_to(b"plimsoll", to).unwrap();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            for socket in self.pods.iter().flat_map(|pod| &pod.sockets).chain(&self.own) {
                if let Ok((_, seen)) = socket.recv_from(&mut [0; 64]) {
                    socket.send_to(b"answer", seen).unwrap();
                    let (_, answers) = client.recv_from(&mut [0; 64]).expect("the answer comes back");
                    assert_eq!(answers, to, "from whom it was asked of");
                    return Got { by: socket.local_addr().unwrap(), seen };
                }
            }
            std::thread::yield_now();
        }
        panic!("nobody got what {from} sent to {to}");
    }

    /// The entry of a flow, by who opened it.
    fn entry(&self, from: SocketAddr) -> Entry {
        let is_it = |entry: &Entry| {
            let of_client = entry.original.source_service();
            of_client.is_some_and(|of| (of.address, of.port) == (from.ip(), from.port()))
        };
        self.entries().into_iter().find(is_it).unwrap()
    }

    /// All that the node's table holds.
    fn entries(&self) -> Vec<Entry> {
        let read = || {
            let mut unknowns = plimsoll_ctnetlink::Unknowns::default();
            let (mut dump, mut entries) = (Dump::start().unwrap(), Vec::new());
            while let Some(batch) = dump.next_batch().unwrap() {
                entries.extend(batch.entries(&mut unknowns).map(|dumped| dumped.unwrap().entry));
            }
            entries
        };
        self.node.enter(read).unwrap()
    }
}

/// What really became of a datagram.
struct Got {
    by: SocketAddr,
    seen: SocketAddr,
}

/// What is looked for: an address that is asked, and what it is called.
struct Case {
    to: &'static str,
    called: &'static str,
}

const IPTABLES: [Case; 5] = [
    Case { to: "10.96.0.20:80", called: "shop/web:http (ClusterIP 10.96.0.20:80/udp)" },
    Case { to: "10.96.0.10:53", called: "kube-system/names (ClusterIP 10.96.0.10:53/udp)" },
    Case { to: "192.0.2.1:30080", called: "shop/web:http (NodePort 30080/udp)" },
    Case { to: "198.51.100.80:80", called: "shop/web:http (external IP 198.51.100.80:80/udp)" },
    Case { to: "203.0.113.80:80", called: "shop/web:http (load balancer 203.0.113.80:80/udp)" },
];

const NFTABLES: [Case; 4] = [
    Case { to: "10.96.0.20:80", called: "shop/web:http (ClusterIP 10.96.0.20:80/udp)" },
    Case { to: "10.96.0.10:53", called: "kube-system/names (ClusterIP 10.96.0.10:53/udp)" },
    Case { to: "192.0.2.1:30080", called: "shop/web:http (NodePort 30080/udp)" },
    Case { to: "203.0.113.80:80", called: "shop/web:http (external IP or load balancer 203.0.113.80:80/udp)" },
];

const FIRST_PORT: u16 = 40_000;

/// Sends to each case from outside, from the node and from two pods, and compares.
fn compare(cluster: &Cluster, cases: &[Case]) -> Counts {
    let around = cluster.surroundings();
    let mut counts = Counts::default();
    let mut port = FIRST_PORT;
    for case in cases {
        let to: SocketAddr = case.to.parse().unwrap();
        let node = ("192.0.2.1".parse().unwrap(), &cluster.node);
        let others = [&cluster.outside, &cluster.pods[0], &cluster.pods[1]].map(|host| (host.address, &host.namespace));
        // So many that each backend is met, but once in ten million.
        for (address, client) in others.into_iter().chain([node]).flat_map(|client| [client; 12]) {
            port += 1;
            let from = SocketAddr::new(address, port);
            let got = cluster.send(client, from, to);
            let entry = cluster.entry(from);
            let what = format!("{from} to {to}, got by {} from {}: {entry:?}", got.by, got.seen);

            let service = around.services.get(around.service_of(&entry).expect(&what)).unwrap();
            assert_eq!(service.to_string(), case.called, "{what}");
            let translation = entry.translation();
            let backend = translation.backend.expect(&what);
            assert_eq!((backend.address, backend.port), (got.by.ip(), got.by.port()), "{what}");
            assert!(service.backends.contains(&backend), "{what}");
            let seen = (got.seen != from).then_some(got.seen.ip());
            assert_eq!(translation.source, seen, "{what}");
            assert_eq!(translation.is_hairpin, got.by.ip() == address, "{what}");
            assert!(is_foretold(service, address, &got, translation.is_hairpin), "{what}: {:?}", service.masquerade);
            counts.add(backend, seen.is_some(), translation.is_hairpin);
        }
    }
    assert_eq!(cluster.entries().len(), usize::from(port - FIRST_PORT), "one entry a flow, however it is translated");
    counts
}

/// Whether the client was masqueraded as the rules are said to do.
fn is_foretold(service: &KnownService, client: IpAddr, got: &Got, is_hairpin: bool) -> bool {
    let is_masqueraded = got.seen.ip() != client;
    let is_pod = client.to_string().starts_with("10.244.");
    // One of the node's own addresses may be the one that its packets have anyway.
    let is_nodes = client.to_string() == "192.0.2.1";
    match service.masquerade {
        Masquerade::All => is_masqueraded || is_nodes,
        Masquerade::Some => is_masqueraded == (!is_pod || is_hairpin) || is_nodes,
        Masquerade::Nobody => is_masqueraded == is_hairpin,
    }
}

#[derive(Debug, Default)]
struct Counts {
    backends: BTreeMap<Service, u32>,
    masqueraded: u32,
    hairpins: u32,
}

impl Counts {
    fn add(&mut self, backend: Service, is_masqueraded: bool, is_hairpin: bool) {
        *self.backends.entry(backend).or_default() += 1;
        self.masqueraded += u32::from(is_masqueraded);
        self.hairpins += u32::from(is_hairpin);
    }

    /// That everything was there to be told.
    fn has_everything(&self, backends: usize) -> bool {
        self.backends.len() == backends && self.masqueraded > 0 && self.hairpins > 0
    }
}

#[test]
fn flows_through_kube_proxys_rules_by_iptables_legacy() {
    let cluster = Cluster::build();
    cluster.load("iptables-legacy-restore", "tests/rulesets/kube-all.v4");
    let counts = compare(&cluster, &IPTABLES);
    assert!(counts.has_everything(3), "{counts:?}");
}

#[test]
fn flows_through_kube_proxys_rules_by_iptables_nft() {
    let cluster = Cluster::build();
    cluster.load("iptables-nft-restore", "tests/rulesets/kube-all.v4");
    let counts = compare(&cluster, &IPTABLES);
    assert!(counts.has_everything(3), "{counts:?}");
}

#[test]
fn flows_through_kube_proxys_rules_by_nft() {
    let cluster = Cluster::build();
    cluster.load("nft -f -", "tests/rulesets/kube-all.nft");
    let counts = compare(&cluster, &NFTABLES);
    assert!(counts.has_everything(3), "{counts:?}");
}

#[test]
fn questions_that_the_node_answers_untracked_take_no_entry() {
    const QUESTIONS: u16 = 20;
    let mut cluster = Cluster::build();
    cluster.load("iptables-nft-restore", "tests/rulesets/kube-all.v4");
    let ask = |cluster: &Cluster, server: &str, first: u16| {
        let pod = &cluster.pods[0];
        let ask = |port| cluster.send(&pod.namespace, SocketAddr::new(pod.address, port), server.parse().unwrap());
        (first..first + QUESTIONS).map(ask).map(|got| got.by.to_string()).collect::<Vec<_>>()
    };
    let by_service = ask(&cluster, "10.96.0.10:53", FIRST_PORT);
    assert!(by_service.iter().all(|by| by == "10.244.0.4:53"), "{by_service:?}");
    assert_eq!(cluster.entries().len(), usize::from(QUESTIONS));

    // What NodeLocal DNSCache sets up: addresses of the node's own, the service's among them, and rules that leave these untracked.
    for address in ["169.254.20.10", "10.96.0.10"] {
        cluster.node.run(&["ip", "address", "add", address, "dev", "lo"]).unwrap();
        let at = SocketAddr::new(address.parse().unwrap(), 53);
        cluster.own.push(cluster.node.enter(|| bound(at)).unwrap());
    }
    cluster.load("iptables-nft-restore", "tests/rulesets/node-local-dns.v4");
    for (server, first) in [("10.96.0.10:53", 41_000), ("169.254.20.10:53", 42_000)] {
        let by_node = ask(&cluster, server, first);
        assert!(by_node.iter().all(|by| by == server), "{by_node:?}");
    }
    assert_eq!(cluster.entries().len(), usize::from(QUESTIONS), "none has come");
}

#[test]
fn flows_to_dockers_published_port() {
    for program in ["iptables-legacy-restore", "iptables-nft-restore"] {
        let cluster = Cluster::build();
        cluster.load(program, "../rules/tests/rulesets/docker.v4");
        let around = cluster.surroundings();
        let from: SocketAddr = "192.0.2.9:40000".parse().unwrap();
        let got = cluster.send(&cluster.outside.namespace, from, "192.0.2.1:8053".parse().unwrap());
        assert_eq!((got.by.to_string().as_str(), got.seen), ("172.17.0.2:53", from));
        let entry = cluster.entry(from);
        let service = around.services.get(around.service_of(&entry).unwrap()).unwrap();
        assert_eq!(service.to_string(), "published port 8053/udp");
        assert_eq!(service.by.to_string(), "Docker");
        let translation = entry.translation();
        assert_eq!(translation.backend.unwrap().to_string(), "172.17.0.2:53/udp");
        assert_eq!((translation.source, translation.is_hairpin), (None, false));
        // The container's own way out: masqueraded, and to no service.
        let from: SocketAddr = "172.17.0.2:40000".parse().unwrap();
        let outside = "192.0.2.9:5353".parse().unwrap();
        let (server, _) = (
            cluster.outside.namespace.enter(|| bound(outside)).unwrap(),
            cluster.pods[3]
                .namespace
                .enter(|| UdpSocket::bind(from).unwrap().send_to(b"out", outside).unwrap())
                .unwrap(),
        );
        let until = Instant::now() + PATIENCE;
        let seen = loop {
            if let Ok((_, seen)) = server.recv_from(&mut [0; 64]) {
                break seen.ip();
            }
            assert!(Instant::now() < until, "nobody got it");
            std::thread::yield_now();
        };
        let entry = cluster.entry(from);
        assert_eq!(around.service_of(&entry), None);
        assert_eq!((entry.translation().backend, entry.translation().source), (None, Some(seen)));
        assert_eq!(seen.to_string(), "192.0.2.1");
    }
}
