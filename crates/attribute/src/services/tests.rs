use std::process::Command;

use plimsoll_model::{Masquerade, ServiceMaker};
use plimsoll_rules::Told;

use super::*;

const KUBE: &str = include_str!("../../../rules/tests/rulesets/kube-iptables.v4");
const KUBE_V6: &str = include_str!("../../../rules/tests/rulesets/kube-iptables.v6");
const KUBE_NFT: &str = include_str!("../../../rules/tests/told/kube-nftables.json");
const DOCKER: &str = include_str!("../../../rules/tests/rulesets/docker.v4");
const KUBE_IPVS: &str = include_str!("../../../rules/tests/rulesets/kube-ipvs.v4");
const KUBE_IPVS_V6: &str = include_str!("../../../rules/tests/rulesets/kube-ipvs.v6");
const IP_VS: &str = include_str!("../../../rules/tests/told/kube-ipvs.ip_vs");
const IPSETS: &str = include_str!("../../../rules/tests/rulesets/kube-ipvs.ipset");

fn legacy(text: &str) -> Ruleset {
    Ruleset::read(&Told { ip_legacy: text.to_string(), ..Told::default() }).unwrap()
}

fn nft(json: &str) -> Ruleset {
    Ruleset::read(&Told { nft: json.to_string(), ..Told::default() }).unwrap()
}

/// `service → backends, masquerade`, in order.
fn in_words(services: &Services) -> Vec<String> {
    let in_words = |service: &KnownService| {
        let mut backends: Vec<_> = service.backends.iter().map(ToString::to_string).collect();
        backends.sort_unstable();
        format!("{service} → {}, {:?}", backends.join(" "), service.masquerade)
    };
    let mut all: Vec<_> = services.iter().map(in_words).collect();
    all.sort_unstable();
    all
}

fn of_rules(ruleset: &Ruleset) -> Services {
    services(ruleset, &Ipvs::default(), "")
}

/// The services of the cluster of `crates/rules/tests/kube-proxy`, as rules of iptables tell them.
const OF_THE_CLUSTER: [&str; 23] = [
    "default/kubernetes:https (ClusterIP 10.96.0.1:443/tcp) → 192.0.2.1:6443/tcp, Some",
    "kube-system/kube-dns:dns (ClusterIP 10.96.0.10:53/udp) → 10.244.0.4:53/udp 10.244.1.2:53/udp, Some",
    "kube-system/kube-dns:dns (ClusterIP [fd00:10:96::a]:53/udp) → [fd00:10:244:1::2]:53/udp [fd00:10:244::4]:53/udp, Some",
    "kube-system/kube-dns:dns-tcp (ClusterIP 10.96.0.10:53/tcp) → 10.244.0.4:53/tcp 10.244.1.2:53/tcp, Some",
    "kube-system/kube-dns:dns-tcp (ClusterIP [fd00:10:96::a]:53/tcp) → [fd00:10:244:1::2]:53/tcp [fd00:10:244::4]:53/tcp, Some",
    "kube-system/kube-dns:metrics (ClusterIP 10.96.0.10:9153/tcp) → 10.244.0.4:9153/tcp 10.244.1.2:9153/tcp, Some",
    "kube-system/kube-dns:metrics (ClusterIP [fd00:10:96::a]:9153/tcp) → [fd00:10:244:1::2]:9153/tcp [fd00:10:244::4]:9153/tcp, Some",
    "shop/away:smtp (ClusterIP 10.96.0.60:25/tcp) → 10.244.1.2:2525/tcp, Some",
    "shop/away:smtp (NodePort 30025/tcp) → 10.244.1.2:2525/tcp, Some",
    "shop/away:smtp (load balancer 203.0.113.82:25/tcp) → 10.244.1.2:2525/tcp, Some",
    "shop/dead:http (ClusterIP 10.96.0.99:80/udp) → , Nobody",
    "shop/dead:http (NodePort 4000/udp) → , Nobody",
    "shop/names (ClusterIP 10.96.0.30:53/udp) → 10.244.0.2:53/udp 10.244.0.3:53/udp, Some",
    "shop/names (NodePort 30053/udp) → 10.244.0.2:53/udp 10.244.0.3:53/udp, All",
    "shop/near:http (ClusterIP 10.96.0.50:80/tcp) → 10.244.0.3:8080/tcp, Some",
    "shop/shielded:https (ClusterIP 10.96.0.40:443/tcp) → 10.244.0.2:8443/tcp 10.244.1.2:8443/tcp, Some",
    "shop/shielded:https (NodePort 30443/tcp) → 10.244.0.2:8443/tcp 10.244.1.2:8443/tcp, Some",
    "shop/shielded:https (load balancer 203.0.113.81:443/tcp) → 10.244.0.2:8443/tcp 10.244.1.2:8443/tcp, Some",
    "shop/web:http (ClusterIP 10.96.0.20:80/tcp) → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, Some",
    "shop/web:http (ClusterIP [fd00:10:96::14]:80/tcp) → [fd00:10:244::2]:8080/tcp [fd00:10:244::3]:8080/tcp, Some",
    "shop/web:http (NodePort 30080/tcp) → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp [fd00:10:244::2]:8080/tcp [fd00:10:244::3]:8080/tcp, All",
    "shop/web:http (external IP 198.51.100.80:80/tcp) → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, All",
    "shop/web:http (load balancer 203.0.113.80:80/tcp) → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, All",
];

