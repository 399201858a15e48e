//! IPVS as kube-proxy sets it up, with connections through it: what is said of them against who sent them, and who got them.

#[path = "../../../rules/tests/kube-proxy/needs.rs"]
mod needs;

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

/// What iptables loads for each match and target.
const EXTENSIONS: [&str; 13] = [
    "libxt_set",
    "libxt_mark",
    "libxt_MARK",
    "libxt_comment",
    "libxt_conntrack",
    "libxt_MASQUERADE",
    "libxt_addrtype",
    "libxt_physdev",
    "libxt_standard",
    "libxt_tcp",
    "libxt_udp",
    "libipt_REJECT",
    "libip6t_REJECT",
];

fn node() -> Guest {
    let rulesets = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/tests/rulesets");
    let guest = needs::PROGRAMS.into_iter().fold(guest(), Guest::program);
    let guest = needs::MODULES.into_iter().fold(guest, Guest::module);
    let guest = ["v4", "v6", "ipset", "ipvs", "addresses"].into_iter().fold(guest, |guest, kind| {
        let name = format!("kube-ipvs.{kind}");
        guest.file(format!("/rules/{name}"), fs::read(format!("{rulesets}/{name}")).unwrap())
    });
    let guest = EXTENSIONS.into_iter().fold(guest, |guest, name| {
        let path = format!("/usr/lib/x86_64-linux-gnu/xtables/{name}.so");
        guest.file(&path, fs::read(&path).expect("iptables' extensions"))
    });
    let guest = guest.file("/bin/answer", ANSWER).file("/etc/protocols", "tcp 6 TCP\nudp 17 UDP\n");
    let guest = guest.file("/bin/ask-late", ASK_LATE).file("/bin/ask-untracked", ASK);
    CLIENTS.iter().fold(guest, |guest, client| guest.file(format!("/bin/{}", client.program), ASK))
}

/// Who connects, how often, and which service it asks.
struct Client {
    program: &'static str,
    address: &'static str,
    namespace: &'static str,
    service: &'static str,
    made: usize,
}

impl Client {
    /// Each keeps its last one.
    const fn over(&self) -> usize {
        self.made - 1
    }
}

const CLUSTER_IP: &str = "ClusterIP 10.96.0.20:80/tcp";

/// By how many connections they make.
const CLIENTS: [Client; 7] = [
    Client { program: "ask-as-pod", address: "10.244.0.9", namespace: "pod-c", service: CLUSTER_IP, made: 20 },
    Client {
        program: "ask-as-outsider",
        address: "192.0.2.9",
        namespace: "outside",
        service: "NodePort 192.0.2.1:30080/tcp",
        made: 12,
    },
    // An address of a service is the node's own, and what it asks there it asks by that.
    Client { program: "ask-as-node", address: "10.96.0.20", namespace: "host", service: CLUSTER_IP, made: 8 },
    Client { program: "ask-itself", address: "10.244.0.2", namespace: "pod-a", service: CLUSTER_IP, made: 6 },
    Client {
        program: "ask-balancer",
        address: "192.0.2.9",
        namespace: "outside",
        service: "load balancer 203.0.113.80:80/tcp",
        made: 5,
    },
    // `externalTrafficPolicy: Local`.
    Client {
        program: "ask-local",
        address: "192.0.2.9",
        namespace: "outside",
        service: "load balancer 203.0.113.81:443/tcp",
        made: 4,
    },
    Client {
        program: "ask-local-port",
        address: "192.0.2.9",
        namespace: "outside",
        service: "NodePort 192.0.2.1:30443/tcp",
        made: 3,
    },
];
const CONNECTIONS: usize = 20 + 12 + 8 + 6 + 5 + 4 + 3;
const OVER: usize = CONNECTIONS - CLIENTS.len();

/// How many of those that are over are of clients for whom something holds.
fn over(is_one: impl Fn(&Client) -> bool) -> usize {
    CLIENTS.iter().filter(|client| is_one(client)).map(Client::over).sum()
}

