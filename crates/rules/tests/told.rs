//! What programs told of rulesets, without a kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;
use std::path::Path;

use plimsoll_model::{Bypass, Bypassed, PolicyProtocol, Protocol};
use plimsoll_rules::{
    Begins, Beside, Depends, Effect, Field, IpVersion, Judgement, Match, Numbers, Origin, Outcome, PacketClass, Price,
    Route, Ruleset, Statement, Term, Terms, Told, Tracking, Trouble, judge_bypass,
};
use proptest::prelude::*;

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/told").join(name)).unwrap()
}

fn nft(name: &str) -> Ruleset {
    Ruleset::read(&Told { nft: text(&format!("{name}.json")), ..Told::default() }).unwrap()
}

fn ufw() -> Told {
    Told { nft: text("ufw.json"), ip_nft: text("ufw.v4"), ..Told::default() }
}

fn alone() -> Beside {
    Beside { balanced: Some(Vec::new()), replicated: Some(false) }
}

/// DNS, which is served here.
fn names() -> Bypass {
    Bypass { protocol: PolicyProtocol::Udp, port: 53, flows: Bypassed::ServedHere }
}

/// The service itself begins no flow.
fn clients_begin() -> Terms {
    Terms { begins: Begins::ClientsOnly, ..Terms::default() }
}

fn request(port: u16) -> PacketClass {
    PacketClass::new(Route::ToHost, IpVersion::V4)
        .of(Protocol::UDP)
        .with(Field::DestinationPort, &Numbers::one(port.into()))
}

/// Terms of which it is not known what they do.
fn unknown_terms(ruleset: &Ruleset) -> Vec<String> {
    let terms = ruleset
        .tables
        .iter()
        .flat_map(|table| &table.chains)
        .flat_map(|chain| &chain.rules)
        .flat_map(|rule| &rule.terms);
    let unknown = terms.filter(|term| match term {
        Term::Match(Match::Opaque(opaque)) => opaque.depends == Depends::Unknown,
        Term::Statement(Statement::Effect(Effect::Unknown(_))) => true,
        _ => false,
    });
    unknown.map(|term| format!("{term:?}")).collect()
}

#[test]
fn all_of_them_are_understood() {
    for name in ["firewalld", "hand-jumps", "hand-marks", "hand-nat", "hand-sources", "kube-nftables"] {
        let ruleset = nft(name);
        assert!(ruleset.unknown.is_empty(), "{name}: {:?}", ruleset.unknown);
        assert_eq!(unknown_terms(&ruleset), Vec::<String>::new(), "{name}");
    }
    // `ct count` counts by entries, and what it says without them is not known.
    assert_eq!(unknown_terms(&nft("hand-limit")).len(), 1);
}

#[test]
fn what_nft_cannot_tell_is_taken_from_iptables() {
    let told = ufw();
    let by_nft_alone = Ruleset::read(&Told { ip_nft: String::new(), ..told.clone() }).unwrap();
    assert!(unknown_terms(&by_nft_alone).len() > 20);
    assert!(matches!(judge_bypass(&by_nft_alone, &names(), clients_begin(), &alone()), Judgement::Undecided(_)));
    let ruleset = Ruleset::read(&told).unwrap();
    assert_eq!(unknown_terms(&ruleset), Vec::<String>::new());
    assert_eq!(ruleset.tables[0].origin, Origin::IptablesNft);
    let rules = ruleset.tables[0].chains.iter().flat_map(|chain| &chain.rules);
    assert!(rules.filter_map(|rule| rule.comment.as_ref()).any(|comment| comment.as_str().contains("dapp_DNS")));
}

#[test]
fn a_path_tells_which_rules_led_to_its_end() {
    let ruleset = Ruleset::read(&ufw()).unwrap();
    let one =
        request(53).with(Field::SourcePort, &Numbers::one(40_000)).with(Field::Source, &Numbers::one(0xc633_6401));
    let paths = ruleset.evaluate(&one, Tracking::NEW).unwrap();
    let accepted = paths.iter().find(|path| path.outcome == Outcome::Accept).unwrap();
    let shown: Vec<_> = accepted.steps.iter().map(|step| ruleset.show(step.place).to_string()).collect();
    assert!(shown.last().unwrap().contains("chain ufw-user-input, rule 5: -p udp"), "{shown:#?}");
    assert!(shown.iter().any(|step| step.contains("-j ufw-before-input")), "{shown:#?}");
}

