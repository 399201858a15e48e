//! What Kubernetes does to a table: services by name, probes, clashes of DNS, settings of kube-proxy, and tenants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_diagnose::diagnose;
use plimsoll_model::{
    Capacity, Cluster, Confidence, Counter, Effect, End, Ends, Entry, Finding, FindingId, KnownService,
    KubeProxyConfiguration, KubeProxyMode, Lasting, Layer4, Masquerade, Order, OwnAddresses, Owner, Pod, Presence,
    Program, ProgramId, Protocol, Resolver, ServedAt, Service, ServiceKind, ServiceMaker, Services, SettingInFile,
    Severity, Snapshot, Surroundings, Sysctl, TcpState, Untrusted, Workload, WorkloadKind, Writer, WriterKind, Written,
};

use crate::support::entries::{ASSURED, REPLIED, closed, established, port, table, tcp, tuple};
use crate::support::{CAPACITY, change};

const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn pod(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0af4_0000 | number).into()
}

fn found(snapshot: &Snapshot, id: FindingId) -> Option<Finding> {
    diagnose(snapshot).into_iter().find(|finding| finding.id == id)
}

fn says(finding: &Finding, text: &str) -> bool {
    finding.evidence.iter().any(|evidence| evidence.text.contains(text))
}

fn surrounded(mut snapshot: Snapshot, services: Vec<KnownService>) -> Snapshot {
    let mut around = Surroundings::default();
    around.own.add(NODE.into(), []);
    let mut pods = OwnAddresses::default();
    (2..200).for_each(|number| pods.add(pod(number), []));
    around.neighbours.push(pods);
    around.services = Services::new(services, Vec::new());
    snapshot.namespaces[0].surroundings = Some(around);
    snapshot
}

fn at(address: IpAddr, protocol: Protocol, port: u16) -> Service {
    Service { address, protocol, port }
}

fn service(at: ServedAt, kind: ServiceKind, name: &str, backends: Vec<Service>) -> KnownService {
    let by = ServiceMaker::KubeProxy(KubeProxyMode::Iptables);
    KnownService { at, kind, name: Some(name.into()), backends, masquerade: Masquerade::Some, by }
}

/// Closed connections to one `ClusterIP` that pods answer; each tenth of a client that reaches itself, and is masqueraded.
fn through_a_service(count: u32) -> impl Iterator<Item = Entry> {
    let cluster_ip = Ipv4Addr::new(10, 96, 0, 20).into();
    closed(count, 200).enumerate().map(move |(n, entry)| {
        let mut original = plimsoll_model::Tuple { destination: cluster_ip, ..entry.original };
        let backend = pod(2 + u32::try_from(n).unwrap() % 2);
        if n % 10 == 0 {
            original.source = backend;
        }
        let mut reply = original.mirrored();
        reply.source = backend;
        let Layer4::Ports { source, .. } = original.layer4 else { panic!("no ports") };
        reply.layer4 = Layer4::Ports { source: 8080, destination: source };
        if n % 10 == 0 {
            reply.destination = NODE.into();
        }
        // IPVS sets no status bit.
        Entry { original, reply, ..entry }
    })
}

#[test]
fn services_and_backends_are_called_by_their_names() {
    let front = at(Ipv4Addr::new(10, 96, 0, 20).into(), Protocol::TCP, 80);
    let backends = vec![at(pod(2), Protocol::TCP, 8080), at(pod(3), Protocol::TCP, 8080)];
    let web = service(ServedAt::Address(front), ServiceKind::ClusterIp, "shop/web:http", backends);
    let bare = found(&table(through_a_service(4000)), FindingId::NatOrServiceChurn).unwrap();
    assert!(says(&bare, "services: 10.96.0.20:80/tcp 100.0%"), "{bare:#?}");
    let named = surrounded(table(through_a_service(4000)), vec![web]);
    let named = found(&named, FindingId::NatOrServiceChurn).unwrap();
    for text in [
        "services: shop/web:http (ClusterIP 10.96.0.20:80/tcp) 100.0%",
        "10.244.0.2:8080/tcp (shop/web:http) 50.0%",
        "masqueraded as: 192.0.2.1",
        "10.0% (10.0% to 10.0%) are of clients that reach themselves",
        "translated by kube-proxy in iptables mode",
    ] {
        assert!(says(&named, text), "{text}: {named:#?}");
    }
}

