//! Bypasses that are judged safe, made in namespaces: nothing that passed is stopped, and nothing that was stopped passes.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use crate::fixture::{Fixture, all};
use crate::probe::{Probe, probes};
use plimsoll_lab::{Door, Fate, Firewall, IpOf};
use plimsoll_model::{Bypass, Bypassed, PolicyProtocol};
use plimsoll_rules::{Begins, Beside, Judgement, Price, Route, Ruleset, Safe, Terms, Unsolicited, judge_bypass};

/// Nothing works with entries beside the rules.
fn alone() -> Beside {
    Beside { balanced: Some(Vec::new()), replicated: Some(false) }
}

/// A bypass under some terms, and its name.
struct Named {
    name: String,
    route: Route,
    bypass: Bypass,
    terms: Terms,
}

fn bypasses() -> Vec<Named> {
    let anybody = || vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let (clients, either) = (Begins::ClientsOnly, Begins::Either);
    let mut bypasses = Vec::new();
    let mut add = |name: &str, port, begins, flows: &Bypassed| {
        let route = match flows {
            Bypassed::ServedHere => Route::ToHost,
            Bypassed::AskedFromHere { .. } => Route::FromHost,
            Bypassed::Forwarded { .. } => Route::Forwarded,
        };
        let bypass = Bypass { protocol: PolicyProtocol::Udp, port, flows: flows.clone() };
        let terms = Terms { begins, unsolicited: Unsolicited::Refused };
        bypasses.push(Named { name: name.to_string(), route, bypass: bypass.clone(), terms });
        if route != Route::ToHost {
            let terms = Terms { unsolicited: Unsolicited::Allowed, ..terms };
            bypasses.push(Named { name: format!("{name}, unsolicited allowed"), route, bypass, terms });
        }
    };
    for port in [53, 123, 4000, 8053] {
        add(&format!("served {port}"), port, clients, &Bypassed::ServedHere);
    }
    add("served 123, either begins", 123, either, &Bypassed::ServedHere);
    for port in [53, 123] {
        add(&format!("used {port}"), port, clients, &Bypassed::AskedFromHere { servers: anybody() });
    }
    add("through 53", 53, clients, &Bypassed::Forwarded { clients: anybody(), servers: anybody() });
    bypasses
}

fn verdict(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Safe(safe) => format!("safe, {} additions", safe.additions.len()),
        Judgement::Unsafe(reasons) => format!("unsafe: {:?}", reasons[0].trouble),
        Judgement::Undecided(reasons) => format!("undecided: {:?}", reasons[0].trouble),
    }
}