#[test]
fn every_kind_of_kube_proxys_is_told_by_comments() {
    let told = Told { ip_legacy: KUBE.to_string(), ip6_legacy: KUBE_V6.to_string(), ..Told::default() };
    let services = of_rules(&Ruleset::read(&told).unwrap());
    assert_eq!(in_words(&services), OF_THE_CLUSTER);
    assert!(services.iter().all(|service| service.by.to_string() == "kube-proxy in iptables mode"));
    assert!(services.not_understood.is_empty(), "{:?}", services.not_understood);
}

/// What kube-proxy makes of the same cluster with a service of 1,200 pods more.
fn large() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rulesets/kube-iptables-large.v4.xz");
    let output = Command::new("xz").args(["--decompress", "--stdout", file]).output().expect("xz, by scripts/test");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_large_cluster_has_no_comments_at_its_endpoints() {
    let rules = large();
    assert!(rules.lines().filter(|line| line.contains("-j DNAT")).all(|line| !line.contains("--comment")));
    let services = of_rules(&legacy(&rules));
    let (crowd, others): (Vec<_>, Vec<_>) = in_words(&services).into_iter().partition(|told| told.contains("crowd"));
    assert!(crowd[0].starts_with("shop/crowd:http (ClusterIP 10.96.0.70:80/tcp) → 10.244.2."), "{crowd:?}");
    assert_eq!((crowd.len(), crowd[0].matches(":8080/tcp").count()), (1, 1200));
    // It has one family.
    let v4 = OF_THE_CLUSTER.iter().filter(|told| !told.contains("ClusterIP ["));
    let v4 = v4.map(|told| told.replace(" [fd00:10:244::2]:8080/tcp [fd00:10:244::3]:8080/tcp", ""));
    assert_eq!(others, v4.collect::<Vec<_>>());
    assert!(services.not_understood.is_empty(), "{:?}", services.not_understood);
}

#[test]
fn without_comments_chains_tell_the_kind_and_endpoints_the_name() {
    let mut without = String::new();
    for line in KUBE.lines() {
        let is_kept = line.contains("-j DNAT") || !line.contains(" --comment ");
        let rest = line.split(" -m comment --comment \"").collect::<Vec<_>>();
        let bare = match rest.as_slice() {
            [before, after] if !is_kept => {
                format!("{before}{}", after.split_once('"').map_or("", |(_, rest)| rest))
            }
            _ => line.to_string(),
        };
        without.push_str(&bare);
        without.push('\n');
    }
    let told = in_words(&of_rules(&legacy(&without)));
    for expected in [
        "kube-system/kube-dns:dns (ClusterIP 10.96.0.10:53/udp)",
        "shop/near:http (ClusterIP 10.96.0.50:80/tcp)",
        "shop/web:http (NodePort 30080/tcp)",
        "shop/web:http (external IP or load balancer 203.0.113.80:80/tcp)",
        "shop/shielded:https (external IP or load balancer 203.0.113.81:443/tcp)",
    ] {
        assert!(told.iter().any(|told| told.starts_with(expected)), "{expected}: {told:#?}");
    }
}

#[test]
fn every_kind_of_kube_proxys_is_told_by_maps_and_chains() {
    let services = of_rules(&nft(KUBE_NFT));
    // One map has both kinds of outer addresses.
    let outer = |told: &&str| ["external IP ", "load balancer "].into_iter().find(|kind| told.contains(*kind));
    let by_maps = OF_THE_CLUSTER.iter().map(|told| match outer(told) {
        Some(kind) => told.replace(kind, "external IP or load balancer "),
        None => (*told).to_string(),
    });
    assert_eq!(in_words(&services), by_maps.collect::<Vec<_>>());
    assert!(services.iter().all(|service| service.by.to_string() == "kube-proxy in nftables mode"));
    assert!(services.not_understood.is_empty(), "{:?}", services.not_understood);
}