/// Each target asked by the node so many times, evenly over the last two minutes.
fn probes(targets: u32, each: u32) -> impl Iterator<Item = Entry> {
    let count = targets * each;
    (0..count).map(move |n| {
        let mut tuple = tuple(Protocol::TCP, 0, port(n), pod(2 + n % targets), 8080);
        tuple.source = NODE.into();
        tcp(tuple, TcpState::TimeWait, ASSURED, n * 120 / count)
    })
}

#[test]
fn what_the_node_asks_of_its_pods_seldom_and_steadily_is_probes() {
    let probed = surrounded(table(probes(50, 80)), Vec::new());
    let finding = found(&probed, FindingId::ProbeChurn).unwrap();
    assert_eq!((finding.confidence, finding.severity), (Confidence::Likely, Severity::Info));
    assert!(finding.title.contains("probes 50 ports of pods"), "{finding:#?}");
    assert!(says(&finding, "each of 50 targets is asked every 1."), "{finding:#?}");
    assert!(found(&probed, FindingId::ReverseProxyChurn).is_none(), "an entry is of one cause");
    // Where it is not known what surrounds the table, it is few sources' short connections.
    assert!(found(&table(probes(50, 80)), FindingId::ReverseProxyChurn).is_some());
}

#[test]
fn more_than_three_probes_a_second_is_no_probe() {
    let per_target = |each| found(&surrounded(table(probes(4, each)), Vec::new()), FindingId::ProbeChurn);
    assert!(per_target(359).is_some());
    assert!(per_target(361).is_none());
}

#[test]
fn what_came_all_at_once_is_probes_only_perhaps() {
    let burst =
        probes(50, 80).map(|entry| Entry { remaining_secs: entry.remaining_secs.map(|left| 100 + left / 6), ..entry });
    let finding = found(&surrounded(table(burst), Vec::new()), FindingId::ProbeChurn).unwrap();
    assert_eq!(finding.confidence, Confidence::Possible, "{finding:#?}");
}

fn program(command: &str, pod: Option<&str>, unit: Option<&str>) -> Program {
    let owner = Owner {
        pid: 1,
        command: command.into(),
        unit: unit.map(Untrusted::from),
        container: None,
        pod: None,
        called: pod.map(Untrusted::from),
    };
    Program { owner, namespace: Untrusted::from("host") }
}

#[test]
fn the_program_that_asks_tells_whether_it_probes() {
    let asked_by = |command: &str| {
        let mut snapshot = surrounded(table(probes(50, 80)), Vec::new());
        let census = snapshot.namespaces[0].census.as_mut().unwrap();
        census.programs = vec![program(command, None, None)];
        let ends = Ends { client: End::Closed { by: ProgramId(0) }, server: End::NotHere };
        census.drawn.iter_mut().step_by(3).for_each(|drawn| drawn.ends = Some(ends));
        found(&snapshot, FindingId::ProbeChurn).map(|finding| finding.confidence)
    };
    assert_eq!(asked_by("kubelet"), Some(Confidence::Certain));
    assert_eq!(asked_by("k3s-server"), Some(Confidence::Certain));
    assert_eq!(asked_by("nginx"), None);
}

/// Answered questions: so many by the cluster's resolver, and so many to one that is not translated.
fn questions(translated: u32, plain: u32) -> Snapshot {
    let resolver = Ipv4Addr::new(10, 96, 0, 10).into();
    let entries = (0..translated + plain).map(move |n| {
        let tuple = tuple(Protocol::UDP, n % 50, port(n / 50), resolver, 53);
        let mut entry = Entry { status: REPLIED, remaining_secs: Some(n % 30), ..Entry::of(tuple) };
        if n < translated {
            entry.reply.source = pod(2);
        }
        entry.packets = std::num::NonZeroU64::new(if n % 2 == 0 { 4 } else { 2 });
        entry
    });
    table(entries)
}

