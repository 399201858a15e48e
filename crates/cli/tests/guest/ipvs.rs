//! IPVS as kube-proxy sets it up, with connections through it: what is said of them against who sent them, and who got them.

use std::fs;

use plimsoll_guest::Guest;
use serde_json::Value;

use crate::Checked;
use crate::support::guest::{guest, output, run};

/// Answers each connection with a word, and closes after its client; writes down whom it saw come, and go: `answer PORT FILE`.
const ANSWER: &str = r#"#!/bin/perl
my ($port, $file) = @ARGV;
socket(my $listener, 2, 1, 0) or die $!;
setsockopt($listener, 1, 2, pack("l", 1)) or die $!;
bind($listener, pack("S n x12", 2, $port)) or die $!;
listen($listener, 128) or die $!;
$SIG{CHLD} = "IGNORE";
open(my $seen, ">", $file) or die $!;
select((select($seen), $| = 1)[0]);
while (my $from = accept(my $client, $listener)) {
    my ($family, $from_port, @address) = unpack("S n C4", $from);
    print $seen "came ", join(".", @address), "\n";
    next if fork;
    syswrite($client, "word");
    sysread($client, my $rest, 1);
    print $seen "went ", join(".", @address), "\n";
    exit;
}
"#;

/// Connects so many times, one after the other, and keeps the last connection: `ask ADDRESS PORT TIMES`.
const ASK: &str = r#"#!/bin/perl
my ($address, $port, $times) = @ARGV;
sub ask {
    socket(my $server, 2, 1, 0) or die $!;
    connect($server, pack("S n C4 x8", 2, $port, split(/\./, $address))) or die $!;
    sysread($server, my $word, 4) == 4 or die "no word";
    return $server;
}
for (2 .. $times) {
    my $server = ask();
    shutdown($server, 1);
    sysread($server, my $rest, 1);
    close $server;
}
my $kept = ask();
print "done\n";
close STDOUT;
sleep 600;
"#;

/// Connects, and asks on when a line comes in the file that is named: `ask-late ADDRESS PORT`.
const ASK_LATE: &str = r#"#!/bin/perl
my ($address, $port) = @ARGV;
$| = 1;
socket(my $server, 2, 1, 0) or die $!;
connect($server, pack("S n C4 x8", 2, $port, split(/\./, $address))) or die $!;
sysread($server, my $word, 4);
print "connected\n";
select(undef, undef, undef, 0.1) until -e "/tmp/go";
syswrite($server, "more");
defined sysread($server, my $rest, 1) or print "$!\n";
print "over\n";
"#;

const MODULES: [&str; 12] = [
    "ip_vs",
    "ip_vs_rr",
    "veth",
    "dummy",
    "iptable_nat",
    "iptable_filter",
    "xt_set",
    "xt_MASQUERADE",
    "xt_addrtype",
    "ip_set_hash_ipport",
    "ip_set_hash_ipportip",
    "ip_set_bitmap_port",
];
const MATCHES: [&str; 5] = ["xt_mark", "xt_comment", "xt_conntrack", "xt_tcpudp", "xt_nat"];

/// What iptables loads for each match and target.
const EXTENSIONS: [&str; 9] =
    ["set", "mark", "MARK", "comment", "conntrack", "MASQUERADE", "addrtype", "standard", "tcp"];

fn node() -> Guest {
    let rulesets = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/tests/rulesets");
    let programs = ["ip", "ipset", "ipvsadm", "iptables-legacy", "iptables-legacy-restore", "iptables-legacy-save"];
    let guest = programs.into_iter().fold(guest(), Guest::program);
    let guest = MODULES.into_iter().chain(MATCHES).fold(guest, Guest::module);
    let guest = ["kube-ipvs.v4", "kube-ipvs.ipset"].into_iter().fold(guest, |guest, name| {
        guest.file(format!("/rules/{name}"), fs::read(format!("{rulesets}/{name}")).unwrap())
    });
    let guest = EXTENSIONS.into_iter().fold(guest, |guest, name| {
        let path = ["xt", "ipt"].map(|kind| format!("/usr/lib/x86_64-linux-gnu/xtables/lib{kind}_{name}.so"));
        let path = path.into_iter().find(|path| fs::exists(path).unwrap()).expect("iptables' extensions");
        guest.file(&path, fs::read(&path).unwrap())
    });
    let clients = ["ask-as-pod", "ask-as-outsider", "ask-itself", "ask-as-node", "ask-untracked"];
    let guest = guest.file("/bin/answer", ANSWER).file("/etc/protocols", "tcp 6 TCP\nudp 17 UDP\n");
    let guest = guest.file("/bin/ask-late", ASK_LATE);
    clients.into_iter().fold(guest, |guest, name| guest.file(format!("/bin/{name}"), ASK))
}

/// The clients, by how many connections they made: the program, its address, and its namespace.
const CLIENTS: [(usize, &str, &str, &str); 4] = [
    (20, "ask-as-pod", "10.244.0.9", "pod-c"),
    (12, "ask-as-outsider", "192.0.2.9", "outside"),
    // An address of a service is the node's own, and what it asks there it asks by that.
    (8, "ask-as-node", "10.96.0.20", "host"),
    (6, "ask-itself", "10.244.0.2", "pod-a"),
];
const CONNECTIONS: usize = 20 + 12 + 8 + 6;
/// Each client keeps one.
const OVER: usize = CONNECTIONS - CLIENTS.len();

