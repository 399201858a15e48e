//! What a proxy for handshakes would lose, one rule at a time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use plimsoll_model::Ports;
use plimsoll_rules::{Beside, Leg, Loss, Proxied, Proxying, Ruleset, Served, Told, accepts_unknown, judge_synproxy};

fn judged(tables: &str, served: Served, except: &[&str]) -> Proxying {
    let told = Told { ip_legacy: tables.to_string(), ipsets: SETS.to_string(), ..Told::default() };
    let except = except.iter().map(|network| network.parse().unwrap()).collect();
    let proxied = Proxied { ports: Ports::one(443).unwrap(), except, served };
    let beside = Beside { balanced: Some(Vec::new()), replicated: Some(false) };
    judge_synproxy(&Ruleset::read(&told).unwrap(), &proxied, &beside)
}

/// As ipset lists them.
const SETS: &str = "
Name: friends
Type: hash:ip
Name: foes
Type: hash:net
Name: machines
Type: hash:mac
";

/// Rules of `filter`, by policy.
fn filter(policies: [&str; 3], rules: &str) -> String {
    let [input, forward, output] = policies;
    format!(
        "*filter\n:INPUT {input} [0:0]\n:FORWARD {forward} [0:0]\n:OUTPUT {output} [0:0]\n{}\nCOMMIT\n",
        rules.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n")
    )
}

fn other(table: &str, chain: &str, rules: &str) -> String {
    format!("*{table}\n:{chain} ACCEPT [0:0]\n{rules}\nCOMMIT\n")
}

const USUAL: &str = "
    -A INPUT -i lo -j ACCEPT
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A INPUT -m conntrack --ctstate INVALID -j DROP";
const CLOSED: [&str; 3] = ["DROP", "DROP", "ACCEPT"];

fn here(rules: &str) -> Proxying {
    judged(&filter(CLOSED, &format!("{USUAL}\n{rules}")), Served::Here, &[])
}

fn losses(judgement: Proxying) -> Vec<Loss> {
    match judgement {
        Proxying::Same => Vec::new(),
        Proxying::Different(losses) | Proxying::Undecided(losses) => losses,
    }
}

fn passes(judgement: &Proxying) -> bool {
    matches!(judgement, Proxying::Different(losses) if matches!(losses.as_slice(), [Loss::Passes { .. }]))
}

fn stopped(judgement: Proxying) -> Vec<Leg> {
    let leg = |loss: Loss| match loss {
        Loss::Stopped { leg, .. } => leg,
        other => panic!("{other:?}"),
    };
    losses(judgement).into_iter().map(leg).collect()
}

#[test]
fn a_service_that_is_open_to_all_may_be_proxied() {
    assert_eq!(judged("", Served::HereAndBehind, &[]), Proxying::Same);
    assert_eq!(here("-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT"), Proxying::Same);
    // The connection comes by loopback: who is to come is not asked.
    assert!(passes(&here("")));
}

#[test]
fn rules_about_sources_devices_and_rates_would_not_be_asked() {
    for rule in [
        "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 443 -j ACCEPT",
        "-A INPUT -i lan -p tcp -m tcp --dport 443 -j ACCEPT",
        "-A INPUT -p tcp -m tcp --dport 443 -m set --match-set friends src -j ACCEPT",
        "-A INPUT -s 203.0.113.9/32 -j DROP\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT",
    ] {
        assert!(passes(&here(rule)), "{rule}: {:?}", here(rule));
    }
    let limited = here("-A INPUT -p tcp -m tcp --dport 443 -m limit --limit 10/sec -j ACCEPT");
    assert!(losses(limited).iter().any(|loss| matches!(loss, Loss::Passes { .. })));
    // A list that is asked before all else is asked of the proxy's SYN, too.
    let listed = "-A INPUT -m set --match-set foes src -j DROP\n-A INPUT -s 203.0.113.9/32 -j DROP";
    let open = "-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT";
    let first = filter(CLOSED, &format!("{listed}\n{USUAL}\n{open}"));
    assert_eq!(judged(&first, Served::Here, &[]), Proxying::Same);
}