#[test]
fn pods_are_told_by_their_device_too() {
    // `--detect-local-mode=InterfaceNamePrefix` and `BridgeInterface`.
    for device in ["cni+", "cni0"] {
        let told = in_words(&of_rules(&legacy(&KUBE.replace("! -s 10.244.0.0/16", &format!("! -i {device}")))));
        let web = told.iter().find(|told| told.starts_with("shop/web:http (ClusterIP")).unwrap();
        assert!(web.ends_with(", Some"), "{web}");
    }
}

#[test]
fn dockers_ports_are_published_and_other_rules_forward() {
    let docker = of_rules(&legacy(DOCKER));
    assert_eq!(
        in_words(&docker),
        [
            "published port 127.0.0.1:9000/tcp → 172.19.0.2:9000/tcp, Nobody",
            "published port 443/tcp → 172.19.0.2:8443/tcp, Nobody",
            "published port 8053/udp → 172.17.0.2:53/udp, Nobody",
            "published port 8080/tcp → 172.17.0.2:80/tcp, Nobody",
        ]
    );
    assert!(docker.iter().all(|service| service.by == ServiceMaker::Docker));

    let own = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
               -A PREROUTING -d 198.51.100.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.2\n\
               -A PREROUTING -d 198.51.100.1/32 -p tcp -m tcp --dport 8000:8010 -j DNAT --to-destination 10.0.0.2\n\
               -A PREROUTING -d 198.51.100.2/32 -j DNAT --to-destination 10.0.0.3\n\
               -A PREROUTING -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.0.0.4-10.0.0.9\nCOMMIT\n";
    let own = of_rules(&legacy(own));
    assert_eq!(in_words(&own), ["forwarded port 198.51.100.1:443/tcp → 10.0.0.2:443/tcp, Nobody"]);
    let kept: Vec<_> = own.not_understood.iter().map(ToString::to_string).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept[1].starts_with("nat PREROUTING: ") && kept[1].contains("10.0.0.3"), "{kept:?}");
}

/// The same cluster by IPVS, whose node ports are virtual services at each of the node's addresses. Where only backends of this node are asked
/// (`externalTrafficPolicy: Local`), nobody is masqueraded.
const BY_IPVS: [&str; 30] = [
    "ClusterIP 10.96.0.10:53/tcp → 10.244.0.4:53/tcp 10.244.1.2:53/tcp, Some",
    "ClusterIP 10.96.0.10:53/udp → 10.244.0.4:53/udp 10.244.1.2:53/udp, Some",
    "ClusterIP 10.96.0.10:9153/tcp → 10.244.0.4:9153/tcp 10.244.1.2:9153/tcp, Some",
    "ClusterIP 10.96.0.1:443/tcp → 192.0.2.1:6443/tcp, Some",
    "ClusterIP 10.96.0.20:80/tcp → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, Some",
    "ClusterIP 10.96.0.30:53/udp → 10.244.0.2:53/udp 10.244.0.3:53/udp, Some",
    "ClusterIP 10.96.0.40:443/tcp → 10.244.0.2:8443/tcp 10.244.1.2:8443/tcp, Some",
    "ClusterIP 10.96.0.50:80/tcp → 10.244.0.3:8080/tcp, Some",
    "ClusterIP 10.96.0.60:25/tcp → 10.244.1.2:2525/tcp, Some",
    "ClusterIP 10.96.0.99:80/udp → , Some",
    "ClusterIP [fd00:10:96::14]:80/tcp → [fd00:10:244::2]:8080/tcp [fd00:10:244::3]:8080/tcp, Some",
    "ClusterIP [fd00:10:96::a]:53/tcp → [fd00:10:244:1::2]:53/tcp [fd00:10:244::4]:53/tcp, Some",
    "ClusterIP [fd00:10:96::a]:53/udp → [fd00:10:244:1::2]:53/udp [fd00:10:244::4]:53/udp, Some",
    "ClusterIP [fd00:10:96::a]:9153/tcp → [fd00:10:244:1::2]:9153/tcp [fd00:10:244::4]:9153/tcp, Some",
    "NodePort 10.244.0.1:30025/tcp → 10.244.1.2:2525/tcp, Nobody",
    "NodePort 10.244.0.1:30053/udp → 10.244.0.2:53/udp 10.244.0.3:53/udp, All",
    "NodePort 10.244.0.1:30080/tcp → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, All",
    "NodePort 10.244.0.1:30443/tcp → 10.244.0.2:8443/tcp, Nobody",
    "NodePort 10.244.0.1:4000/udp → , All",
    "NodePort 192.0.2.1:30025/tcp → 10.244.1.2:2525/tcp, Nobody",
    "NodePort 192.0.2.1:30053/udp → 10.244.0.2:53/udp 10.244.0.3:53/udp, All",
    "NodePort 192.0.2.1:30080/tcp → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, All",
    "NodePort 192.0.2.1:30443/tcp → 10.244.0.2:8443/tcp, Nobody",
    "NodePort 192.0.2.1:4000/udp → , All",
    "NodePort [2001:db8::1]:30080/tcp → [fd00:10:244::2]:8080/tcp [fd00:10:244::3]:8080/tcp, All",
    "NodePort [fd00:10:244::1]:30080/tcp → [fd00:10:244::2]:8080/tcp [fd00:10:244::3]:8080/tcp, All",
    "external IP 198.51.100.80:80/tcp → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, All",
    "load balancer 203.0.113.80:80/tcp → 10.244.0.2:8080/tcp 10.244.0.3:8080/tcp, All",
    "load balancer 203.0.113.81:443/tcp → 10.244.0.2:8443/tcp, Nobody",
    "load balancer 203.0.113.82:25/tcp → 10.244.1.2:2525/tcp, Nobody",
];

