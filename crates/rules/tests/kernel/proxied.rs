//! SYNPROXY where it is judged to change nothing, in namespaces: handshakes that came about do, and those that did not do not.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::fixture::{Fixture, all, read};
use plimsoll_lab::{Door, Fate, Firewall, IpOf};
use plimsoll_model::{Class, Ports, Shield};
use plimsoll_rules::{Beside, Loss, Proxied, Proxying, Route, Served, judge_synproxy};
use plimsoll_shield::{enforcing, loading};

/// Ports that some rulesets open.
const PORTS: [u16; 5] = [22, 53, 443, 2222, 8080];

fn verdict(judgement: &Proxying) -> String {
    let first = |losses: &[Loss]| {
        let text = format!("{:?}", losses[0]);
        text.split([' ', '{']).next().unwrap_or_default().to_string()
    };
    match judgement {
        Proxying::Same => "same".to_string(),
        Proxying::Different(losses) => format!("different: {}", first(losses)),
        Proxying::Undecided(losses) => format!("undecided: {}", first(losses)),
    }
}

#[test]
fn a_proxy_that_is_judged_to_change_nothing_changes_nothing() {
    let beside = Beside { balanced: Some(Vec::new()), replicated: Some(false) };
    let (mut table, mut wrong) = (String::new(), Vec::new());
    let (mut same, mut passed, mut source) = (0, 0, 20_000);
    for fixture in all() {
        let before = firewall(&fixture);
        let ruleset = read(&before);
        let mut judged: Vec<(u16, Route)> = Vec::new();
        for port in PORTS {
            for (served, route) in [(Served::Here, Route::ToHost), (Served::HereAndBehind, Route::Forwarded)] {
                let proxied = Proxied { ports: Ports::one(port).unwrap(), except: Vec::new(), served };
                let judgement = judge_synproxy(&ruleset, &proxied, &beside);
                writeln!(table, "{fixture}: {port} {served:?}: {}", verdict(&judgement)).unwrap();
                if judgement == Proxying::Same {
                    judged.push((port, route));
                }
            }
        }
        let Ok(ports) = Ports::try_from(judged.iter().map(|(port, _)| *port).collect::<BTreeSet<_>>()) else {
            continue;
        };
        let after = firewall(&fixture);
        put_up(&after, ports);
        same += judged.len();
        let mut proxied = 0;
        for (port, route) in judged {
            for (side, from, to) in endpoints(route) {
                // Nobody's connection is another's.
                source += 1;
                let (from, to) = (SocketAddr::new(from, source), SocketAddr::new(to, port));
                let (was, is) = (shake(&before, side, from, to), shake(&after, side, from, to));
                if was != is {
                    wrong.push(format!("{fixture}: {port} {route:?}: {from} to {to}: {was:?}, then {is:?}"));
                }
                // IPv6 is not given to the proxy.
                if to.is_ipv6() {
                    continue;
                }
                let so_far = std::mem::replace(&mut proxied, count_proxied(&after));
                if is == Fate::Passed {
                    passed += 1;
                    if proxied == so_far {
                        wrong.push(format!("{fixture}: {port} {route:?}: {from} to {to}: passed without the proxy"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 20 && passed > 60, "{same} are the same, {passed} handshakes:\n{table}");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proxied.txt");
    if std::fs::read_to_string(&kept).unwrap_or_default() != table {
        let now = kept.with_extension("txt.new");
        std::fs::write(&now, &table).unwrap();
        panic!("judgements have changed: compare {} with {}", kept.display(), now.display());
    }
}

fn firewall(fixture: &Fixture) -> Firewall {
    let firewall = Firewall::build().unwrap();
    fixture.load(firewall.namespace());
    firewall
}

/// As a shield does it that is enforced.
fn put_up(firewall: &Firewall, ports: Ports) {
    let shield = Shield { class: Class::Handshakes { ports }, limits: None, drop: Vec::new(), allow: Vec::new() };
    let lasts = Duration::from_mins(10);
    let namespace = firewall.namespace();
    namespace.nft(&loading(&shield, 1, lasts)).unwrap();
    namespace.nft(&enforcing(&shield, lasts)).unwrap();
    namespace.set("net/netfilter/nf_conntrack_tcp_loose", 0).unwrap();
}

/// SYNs that have been given to the proxy.
fn count_proxied(firewall: &Firewall) -> u64 {
    let listed =
        firewall.namespace().run(&["nft", "-j", "list", "counter", "inet", "plimsoll-shield", "proxied"]).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let counters = listed["nftables"].as_array().unwrap().iter().filter_map(|object| object.get("counter"));
    counters.map(|counter| counter["packets"].as_u64().unwrap()).sum()
}

/// Sides, clients and services.
fn endpoints(route: Route) -> Vec<(Door, IpAddr, IpAddr)> {
    let outside = ["198.51.100.1", "203.0.113.9", "172.17.0.2", "2001:db8:f::1"];
    let inside = ["10.0.0.2", "10.1.0.5", "2001:db8:1::2"];
    let of = |side| -> Vec<IpAddr> {
        let texts: &[&str] = if side == Door::Outside { &outside } else { &inside };
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let mut all = Vec::new();
    for (side, opposite) in [(Door::Outside, Door::Inside), (Door::Inside, Door::Outside)] {
        for peer in of(side) {
            let is = if peer.is_ipv4() { IpOf::V4 } else { IpOf::V6 };
            match route {
                Route::Forwarded => {
                    let services = of(opposite).into_iter().filter(|to| to.is_ipv4() == peer.is_ipv4());
                    all.extend(services.map(|to| (side, peer, to)));
                }
                _ => all.push((side, peer, side.address(is))),
            }
        }
    }
    all
}

fn shake(firewall: &Firewall, side: Door, from: SocketAddr, to: SocketAddr) -> Fate {
    let is_here = [IpOf::V4, IpOf::V6].map(|is| side.address(is)).contains(&to.ip());
    if is_here { firewall.accepts(side, from, to).unwrap() } else { firewall.carries(side, from, to).unwrap() }
}