#[test]
fn a_bypass_that_is_judged_safe_changes_nothing() {
    let mut table = String::new();
    let mut wrong = Vec::new();
    let mut safe_ones = 0;
    for fixture in all() {
        let firewall = Firewall::build().unwrap();
        fixture.load(firewall.namespace());
        let ruleset = crate::fixture::read(&firewall);
        for named in bypasses() {
            let judgement = judge_bypass(&ruleset, &named.bypass, named.terms, &alone());
            let name = &named.name;
            writeln!(table, "{fixture}: {name}: {}", verdict(&judgement)).unwrap();
            if let Judgement::Safe(safe) = judgement {
                safe_ones += 1;
                let case = Case { fixture: &fixture, named: &named, safe: &safe, ruleset: &ruleset };
                wrong.extend(case.differences().into_iter().map(|what| format!("{fixture}: {name}: {what}")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong: {}",
        wrong.len(),
        wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(safe_ones > 60, "{safe_ones} were safe:\n{table}");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judgements.txt");
    if std::fs::read_to_string(&kept).unwrap_or_default() != table {
        let now = kept.with_extension("txt.new");
        std::fs::write(&now, &table).unwrap();
        panic!("judgements have changed: compare {} with {}", kept.display(), now.display());
    }
}

struct Case<'a> {
    fixture: &'a Fixture,
    named: &'a Named,
    safe: &'a Safe,
    ruleset: &'a Ruleset,
}

impl Case<'_> {
    /// What packets fare otherwise by the bypass.
    fn differences(&self) -> Vec<String> {
        let before = Firewall::build().unwrap();
        self.fixture.load(before.namespace());
        let after = Firewall::build().unwrap();
        self.fixture.load(after.namespace());
        for command in self.safe.commands(self.ruleset).unwrap() {
            let words: Vec<_> = command.iter().map(String::as_str).collect();
            after.namespace().run(&words).unwrap();
        }
        let rules = plimsoll_render::notrack_in_nft(&self.named.bypass, "b", "");
        after.namespace().nft(&format!("table inet bypass {{\n{rules}}}\n")).unwrap();
        let mut differences = Vec::new();
        for (at, (side, client, service)) in self.endpoints().into_iter().enumerate() {
            let port = 40_000 + 8 * u16::try_from(at).unwrap();
            let request = self.request(side, SocketAddr::new(client, port), service);
            differences.extend(self.converse(&before, &after, request));
            // Nobody asked for this one.
            let unsolicited = answer(self.request(side, SocketAddr::new(client, port + 1), service));
            let (was, is) = (unsolicited.send(&before), unsolicited.send(&after));
            let is_paid = self.safe.prices.iter().any(|price| matches!(price, Price::OpensAnswers { .. }));
            let begins = self.named.terms.begins == Begins::Either;
            if (was, is) == (Fate::Stopped, Fate::Passed) && !is_paid || begins && was != is {
                differences.push(format!("unsolicited {unsolicited:?}: {was:?}, then {is:?}"));
            }
        }
        let entries = after.namespace().run(&["conntrack", "-L", "-p", "udp"]).unwrap();
        // The others' ports are above 50000 and below 40000.
        let ours =
            |line: &&str| line.contains(&format!("port={} ", self.named.bypass.port)) && line.contains("port=40");
        if let Some(entry) = entries.lines().find(ours) {
            differences.push(format!("an entry is there: {entry}"));
        }
        // All others.
        for probe in probes(3, 60)
            .into_iter()
            .filter(|probe| ![probe.from.port(), probe.to.port()].contains(&self.named.bypass.port))
        {
            let (was, is) = (probe.send(&before), probe.send(&after));
            if was != is {
                differences.push(format!("another's {probe:?}: {was:?}, then {is:?}"));
            }
        }
        differences
    }

    /// Sides, clients and services.
    fn endpoints(&self) -> Vec<(Door, std::net::IpAddr, std::net::IpAddr)> {
        let outside = ["198.51.100.1", "203.0.113.9", "2001:db8:f::1"];
        let inside = ["10.0.0.2", "10.1.0.5", "2001:db8:1::2"];
        let parse = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
        let of = |side: Door| if side == Door::Outside { outside } else { inside };
        let opposite = |side: Door| if side == Door::Outside { Door::Inside } else { Door::Outside };
        let version = |at: std::net::IpAddr| if at.is_ipv4() { IpOf::V4 } else { IpOf::V6 };
        let mut all = Vec::new();
        for side in [Door::Outside, Door::Inside] {
            for peer in of(side).map(parse) {
                let here = side.address(version(peer));
                match self.named.route {
                    Route::ToHost => all.push((side, peer, here)),
                    Route::FromHost => all.push((side, here, peer)),
                    Route::Forwarded => {
                        let services = of(opposite(side)).map(parse).into_iter();
                        all.extend(services.filter(|at| at.is_ipv4() == peer.is_ipv4()).map(|at| (side, peer, at)));
                    }
                }
            }
        }
        all
    }

    fn request(&self, side: Door, client: SocketAddr, service: std::net::IpAddr) -> Probe {
        Probe { route: self.named.route, side, from: client, to: SocketAddr::new(service, self.named.bypass.port) }
    }

    /// A request, its answer, both again, and errors about what the host sent, or by it about what it was to forward.
    fn converse(&self, before: &Firewall, after: &Firewall, request: Probe) -> Vec<String> {
        let mut differences = Vec::new();
        let answer = answer(request);
        for (nth, probe) in [request, answer, request, answer, request].into_iter().enumerate() {
            let (was, is) = (probe.send(before), probe.send(after));
            if was != is {
                differences.push(format!("packet {nth} {probe:?}: {was:?}, then {is:?}"));
            }
            // Without a first packet there is no flow.
            if was == Fate::Stopped {
                return differences;
            }
        }
        let sent = match self.named.route {
            Route::ToHost => vec![answer],
            Route::FromHost => vec![request],
            Route::Forwarded => vec![request, answer],
        };
        for sent in sent {
            let told = |firewall: &Firewall| match self.named.route {
                Route::Forwarded => firewall.is_told_late(sent.side, sent.from, sent.to).unwrap(),
                _ => firewall.is_told(sent.side, sent.from, sent.to).unwrap(),
            };
            let (was, is) = (told(before), told(after));
            if was != is {
                differences.push(format!("an error about {sent:?}: {was:?}, then {is:?}"));
            }
        }
        differences
    }
}

/// The packet that answers.
fn answer(request: Probe) -> Probe {
    let opposite = if request.side == Door::Outside { Door::Inside } else { Door::Outside };
    let (route, side) = match request.route {
        Route::ToHost => (Route::FromHost, request.side),
        Route::FromHost => (Route::ToHost, request.side),
        Route::Forwarded => (Route::Forwarded, opposite),
    };
    Probe { route, side, from: request.to, to: request.from }
}