#[test]
fn rules_that_must_be_added_are_commands_for_whoever_wrote_the_chain() {
    let ruleset = Ruleset::read(&ufw()).unwrap();
    let Judgement::Safe(safe) = judge_bypass(&ruleset, &names(), clients_begin(), &alone()) else { panic!() };
    let commands: Vec<_> = safe.commands(&ruleset).unwrap().iter().map(|words| words.join(" ")).collect();
    // Errors about its answers belonged to its flows, and would be INVALID.
    assert_eq!(commands.len(), 5, "{commands:#?}");
    let first = "iptables-nft -w -t filter -I ufw-before-input 2 -p icmp ! -i lo -m icmp --icmp-type 3 -m conntrack --ctstate INVALID -j ACCEPT";
    assert_eq!(commands[0], first);
    assert!(safe.prices.iter().any(|price| matches!(price, Price::OpensErrors { .. })));
    assert!(safe.prices.contains(&Price::ClientsBegin));
}

#[test]
fn what_works_with_entries_beside_the_rules_refuses_a_bypass() {
    let ruleset = Ruleset::default();
    let judged = |beside: Beside| judge_bypass(&ruleset, &names(), clients_begin(), &beside);
    assert!(matches!(judged(alone()), Judgement::Safe(_)));
    let first = |judgement: Judgement| match judgement {
        Judgement::Unsafe(reasons) => reasons[0].trouble,
        other => panic!("{other:?}"),
    };
    assert_eq!(first(judged(Beside { replicated: Some(true), ..alone() })), Trouble::Replicated);
    assert_eq!(first(judged(Beside { balanced: Some(vec![request(53)]), ..alone() })), Trouble::Balanced);
    assert!(matches!(judged(Beside { balanced: Some(vec![request(54)]), ..alone() }), Judgement::Safe(_)));
    for unknown in [Beside { replicated: None, ..alone() }, Beside { balanced: None, ..alone() }] {
        assert!(matches!(judged(unknown), Judgement::Undecided(_)));
    }
    let gap = Told { gaps: vec!["run nft: not found".into()], ..Told::default() };
    assert!(matches!(
        judge_bypass(&Ruleset::read(&gap).unwrap(), &names(), clients_begin(), &alone()),
        Judgement::Undecided(_)
    ));
}

/// What iptables-legacy has in its filter table.
fn filter(rules: &[&str]) -> Ruleset {
    let rules = rules.join("\n");
    let told = format!("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}\nCOMMIT\n");
    Ruleset::read(&Told { ip_legacy: told, ..Told::default() }).unwrap()
}

#[test]
fn what_a_program_decides_is_not_followed_further() {
    // Behind the program a chain may drop what is not tracked.
    let judgement =
        judge_bypass(&filter(&["-A INPUT -p udp -j NFQUEUE --queue-num 0"]), &names(), clients_begin(), &alone());
    let Judgement::Undecided(reasons) = judgement else { panic!("{judgement:?}") };
    assert_eq!(reasons[0].trouble, Trouble::NotUnderstood);
    // Errors, too.
    let judgement =
        judge_bypass(&filter(&["-A INPUT -p icmp -j NFQUEUE --queue-num 0"]), &names(), clients_begin(), &alone());
    assert!(matches!(judgement, Judgement::Undecided(_)), "{judgement:?}");
    let tracked_only = filter(&["-A INPUT -p udp -m conntrack --ctstate NEW -j NFQUEUE --queue-num 0"]);
    let judgement = judge_bypass(&tracked_only, &names(), clients_begin(), &alone());
    assert!(matches!(judgement, Judgement::Unsafe(_)), "{judgement:?}");
}