#[test]
fn clashes_are_dnss_where_half_of_udp_is() {
    let clashing = |translated, plain, counters: &[(Counter, u32)]| {
        let mut snapshot = questions(translated, plain);
        snapshot.namespaces[0].change = Some(change(counters));
        let mut ids: Vec<_> = diagnose(&snapshot).into_iter().filter(|finding| finding.holds.is_none()).collect();
        ids.retain(|finding| matches!(finding.id, FindingId::DnsClash | FindingId::InsertClash));
        ids
    };
    let lost = [(Counter::InsertFailed, 5), (Counter::Drop, 5), (Counter::ClashResolved, 2)];
    let told = clashing(500, 500, &lost);
    assert_eq!((told.len(), told[0].id, told[0].severity), (1, FindingId::DnsClash, Severity::Warning), "{told:#?}");
    assert!(says(&told[0], "50.0% (50.0% to 50.0%) of the entries of UDP are DNS"), "{told:#?}");
    assert!(says(&told[0], "250 of those looked at have four packets"), "{told:#?}");
    let others = clashing(499, 501, &lost);
    assert_eq!((others.len(), others[0].id), (1, FindingId::InsertClash));
    assert!(says(&others[0], "are DNS by a translated address"), "what is known of DNS is told there, too");
    // Resolved ones are worth a word from one a second on, and only of DNS.
    let resolved = clashing(900, 100, &[(Counter::ClashResolved, 1)]);
    assert_eq!((resolved[0].id, resolved[0].severity), (FindingId::DnsClash, Severity::Info));
    assert!(clashing(900, 100, &[]).is_empty());
    assert!(clashing(100, 900, &[(Counter::ClashResolved, 50)]).is_empty());
}

/// A file sets a limit, and kube-proxy another.
fn set_by_file_and_kube_proxy(file: &str, kube_proxy: u32) -> Snapshot {
    let mut snapshot = support::host();
    let setting = SettingInFile {
        name: "net.netfilter.nf_conntrack_max".into(),
        value: file.into(),
        file: "/etc/sysctl.d/90-limit.conf".into(),
    };
    snapshot.lasting = Some(Lasting { sysctl: vec![setting], ..Lasting::default() });
    let sets = Effect::Sets {
        sysctl: Sysctl::CAPACITY,
        value: Written::ByVersion { newest: kube_proxy, older: kube_proxy },
        from: "--conntrack-min".into(),
        order: Order::Last,
    };
    let presence = Presence::Running { pid: 7 };
    snapshot.writers = vec![Writer { kind: WriterKind::KubeProxy, presence, effects: vec![sets] }];
    snapshot
}

#[test]
fn a_files_value_that_kube_proxy_has_replaced_is_said_once() {
    let owned = set_by_file_and_kube_proxy("500000", CAPACITY);
    let finding = found(&owned, FindingId::KubeProxyOwnsSetting).unwrap();
    assert_eq!(finding.severity, Severity::Info);
    assert!(
        finding.title.contains("500,000") && says(&finding, "kube-proxy (process 7) (--conntrack-min)"),
        "{finding:#?}"
    );
    let persistent = found(&owned, FindingId::SettingsNotPersistent);
    assert!(!persistent.is_some_and(|finding| says(&finding, "nf_conntrack_max")), "a boot ends with what is in force");
    // The same value, or one that somebody else has set.
    assert!(
        found(&set_by_file_and_kube_proxy(&CAPACITY.to_string(), CAPACITY), FindingId::KubeProxyOwnsSetting).is_none()
    );
    let others = set_by_file_and_kube_proxy("500000", 77_777);
    assert!(found(&others, FindingId::KubeProxyOwnsSetting).is_none());
    let mut filling = set_by_file_and_kube_proxy("500000", CAPACITY);
    filling.namespaces[0].occupancy = Some(plimsoll_model::Occupancy(CAPACITY * 3 / 4));
    assert_eq!(found(&filling, FindingId::KubeProxyOwnsSetting).unwrap().severity, Severity::Warning);
    let mut lower = set_by_file_and_kube_proxy("5000", CAPACITY);
    lower.namespaces[0].occupancy = Some(plimsoll_model::Occupancy(CAPACITY * 3 / 4));
    assert_eq!(found(&lower, FindingId::KubeProxyOwnsSetting).unwrap().severity, Severity::Info);
}

/// A table of which a pod has so many hundredths, and a unit the rest.
fn shared(hundredths: u32, entries: u32) -> Snapshot {
    let mut snapshot = table(established(entries, 432_000 - 20));
    let census = snapshot.namespaces[0].census.as_mut().unwrap();
    let pod = |name: &str| program("java", Some(name), None);
    census.programs =
        vec![pod("shop/web-1/main"), pod("shop/web-1/sidecar"), program("sshd", None, Some("ssh.service"))];
    for (n, drawn) in census.drawn.iter_mut().enumerate() {
        let of_pod = u32::try_from(n).unwrap() % 100 < hundredths;
        let by = ProgramId(if of_pod { u16::try_from(n % 2).unwrap() } else { 2 });
        drawn.ends = Some(Ends { client: End::NotHere, server: End::Closed { by } });
    }
    snapshot
}