#[test]
fn connections_by_ipvs_are_told_as_they_went() {
    let transcript = run(&node(), include_str!("ipvs.sh"));
    let lines = |step: &str| output(&transcript, step).lines().map(str::to_string).collect::<Vec<_>>();
    let balanced = |step: &str| lines(step).iter().filter(|line| line.starts_with("TCP ")).count();

    // What the two pods saw: the one has two ports.
    let [a, b, shielded] = ["a", "b", "a-shielded"].map(|file| lines(&format!("saw-{file}")));
    let count = |saw: &[String], what: &str| saw.iter().filter(|line| line.starts_with(what)).count();
    let all = [a.as_slice(), &b, &shielded].concat();
    assert_eq!((count(&all, "came"), count(&all, "went")), (CONNECTIONS, OVER), "{all:?}");
    // Every other time it reaches itself, and is then seen as the node is.
    let came = ["10.244.0.9", "10.244.0.2", "10.244.0.1", "192.0.2.9"];
    let came = came.map(|address| all.iter().filter(|line| **line == format!("came {address}")).count());
    assert_eq!(came, [20, 3, 12 + 8 + 3 + 5, 4 + 3], "{all:?}");

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
    // Of five, those with the most entries are named.
    let named = [CLUSTER_IP, "NodePort 192.0.2.1:30080/tcp", "load balancer 203.0.113.80:80/tcp"];
    let named = named.map(|service| format!("{service} {}", share(over(|client| client.service == service))));
    let services = format!("services: {}; 5 in all among the {OVER} looked at", named.join(", "));
    assert_eq!(says("services"), services);
    assert_eq!(says("translated_by"), "translated by kube-proxy in IPVS mode");
    let masqueraded = count(&all, "went 10.244.0.1");
    assert_eq!(says("masqueraded"), format!("masqueraded as: 10.244.0.1 {}", share(masqueraded)));
    let hairpins =
        masqueraded - over(|client| ["ask-as-outsider", "ask-as-node", "ask-balancer"].contains(&client.program));
    assert!(hairpins > 0 && says("hairpin_ratio").starts_with(&share(hairpins)), "{hairpins}: {churn:#}");

    let whose = churn["whose"].as_array().unwrap();
    let server = |namespace: &str| {
        let is_it = |by: &&Value| {
            (&by["side"], &by["command"], &by["namespace"]) == (&"server".into(), &"answer".into(), &namespace.into())
        };
        // One for each port that is served.
        let shares = whose.iter().filter(is_it).map(|by| by["share"]["value"].as_f64().unwrap());
        format!("{:.1}%", 100.0 * shares.sum::<f64>())
    };
    let went = |saw: &[String]| count(saw, "went");
    for (backend, saw) in [("10.244.0.2:8080", &a), ("10.244.0.3:8080", &b), ("10.244.0.2:8443", &shielded)] {
        let share = share(went(saw));
        assert!(says("backends").contains(&format!("{backend}/tcp {share}")), "{share}: {}", says("backends"));
    }
    assert_eq!(server("pod-a"), share(went(&a) + went(&shielded)));
    assert_eq!(server("pod-b"), share(went(&b)));
    // Each client keeps one connection more, and that does not tell who opened those that are over. Three are named, those with the most
    // entries.
    assert!(whose.iter().all(|by| by["side"] == "server"), "{whose:#?}");
    let kept = says("unknown_client_ratio");
    for Client { program, address, namespace, .. } in &CLIENTS[..3] {
        let is_it = |by: &str| by.starts_with(program) && (*namespace == "host" || by.contains(namespace));
        assert!(kept.rsplit(": ").next().unwrap().split("), ").any(is_it), "{program}: {kept}");
        let share = share(over(|other| other.address == *address));
        assert!(says("sources").contains(&format!("{address} {share}")), "{}", says("sources"));
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