#[test]
fn what_is_remembered_of_tracked_packets_alone_is_missed() {
    for (remembers, trouble) in [
        ("-m recent --set --name r --rsource", Trouble::OtherEffects),
        ("-m hashlimit --hashlimit-above 9/sec --hashlimit-name h", Trouble::OtherEffects),
        ("-m quota --quota 1000", Trouble::OtherEffects),
        ("-m connlimit --connlimit-above 9", Trouble::EntryUsed),
    ] {
        let rule = format!("-A INPUT -p udp -m conntrack --ctstate NEW {remembers}");
        let judgement = judge_bypass(&filter(&[&rule]), &names(), clients_begin(), &alone());
        let Judgement::Unsafe(reasons) = judgement else { panic!("{rule}: {judgement:?}") };
        assert_eq!(reasons[0].trouble, trouble, "{rule}");
    }
    // Tracked or not, the same packets are remembered.
    let all = filter(&["-A INPUT -p udp -m recent --set --name r", "-A INPUT -m recent --rcheck --name r -j DROP"]);
    let judgement = judge_bypass(&all, &names(), clients_begin(), &alone());
    assert!(matches!(judgement, Judgement::Safe(_)), "{judgement:?}");
    // Counters of two rules are two.
    let numgen = r#"{"vmap": {"key": {"numgen": {"mode": "inc", "mod": 2}}, "data": {"set": [[0, {"drop": null}]]}}}"#;
    let tracked = r#"{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "established"}}"#;
    let judgement = judge_bypass(&with_rule(&format!("{tracked}, {numgen}")), &names(), clients_begin(), &alone());
    assert!(matches!(judgement, Judgement::Unsafe(_)), "{judgement:?}");
}

#[test]
fn errors_of_this_host_about_what_passes_through_are_followed() {
    let invalid = "-A OUTPUT -m conntrack --ctstate INVALID -j DROP";
    let anybody = || vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let through = Bypass { flows: Bypassed::Forwarded { clients: anybody(), servers: anybody() }, ..names() };
    let ruleset = filter(&[invalid]);
    let Judgement::Safe(safe) = judge_bypass(&ruleset, &through, clients_begin(), &alone()) else { panic!() };
    let commands: Vec<_> = safe.commands(&ruleset).unwrap().iter().map(|words| words.join(" ")).collect();
    // One for each type of error.
    assert_eq!(commands.len(), 5, "{commands:#?}");
    assert!(commands.iter().all(|command| command.contains("-I OUTPUT 1 -p icmp")), "{commands:#?}");
    assert!(safe.prices.iter().any(|price| matches!(price, Price::OpensErrors { .. })));
}

#[test]
fn a_name_that_a_shell_would_take_for_more_is_in_no_command() {
    let judged = |chain: &str| {
        let nft = format!(
            r#"{{"nftables": [
                {{"table": {{"family": "inet", "name": "t", "handle": 1}}}},
                {{"chain": {{"family": "inet", "table": "t", "name": "{chain}", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}}},
                {{"rule": {{"family": "inet", "table": "t", "chain": "{chain}", "handle": 2, "expr": [
                    {{"match": {{"op": "in", "left": {{"ct": {{"key": "state"}}}}, "right": ["untracked"]}}}}, {{"drop": null}}]}}}}
            ]}}"#
        );
        judge_bypass(&Ruleset::read(&Told { nft, ..Told::default() }).unwrap(), &names(), clients_begin(), &alone())
    };
    assert!(matches!(judged("in-put_1.a"), Judgement::Safe(_)));
    for name in ["$(id)", "a;id", "a b", "-f", "", "a`id`", "a\\nb", "a'b"] {
        let Judgement::Undecided(reasons) = judged(name) else { panic!("{name}") };
        assert_eq!(reasons[0].trouble, Trouble::NotWritable, "{name}");
    }
}

/// One rule, in a chain that drops what no rule accepts.
fn with_rule(expression: &str) -> Ruleset {
    let json = format!(
        r#"{{"nftables": [
            {{"table": {{"family": "inet", "name": "t", "handle": 1}}}},
            {{"chain": {{"family": "inet", "table": "t", "name": "c", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}}},
            {{"rule": {{"family": "inet", "table": "t", "chain": "c", "handle": 2, "expr": [{expression}]}}}}
        ]}}"#
    );
    Ruleset::read(&Told { nft: json, ..Told::default() }).unwrap()
}