#[test]
fn a_pod_that_holds_most_of_a_table_that_fills_is_a_tenant() {
    let eight = CAPACITY * 8 / 10;
    let tenant = found(&shared(50, eight), FindingId::OneTenant).unwrap();
    assert!(tenant.title.starts_with("pod shop/web-1 holds 50.0% of a table that fills"), "{tenant:#?}");
    assert!(says(&tenant, "1 more workloads"), "{tenant:#?}");
    assert!(
        found(&shared(49, eight), FindingId::OneTenant).is_some_and(|other| other.title.starts_with("ssh.service"))
    );
    assert!(found(&shared(80, CAPACITY * 7 / 10), FindingId::OneTenant).is_none(), "there is room");
    assert!(found(&shared(95, eight), FindingId::OneTenant).is_some());
    assert!(
        found(&shared(97, eight), FindingId::OneTenant).is_none(),
        "others are there, and hardly any entry is theirs"
    );
    assert!(found(&shared(100, eight), FindingId::OneTenant).is_none(), "nobody else is there");
}

#[test]
fn a_source_that_is_a_pod_is_called_so() {
    let to = Ipv4Addr::new(192, 0, 2, 9).into();
    let entries = (0..8000).map(move |n| {
        let source = if n % 2 == 0 { 7 } else { 1000 + n };
        tcp(tuple(Protocol::TCP, source, port(n), to, 443), TcpState::Established, ASSURED, 432_000 - 20)
    });
    let mut snapshot = surrounded(table(entries), Vec::new());
    let crawler = Pod { namespace: "shop".into(), name: "crawler".into(), workload: None };
    let address = Ipv4Addr::new(10, 0, 0, 7).into();
    snapshot.namespaces[0].surroundings.as_mut().unwrap().cluster = Cluster::new([(address, crawler)], [], None);
    let tenant = found(&snapshot, FindingId::OneTenant).unwrap();
    assert!(tenant.title.starts_with("pod shop/crawler (10.0.0.7) holds 50.0%"), "{tenant:#?}");
}

#[test]
fn a_source_is_told_unless_a_cause_tells_of_it() {
    let of = |from_one: u32, state: TcpState, left: u32| {
        let entries = (0..8000).map(move |n| {
            let source = if n < from_one { 7 } else { 1000 + n };
            tcp(tuple(Protocol::TCP, source, port(n), Ipv4Addr::new(192, 0, 2, 9).into(), 443), state, ASSURED, left)
        });
        found(&table(entries), FindingId::OneTenant)
    };
    let busy = of(4000, TcpState::Established, 432_000 - 20).unwrap();
    assert!(busy.title.starts_with("the source 10.0.0.7 holds 50.0%"), "{busy:#?}");
    assert!(of(3999, TcpState::Established, 432_000 - 20).is_none());
    assert!(of(7800, TcpState::Established, 432_000 - 20).is_none(), "hardly anybody else is there");
    assert!(of(4000, TcpState::Established, 10_000).is_none(), "they are idle, and that finding names the source");
}

#[test]
fn a_limit_that_is_none_is_not_lowered() {
    let mut none = set_by_file_and_kube_proxy("5000", 0);
    none.limits.capacity = Some(Capacity(0));
    assert!(found(&none, FindingId::KubeProxyOwnsSetting).is_none_or(|finding| finding.severity == Severity::Info));
}

#[test]
fn entries_are_told_by_the_namespaces_and_workloads_of_pods() {
    let mut snapshot = surrounded(table(through_a_service(4000)), Vec::new());
    let of = |name: &str, workload| Pod { namespace: "shop".into(), name: name.into(), workload };
    let web = Workload { kind: WorkloadKind::Deployment, name: "web".into() };
    let pods = [(pod(2), of("web-1-a", Some(web)))];
    let backend = [(at(pod(3), Protocol::TCP, 8080), of("web-1-b", None))];
    snapshot.namespaces[0].surroundings.as_mut().unwrap().cluster = Cluster::new(pods, backend, None);
    let finding = found(&snapshot, FindingId::NatOrServiceChurn).unwrap();
    assert!(says(&finding, "by Kubernetes namespace: shop 100.0%"), "one entry counts once: {finding:#?}");
    assert!(says(&finding, "by workload: Deployment shop/web 50.0%, pod shop/web-1-b 50.0%"), "{finding:#?}");
    let unasked = surrounded(table(through_a_service(4000)), Vec::new());
    assert!(!says(&found(&unasked, FindingId::NatOrServiceChurn).unwrap(), "Kubernetes namespace"));
}