#[test]
fn connections_by_ipvs_are_told_as_they_went() {
    let transcript = run(&node(), include_str!("ipvs.sh"));
    let lines = |step: &str| output(&transcript, step).lines().map(str::to_string).collect::<Vec<_>>();
    let balanced = |step: &str| lines(step).iter().filter(|line| line.starts_with("TCP ")).count();

    // What the two pods saw.
    let saw = ["a", "b"].map(|pod| lines(&format!("saw-{pod}")));
    let count = |what: &str| saw.iter().flatten().filter(|line| line.starts_with(what)).count();
    assert_eq!((count("came"), count("went")), (CONNECTIONS, OVER), "{saw:?}");
    // Every other time it reaches itself, and is then seen as the node is.
    assert_eq!((count("came 10.244.0.9"), count("came 10.244.0.2"), count("came 10.244.0.1")), (20, 3, 12 + 8 + 3));

    // One entry a connection, and another one in IPVS' own table.
    assert_eq!((lines("entries").len(), balanced("balanced")), (CONNECTIONS, CONNECTIONS));

    assert!(output(&transcript, "sets").contains("add KUBE-CLUSTER-IP 10.96.0.20,6:80"));
    let checked = Checked::of(&transcript, "check");
    let churn = checked.finding("nat-or-service-churn");
    assert_eq!(churn["holds_entries"]["low"], OVER, "{:#}", checked.json["findings"]);
    let says = |key: &str| {
        let evidence = churn["evidence"].as_array().unwrap().iter().find(|evidence| evidence["key"] == key);
        evidence.and_then(|evidence| evidence["text"].as_str()).unwrap_or_else(|| panic!("no {key}: {churn:#}"))
    };
    let share = |of: usize| format!("{:.1}%", 100.0 * of as f64 / OVER as f64);
    let by_node_port = 12 - 1;
    let services = [
        format!("ClusterIP 10.96.0.20:80/tcp {}", share(OVER - by_node_port)),
        format!("NodePort 192.0.2.1:30080/tcp {}", share(by_node_port)),
    ];
    assert_eq!(says("services"), format!("services: {}", services.join(", ")));
    assert_eq!(says("translated_by"), "translated by kube-proxy in IPVS mode");
    assert_eq!(says("masqueraded"), format!("masqueraded as: 10.244.0.1 {}", share(count("went 10.244.0.1"))));
    let hairpins = count("went 10.244.0.1") - by_node_port - (8 - 1);
    assert!(hairpins > 0 && says("hairpin_ratio").starts_with(&share(hairpins)), "{hairpins}: {churn:#}");

    let whose = churn["whose"].as_array().unwrap();
    let program = |side: &str, command: &str, namespace: &str| {
        let is_it = |by: &&Value| {
            (&by["side"], &by["command"], &by["namespace"]) == (&side.into(), &command.into(), &namespace.into())
        };
        let of = whose.iter().find(is_it).unwrap_or_else(|| panic!("no {command} in {namespace}: {whose:#?}"));
        format!("{:.1}%", 100.0 * of["share"]["value"].as_f64().unwrap())
    };
    for ((backend, namespace), saw) in [("10.244.0.2", "pod-a"), ("10.244.0.3", "pod-b")].into_iter().zip(&saw) {
        let share = share(saw.iter().filter(|line| line.starts_with("went")).count());
        assert!(says("backends").contains(&format!("{backend}:8080/tcp {share}")), "{share}: {}", says("backends"));
        assert_eq!(program("server", "answer", namespace), share);
    }
    // Each client keeps one connection more, and that does not tell who opened those that are over. Three are named, those with the most
    // entries.
    assert!(whose.iter().all(|by| by["side"] == "server"), "{whose:#?}");
    let kept = says("unknown_client_ratio");
    for (made, command, address, namespace) in &CLIENTS[..3] {
        let is_it = |by: &str| by.starts_with(command) && (*namespace == "host" || by.contains(namespace));
        assert!(kept.rsplit(": ").next().unwrap().split("), ").any(is_it), "{command}: {kept}");
        assert!(says("sources").contains(&format!("{address} {}", share(made - 1))), "{}", says("sources"));
    }

    // The entry goes when IPVS forgets the connection, and what its client sends then is refused.
    assert!(output(&transcript, "connected").contains("ESTABLISHED"));
    assert_eq!(output(&transcript, "idle"), "");
    assert_eq!(output(&transcript, "late"), "connected\nConnection reset by peer\nover");
    // Without entries IPVS leads connections on all the same, unless a rule drops what belongs to none; and nobody is masqueraded.
    assert_eq!(output(&transcript, "dropped"), "");
    assert_eq!(output(&transcript, "untracked"), "");
    assert!(lines("saw-without").iter().any(|line| line == "came 192.0.2.9"), "{:?}", lines("saw-without"));
    assert_eq!(balanced("still-balanced"), CONNECTIONS + 1 + 1 + 5);
}