fn by_ipvs(table: &str, ipsets: &str) -> Services {
    let told = Told { ip_legacy: KUBE_IPVS.to_string(), ip6_legacy: KUBE_IPVS_V6.to_string(), ..Told::default() };
    services(&Ruleset::read(&told).unwrap(), &Ipvs::read(table), ipsets)
}

#[test]
fn every_kind_of_kube_proxys_is_told_by_sets() {
    let told = by_ipvs(IP_VS, IPSETS);
    assert_eq!(in_words(&told), BY_IPVS);
    assert!(told.iter().all(|service| service.by.to_string() == "kube-proxy in IPVS mode"));
    assert!(told.not_understood.is_empty(), "{:?}", told.not_understood);
    // Where a host has no /etc/protocols.
    let by_number = IPSETS.replace(",tcp:", ",6:").replace(",udp:", ",17:");
    assert_eq!(in_words(&by_ipvs(IP_VS, &by_number)), in_words(&told));
}

#[test]
fn what_no_set_has_is_a_virtual_service() {
    let table = "IP Virtual Server version 1.2.1 (size=4096)\nTCP  C6336401:0050 wrr\nTCP  C6336450:01BB rr\nFWM  00000001 rr\n";
    let local = format!("{IPSETS}add KUBE-EXTERNAL-IP-LOCAL 198.51.100.80,tcp:443\n");
    let told = by_ipvs(table, &local);
    let expected = ["external IP 198.51.100.80:443/tcp → , Nobody", "virtual service 198.51.100.1:80/tcp → , Nobody"];
    assert_eq!(in_words(&told), expected);
    assert_eq!(told.not_understood.len(), 1, "the service by mark");
    let others = services(&Ruleset::default(), &Ipvs::read(table), "");
    assert!(others.iter().all(|service| (service.kind, service.by) == (ServiceKind::Virtual, ServiceMaker::Ipvs)));
}

#[test]
fn chains_that_lead_to_each_other_come_to_an_end() {
    let circle =
        "*nat\n:PREROUTING ACCEPT [0:0]\n:A - [0:0]\n-A PREROUTING -p tcp -j A\n-A A -j A\n-A A -j A\nCOMMIT\n";
    let told = of_rules(&legacy(circle));
    assert_eq!(told.not_understood.len(), 1, "what is not followed is said");
}

/// Ten rules of each chain lead to the next: who followed each way by itself would never come to an end.
#[test]
fn a_chain_to_which_many_ways_lead_is_followed_once() {
    let mut rules = "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-MARK-MASQ - [0:0]\n".to_string();
    let chains: Vec<_> = (0..16).map(|chain| format!(":A{chain} - [0:0]\n")).collect();
    rules += &chains.concat();
    rules += "-A PREROUTING -j A0\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n";
    for chain in 0..15 {
        let rule = format!("-A A{chain} -s 198.51.100.1/32 -j A{}\n", chain + 1);
        rules += &rule.repeat(10);
    }
    rules += "-A A15 -m set --match-set MANY dst -j KUBE-MARK-MASQ\nCOMMIT\n";
    let told = Told { ip_legacy: rules, ..Told::default() };
    let table = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  \
                 -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  0A600001:0050 rr\n";
    let followed = |sets: &str| {
        let services = services(&Ruleset::read(&told).unwrap(), &Ipvs::read(table), sets);
        services.iter().map(|service| service.masquerade).collect::<Vec<_>>()
    };
    // Which addresses are in a set of nets is not looked at: it may be any.
    let nets = followed("create MANY hash:net family inet\nadd MANY 10.96.0.0/12\n");
    let others = followed("create MANY hash:ip family inet\nadd MANY 10.1.1.1\n");
    assert_eq!((nets.len(), others), (1, vec![Masquerade::Nobody]));
    assert_ne!(nets, [Masquerade::Nobody]);
}