#[test]
fn what_the_config_map_says_is_told_with_what_kube_proxy_owns() {
    let mut owned = set_by_file_and_kube_proxy("500000", CAPACITY);
    let conntrack = vec![("min".into(), "131072".into())];
    let told = KubeProxyConfiguration { mode: Some("nftables".into()), conntrack };
    let cluster = Cluster::new([], [], Some(told));
    owned.namespaces[0].surroundings = Some(Surroundings { cluster, ..Surroundings::default() });
    let finding = found(&owned, FindingId::KubeProxyOwnsSetting).unwrap();
    assert!(says(&finding, "kube-system/kube-proxy says: mode nftables, conntrack: min 131072"), "{finding:#?}");
}

/// A table of answered look-ups by three programs, of which the first asks half.
fn look_ups(to: u16, resolvers: &[(u16, Resolver)]) -> Snapshot {
    let entries = (0..8000).map(move |n| {
        let tuple = tuple(Protocol::UDP, 7, port(n), Ipv4Addr::new(10, 96, 0, 10).into(), to);
        Entry { status: REPLIED, remaining_secs: Some(20), ..Entry::of(tuple) }
    });
    let mut snapshot = surrounded(table(entries), Vec::new());
    let ns = &mut snapshot.namespaces[0];
    let census = ns.census.as_mut().unwrap();
    census.programs = ["curl", "java", "dig"].map(|command| program(command, None, None)).to_vec();
    for (n, drawn) in census.drawn.iter_mut().enumerate() {
        let by = ProgramId([0, 1, 0, 2][n % 4]);
        drawn.ends = Some(Ends { client: End::Closed { by }, server: End::NotHere });
    }
    let told = resolvers.iter().map(|(by, resolver)| (ProgramId(*by), *resolver));
    ns.surroundings.as_mut().unwrap().resolvers = told.collect();
    snapshot
}

#[test]
fn look_ups_that_search_domains_multiply_are_told_with_their_factor() {
    let of_pod = Resolver { ndots: 5, search: 3 };
    let plain = Resolver { ndots: 1, search: 3 };
    let churn = |to, resolvers: &[(u16, Resolver)]| found(&look_ups(to, resolvers), FindingId::ConnectionStorm);
    let churn = |to, resolvers: &[(u16, Resolver)]| {
        churn(to, resolvers).or_else(|| found(&look_ups(to, resolvers), FindingId::ReverseProxyChurn)).unwrap()
    };
    let finding = churn(53, &[(0, of_pod), (1, of_pod), (2, plain)]);
    assert!(says(&finding, "curl (process"), "{finding:#?}");
    assert!(says(&finding, "with ndots:5 and 3 search domains: one with fewer than 5 dots"), "{finding:#?}");
    assert!(says(&finding, "up to 4 names, each by a flow of its own; 1 more programs"), "{finding:#?}");
    assert!(finding.remedies[0].action.contains("one name instead of up to 4"), "{finding:#?}");
    for plain in [churn(53, &[(0, plain), (1, plain)]), churn(53, &[]), churn(5353, &[(0, of_pod)])] {
        assert!(!says(&plain, "search domains"), "{plain:#?}");
        assert!(!plain.remedies[0].action.contains("instead of"), "{plain:#?}");
    }
}

#[test]
fn connections_that_prometheus_opens_are_scrapes() {
    let of = |command: &str| {
        let mut snapshot = surrounded(table(closed(4000, 2)), Vec::new());
        let census = snapshot.namespaces[0].census.as_mut().unwrap();
        census.programs = vec![program(command, None, None), program("curl", None, None)];
        for (n, drawn) in census.drawn.iter_mut().enumerate() {
            let by = ProgramId(u16::from(n % 4 != 0));
            drawn.ends = Some(Ends { client: End::Closed { by }, server: End::NotHere });
        }
        found(&snapshot, FindingId::ReverseProxyChurn).unwrap()
    };
    let finding = of("prometheus");
    assert!(says(&finding, "25.0% are scrapes: prometheus (process"), "{finding:#?}");
    assert!(says(&finding, "opened them, to 1 targets"), "{finding:#?}");
    assert!(finding.remedies[0].action.starts_with("Have the 1 targets that are scraped keep"), "{finding:#?}");
    assert!(!says(&of("prometheus-node"), "scrapes"), "that is the exporter");
}