#[test]
fn a_set_is_asked_of_the_proxys_syn_unless_it_may_hold_more_than_addresses() {
    let first = |set: &str| filter(["ACCEPT"; 3], &format!("-A INPUT -m set ! --match-set {set} src -j DROP"));
    assert_eq!(judged(&first("friends"), Served::Here, &[]), Proxying::Same);
    // By loopback there is no hardware address; of a set that is not listed it is not known what it holds.
    for set in ["machines", "nobody"] {
        assert_ne!(judged(&first(set), Served::Here, &[]), Proxying::Same, "{set}");
    }
}

#[test]
fn the_way_back_is_there_by_loopback_but_is_another() {
    let judge = |compared: &str| {
        let nft = format!(
            r#"{{"nftables": [
                {{"table": {{"family": "inet", "name": "t", "handle": 1}}}},
                {{"chain": {{"family": "inet", "table": "t", "name": "c", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}}},
                {{"rule": {{"family": "inet", "table": "t", "chain": "c", "handle": 2, "expr": [
                    {{"match": {{{compared}}}}}, {{"drop": null}}]}}}}]}}"#
        );
        let proxied = Proxied { ports: Ports::one(443).unwrap(), except: Vec::new(), served: Served::Here };
        let beside = Beside { balanced: Some(Vec::new()), replicated: Some(false) };
        judge_synproxy(&Ruleset::read(&Told { nft, ..Told::default() }).unwrap(), &proxied, &beside)
    };
    let back = |result: &str| format!(r#""left": {{"fib": {{"result": "{result}", "flags": ["saddr", "iif"]}}}}"#);
    let missing = judge(&format!(r#""op": "==", {}, "right": false"#, back("oif")));
    assert_eq!(missing, Proxying::Same);
    let another = judge(&format!(r#""op": "!=", {}, "right": "eth0""#, back("oifname")));
    assert_ne!(another, Proxying::Same);
}

#[test]
fn who_is_excepted_is_not_proxied() {
    let blocked = "-A INPUT -s 203.0.113.9/32 -j DROP\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT";
    let tables = filter(CLOSED, &format!("{USUAL}\n{blocked}"));
    assert!(passes(&judged(&tables, Served::Here, &["203.0.113.8/32"])));
    assert_eq!(judged(&tables, Served::Here, &["203.0.113.9/32"]), Proxying::Same);
}

#[test]
fn what_forward_would_drop_leaves_by_output() {
    let rules = "-A FORWARD -i lan -j ACCEPT\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT";
    let tables = filter(["ACCEPT", "DROP", "ACCEPT"], rules);
    assert_eq!(judged(&tables, Served::Here, &[]), Proxying::Same);
    let behind = judged(&tables, Served::HereAndBehind, &[]);
    assert!(passes(&behind), "{behind:?}");
}

#[test]
fn what_stops_one_of_the_proxys_packets_stops_the_service() {
    let open = |rules: &str| judged(&filter(["ACCEPT"; 3], rules), Served::Here, &[]);
    assert_eq!(stopped(open("-A OUTPUT -m conntrack --ctstate INVALID -j DROP")), [Leg::Answers]);
    assert_eq!(stopped(open("-A OUTPUT -m conntrack --ctstate NEW -j DROP")), [Leg::Opens]);
    assert_eq!(stopped(open("-A INPUT ! -s 127.0.0.0/8 -i lo -j DROP")), [Leg::Opens]);
    assert_eq!(stopped(open("-A INPUT -i lo -m conntrack --ctstate ESTABLISHED -j DROP")), [Leg::Confirms]);
    let invalid = other("mangle", "PREROUTING", "-A PREROUTING -m conntrack --ctstate INVALID -j DROP");
    assert_eq!(stopped(judged(&invalid, Served::Here, &[])), [Leg::Completes]);
    let untracked = other("mangle", "PREROUTING", "-A PREROUTING -m conntrack --ctstate UNTRACKED -j DROP");
    assert_eq!(stopped(judged(&untracked, Served::Here, &[])), [Leg::Asks]);
    // Behind the proxy they are not met.
    assert_eq!(open("-A INPUT -m conntrack --ctstate INVALID,UNTRACKED -j DROP"), Proxying::Same);
}

#[test]
fn flags_are_those_of_a_handshake() {
    let open = |rules: &str| judged(&filter(["ACCEPT"; 3], rules), Served::Here, &[]);
    let no_syn = "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP";
    assert_eq!(open(no_syn), Proxying::Same);
    assert_eq!(open("-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP"), Proxying::Same);
    assert_eq!(stopped(open("-A OUTPUT -p tcp -m tcp --tcp-flags SYN,ACK SYN -j DROP")), [Leg::Opens]);
}

#[test]
fn what_is_done_to_new_connections_would_be_missed() {
    let missed = |tables: &str, served| {
        let losses = losses(judged(tables, served, &[]));
        !losses.is_empty() && losses.iter().all(|loss| matches!(loss, Loss::Missed { .. }))
    };
    let marked = other("mangle", "PREROUTING", "-A PREROUTING -i wan -j CONNMARK --set-xmark 0x1/0xffffffff");
    assert!(missed(&marked, Served::Here));
    let clamped = |chain| {
        other(
            "mangle",
            chain,
            &format!("-A {chain} -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"),
        )
    };
    assert!(missed(&clamped("FORWARD"), Served::HereAndBehind));
    assert_eq!(judged(&clamped("POSTROUTING"), Served::HereAndBehind, &[]), Proxying::Same);
    assert!(missed(&filter(["ACCEPT"; 3], "-A INPUT ! -i lo -m recent --set --name seen"), Served::Here));
    let logged = filter(["ACCEPT"; 3], "-A INPUT ! -i lo -p tcp -m tcp --dport 443 -j LOG");
    assert_eq!(judged(&logged, Served::Here, &[]), Proxying::Same);
}

#[test]
fn what_would_be_done_to_the_proxys_packets_alone_is_told() {
    let added = |tables: &str, served| {
        let losses = losses(judged(tables, served, &[]));
        !losses.is_empty() && losses.iter().all(|loss| matches!(loss, Loss::Added { .. }))
    };
    let new = "-m conntrack --ctstate NEW";
    let output = |target: &str| other("mangle", "OUTPUT", &format!("-A OUTPUT -p tcp {new} -j {target}"));
    for target in ["CONNMARK --set-xmark 0x2/0xffffffff", "MARK --set-xmark 0x2/0xffffffff", "CT --timeout short"] {
        assert!(added(&output(target), Served::Here), "{target}");
        assert!(added(&output(target), Served::HereAndBehind), "{target}");
    }
    // What is done before routing is done to the client's SYN now, and to the proxy's by loopback.
    let input = other("mangle", "INPUT", &format!("-A INPUT -p tcp {new} -j CONNMARK --set-xmark 0x2/0xffffffff"));
    assert_eq!(judged(&input, Served::Here, &[]), Proxying::Same);
    assert_eq!(judged(&output("LOG"), Served::Here, &[]), Proxying::Same);
}

#[test]
fn a_limit_that_would_count_a_connection_twice_is_told() {
    let limited = |rule: &str| judged(&other("raw", "PREROUTING", rule), Served::Here, &[]);
    let twice = limited("-A PREROUTING -p tcp --tcp-flags SYN,ACK SYN -m limit --limit 10/sec -j ACCEPT");
    assert!(matches!(losses(twice).as_slice(), [Loss::Added { .. }]));
    let remembered = limited("-A PREROUTING -p tcp -m recent --set --name seen");
    assert!(matches!(losses(remembered).as_slice(), [Loss::Added { .. }]));
    assert_eq!(limited("-A PREROUTING ! -i lo -p tcp -m recent --set --name seen"), Proxying::Same);
    // Of what is forwarded the proxy's SYN does not come by a device.
    let forwarded = other("raw", "PREROUTING", "-A PREROUTING -p tcp -m recent --set --name seen");
    let tables = format!("{forwarded}{}", filter(["DROP", "ACCEPT", "ACCEPT"], ""));
    let behind = losses(judged(&tables, Served::HereAndBehind, &[]));
    assert!(behind.iter().all(|loss| matches!(loss, Loss::Added { .. } | Loss::Passes { .. })), "{behind:?}");
}

#[test]
fn segments_of_unknown_connections_pass_unless_a_rule_drops_what_is_invalid() {
    let accepts = |tables: &str, served| {
        let told = Told { ip_legacy: tables.to_string(), ..Told::default() };
        let proxied = Proxied { ports: Ports::one(443).unwrap(), except: Vec::new(), served };
        accepts_unknown(&Ruleset::read(&told).unwrap(), &proxied)
    };
    let open = "-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT";
    assert!(accepts("", Served::Here));
    assert!(accepts(&filter(CLOSED, open), Served::Here));
    let usual = filter(CLOSED, &format!("{USUAL}\n{open}"));
    assert!(!accepts(&usual, Served::Here));
    assert!(!accepts(&usual, Served::HereAndBehind));
    let behind = format!("{USUAL}\n{open}\n-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT");
    assert!(accepts(&filter(CLOSED, &behind), Served::HereAndBehind));
    // A rule for what begins a connection does not let them in.
    let new = "-A INPUT -p tcp -m tcp --dport 443 -m conntrack --ctstate NEW -j ACCEPT";
    assert!(!accepts(&filter(CLOSED, new), Served::Here));
}

#[test]
fn translation_and_what_is_not_tracked_are_refused() {
    let one = |tables: &str| losses(judged(tables, Served::HereAndBehind, &[])).remove(0);
    let forwarded = "-A PREROUTING -i wan -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.2";
    assert!(matches!(one(&other("nat", "PREROUTING", forwarded)), Loss::Translated { .. }));
    let own = "-A OUTPUT -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.2";
    assert!(matches!(one(&other("nat", "OUTPUT", own)), Loss::Translated { .. }));
    // What leaves is masqueraded as before.
    let masqueraded = other("nat", "POSTROUTING", "-A POSTROUTING -o wan -j MASQUERADE");
    assert_eq!(judged(&masqueraded, Served::HereAndBehind, &[]), Proxying::Same);
    let untracked = "-A PREROUTING -p tcp -m tcp --dport 443 -j CT --notrack";
    assert!(matches!(one(&other("raw", "PREROUTING", untracked)), Loss::Untracked { .. }));
    let another = "-A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack";
    assert_eq!(judged(&other("raw", "PREROUTING", another), Served::HereAndBehind, &[]), Proxying::Same);
}

#[test]
fn what_is_not_understood_is_not_decided() {
    for rule in ["-A INPUT -m wonder --full -j DROP", "-A INPUT -j WONDER", "-A INPUT -p tcp -j NFQUEUE --queue-num 1"]
    {
        let judgement = judged(&filter(["ACCEPT"; 3], rule), Served::Here, &[]);
        assert!(matches!(judgement, Proxying::Undecided(_)), "{rule}: {judgement:?}");
    }
    let told = Told { gaps: vec!["run nft: not found".into()], ..Told::default() };
    let proxied = Proxied { ports: Ports::one(443).unwrap(), except: Vec::new(), served: Served::Here };
    let judge = |told: &Told, balanced| {
        let beside = Beside { balanced, replicated: Some(false) };
        judge_synproxy(&Ruleset::read(told).unwrap(), &proxied, &beside)
    };
    assert!(matches!(judge(&told, Some(Vec::new())), Proxying::Undecided(_)));
    assert!(matches!(judge(&Told::default(), None), Proxying::Undecided(_)));
}