#[test]
fn sets_of_one_name_in_two_tables_are_two() {
    let table = |name: &str, states: &str| {
        format!(
            r#"{{"table": {{"family": "inet", "name": "{name}", "handle": 1}}}},
            {{"set": {{"family": "inet", "table": "{name}", "name": "s", "type": "ipv4_addr", "flags": ["timeout"]}}}},
            {{"chain": {{"family": "inet", "table": "{name}", "name": "c", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}}},
            {{"rule": {{"family": "inet", "table": "{name}", "chain": "c", "handle": 2, "expr": [
                {{"match": {{"op": "in", "left": {{"ct": {{"key": "state"}}}}, "right": [{states}]}}}},
                {{"match": {{"op": "==", "left": {{"payload": {{"protocol": "ip", "field": "saddr"}}}}, "right": "@s"}}}},
                {{"drop": null}}]}}}}"#
        )
    };
    let (one, other) = (table("one", r#""new", "established", "invalid""#), table("other", r#""untracked""#));
    let told = Told { nft: format!(r#"{{"nftables": [{one}, {other}]}}"#), ..Told::default() };
    // Those that one drops when they are tracked are not those that the other drops when they are not.
    let judgement = judge_bypass(&Ruleset::read(&told).unwrap(), &names(), clients_begin(), &alone());
    assert!(matches!(judgement, Judgement::Unsafe(_)), "{judgement:?}");
}

#[test]
fn what_is_asked_of_a_field_that_was_written_is_not_known() {
    let write =
        |key: &str, value: &str| format!(r#"{{"mangle": {{"key": {{"payload": {{{key}}}}}, "value": {value}}}}}"#);
    let port = r#""protocol": "udp", "field": "dport""#;
    let asks =
        format!(r#"{{"match": {{"op": "==", "left": {{"payload": {{{port}}}}}, "right": 53}}}}, {{"drop": null}}"#);
    let outcomes = |expression: &str| {
        let paths = with_rule(expression).evaluate(&request(53), Tracking::NEW).unwrap();
        paths.into_iter().map(|path| path.outcome).collect::<BTreeSet<_>>()
    };
    assert_eq!(outcomes(&asks), [Outcome::Drop].into());
    let raw = r#""base": "transport", "offset": 16, "len": 16"#;
    let by_port = format!("{}, {asks}", write(port, "5353"));
    let by_offset = format!("{}, {asks}", write(raw, "5353"));
    for either in [&by_port, &by_offset] {
        assert_eq!(outcomes(either), [Outcome::Accept, Outcome::Drop].into(), "{either}");
        let judgement = judge_bypass(&with_rule(either), &names(), clients_begin(), &alone());
        assert!(matches!(judgement, Judgement::Undecided(_)), "{either}: {judgement:?}");
    }
    let source = write(r#""protocol": "ip", "field": "saddr""#, r#""192.0.2.1""#);
    assert_eq!(outcomes(&format!("{source}, {asks}")), [Outcome::Drop].into());
    assert!(matches!(judge_bypass(&with_rule(&source), &names(), clients_begin(), &alone()), Judgement::Undecided(_)));
    // What no class knows changes nothing that is reckoned.
    let ttl = write(r#""protocol": "ip", "field": "ttl""#, "64");
    assert!(matches!(judge_bypass(&with_rule(&ttl), &names(), clients_begin(), &alone()), Judgement::Safe(_)));
}

#[test]
fn a_map_of_more_ways_than_are_followed_is_given_up_early() {
    // To its end it would take so long that nobody waits.
    let pairs: Vec<_> = (0..100_000_u32)
        .map(|at| format!(r#"["{}", {{"accept": null}}]"#, std::net::Ipv4Addr::from_bits(0x0a00_0000 + 2 * at)))
        .collect();
    let source = r#"{"payload": {"protocol": "ip", "field": "saddr"}}"#;
    let map = format!(r#"{{"vmap": {{"key": {source}, "data": {{"set": [{}]}}}}}}"#, pairs.join(", "));
    let ruleset = with_rule(&map);
    assert!(ruleset.evaluate(&request(53), Tracking::NEW).is_err());
}

#[test]
fn what_is_not_understood_is_kept_and_never_safe() {
    for unknown in [
        r#"{"frobnicate": {"to": 1}}"#,
        r#"{"xt": {"type": "target", "name": "MAGIC"}}"#,
        r#"{"match": {"op": "==", "left": {"magic": 1}, "right": 2}}, {"drop": null}"#,
        r#"{"match": {"op": "==", "left": {"&": [{"ct": {"key": "state"}}, 3]}, "right": 2}}, {"drop": null}"#,
        r#"{"vmap": {"key": {"meta": {"key": "l4proto"}}, "data": "@nowhere"}}"#,
        r#"{"jump": {"target": "nowhere"}}"#,
    ] {
        let judgement = judge_bypass(&with_rule(unknown), &names(), clients_begin(), &alone());
        assert!(matches!(judgement, Judgement::Undecided(_)), "{unknown}: {judgement:?}");
    }
    // Of what is known to be the same for a packet, tracked or not, the outcome need not be known.
    for same in [
        r#"{"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": 0}}, {"drop": null}"#,
        r#"{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 7}}, {"drop": null}"#,
        r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "ttl"}}, "right": 1}}, {"drop": null}"#,
    ] {
        let judgement = judge_bypass(&with_rule(same), &names(), clients_begin(), &alone());
        assert!(matches!(judgement, Judgement::Safe(_)), "{same}: {judgement:?}");
    }
    for lost in [
        r#"{"match": {"op": "==", "left": {"ct": {"key": "mark"}}, "right": 7}}, {"drop": null}"#,
        r#"{"match": {"op": "==", "left": {"ct": {"key": "direction"}}, "right": "original"}}, {"drop": null}"#,
        r#"{"mangle": {"key": {"ct": {"key": "mark"}}, "value": 7}}"#,
        r#"{"ct helper": "sip"}"#,
        r#"{"flow": {"op": "add", "flowtable": "@f"}}"#,
        r#"{"ct count": {"val": 10, "inv": true}}, {"drop": null}"#,
        r#"{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}}, {"log": null}"#,
    ] {
        let judgement = judge_bypass(&with_rule(lost), &names(), clients_begin(), &alone());
        assert!(matches!(judgement, Judgement::Unsafe(_)), "{lost}: {judgement:?}");
    }
}

/// Text with some bytes changed, taken out, or doubled.
fn mutated(text: String) -> impl Strategy<Value = String> {
    let length = text.len();
    let change = (0..length, 0..6u8, any::<u8>(), 1..40usize);
    proptest::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut bytes = text.clone().into_bytes();
        for (at, kind, byte, span) in changes {
            let at = at.min(bytes.len().saturating_sub(1));
            let end = (at + span).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.drain(at..end)),
                2 => bytes.insert(at, byte),
                3 => bytes[at] = b"0123456789{}[]\",:-! \n"[usize::from(byte) % 21],
                4 => {
                    let doubled = bytes[at..end].to_vec();
                    bytes.splice(at..at, doubled);
                }
                _ => bytes.swap(at, end - 1),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn any_told() -> impl Strategy<Value = Told> {
    let json = prop_oneof![
        mutated(text("hand-jumps.json")),
        mutated(text("kube-nftables.json")),
        mutated(text("hand-marks.json")),
        mutated(text("hand-limit.json")),
        mutated(text("ufw.json")),
    ];
    (json, mutated(text("ufw.v4"))).prop_map(|(nft, save)| Told {
        nft,
        ip_nft: save.clone(),
        ip_legacy: save,
        ..Told::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_is_told_makes_it_panic(told in any_told()) {
        let read = [Ruleset::read(&told), Ruleset::read(&Told { nft: String::new(), ..told })];
        for ruleset in read.into_iter().flatten() {
            // Too many ways are an answer, too.
            let _ = ruleset.evaluate(&request(53), Tracking::NEW);
            let _ = judge_bypass(&ruleset, &names(), clients_begin(), &alone());
        }
    }
}
