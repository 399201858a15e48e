//! What settings and counters of the real kernel make `plimsoll check` say, in namespaces of the test's own. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::TcpState;
use serde_json::{Value, json};
use support::{PLIMSOLL, Run, finding, namespace, plimsoll};

/// One reading of a namespace, from outside.
fn check(lab: &LabNamespace) -> Value {
    plimsoll(&["check", "--netns", lab.name(), "--interval", "0", "--json"]).json()
}

#[test]
fn each_namespace_tells_its_own_settings() {
    let lab = LabNamespace::tracking().unwrap();
    let before = check(&lab);
    assert_eq!(namespace(&before, lab.name())["settings"]["syncookies"], 1);
    assert!(finding(&before, "syncookies-off").is_null(), "{before:#}");

    lab.set("net/ipv4/tcp_syncookies", 0).unwrap();
    lab.set("net/ipv4/tcp_keepalive_time", 600).unwrap();
    lab.set("net/netfilter/nf_conntrack_tcp_loose", 0).unwrap();
    let after = check(&lab);
    let settings = &namespace(&after, lab.name())["settings"];
    assert_eq!((&settings["syncookies"], &settings["keepalive_time_secs"]), (&json!(0), &json!(600)));
    assert_eq!((&settings["tcp_loose"], &settings["tcp_be_liberal"]), (&json!(false), &json!(false)));
    assert_eq!(settings["local_ports"].as_array().map(Vec::len), Some(2));
    assert_eq!(finding(&after, "syncookies-off")["severity"], "info");
}

#[test]
fn many_half_open_connections_make_missing_syncookies_a_warning() {
    let lab = LabNamespace::tracking().unwrap();
    lab.set("net/ipv4/tcp_syncookies", 0).unwrap();
    lab.fill(entries(Kind::Tcp(TcpState::SynRecv), 0, 1500)).unwrap();
    let document = check(&lab);
    let off = finding(&document, "syncookies-off");
    assert_eq!(off["severity"], "warning");
    let command = format!("ip netns exec {} sysctl -w net.ipv4.tcp_syncookies=1", lab.name());
    assert_eq!(off["remedies"][0]["command"], command);
    // What it says, helps.
    assert!(Command::new("bash").args(["-c", &command]).output().unwrap().status.success());
    assert!(finding(&check(&lab), "syncookies-off").is_null());
}

#[test]
fn a_time_wait_that_is_too_short_is_a_warning_where_connections_close() {
    let lab = LabNamespace::tracking().unwrap();
    lab.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 10).unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, 100)).unwrap();
    assert_eq!(finding(&check(&lab), "timeout-risky")["severity"], "info");
    lab.fill(entries(Kind::AssuredTcp(TcpState::TimeWait), 0, 100)).unwrap();
    assert_eq!(finding(&check(&lab), "timeout-risky")["severity"], "warning");
    lab.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 15).unwrap();
    assert!(finding(&check(&lab), "timeout-risky").is_null());
}

/// Checks a namespace while something goes on in it.
fn check_while(lab: &LabNamespace, mut act: impl FnMut() + Send) -> Value {
    let is_checked = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_checked.load(Ordering::Relaxed) {
                act();
                thread::sleep(Duration::from_millis(2));
            }
        });
        let checked = plimsoll(&["check", "--netns", lab.name(), "--json"]);
        is_checked.store(true, Ordering::Relaxed);
        checked.json()
    })
}

/// Flows that are all translated to one port, which one of them has.
#[test]
fn flows_that_are_given_the_same_tuple_clash() {
    let lab = LabNamespace::create().unwrap();
    lab.nft(
        "table ip t { chain c { type nat hook postrouting priority srcnat; udp dport 9 snat to 127.0.0.1:5000; }; }\n",
    )
    .unwrap();
    let document = check_while(&lab, || {
        let sender = || UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", "127.0.0.1:9"));
        // Where it clashes it is refused.
        lab.enter(sender).unwrap().ok();
    });
    let clash = finding(&document, "insert-clash");
    assert_eq!(clash["severity"], "warning", "{document:#}");
    assert!(
        finding(&document, "table-full").is_null() && finding(&document, "namespace-full").is_null(),
        "{document:#}"
    );
}

/// Data of a connection whose entry is gone, where none may be picked up.
#[test]
fn packets_without_an_entry_are_invalid() {
    let lab = LabNamespace::tracking().unwrap();
    let connect = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    };
    let (mut client, _server) = lab.enter(connect).unwrap();
    client.set_nodelay(true).unwrap();
    lab.set("net/netfilter/nf_conntrack_tcp_loose", 0).unwrap();
    lab.run(&["conntrack", "-F"]).unwrap();
    let document = check_while(&lab, || client.write_all(b"x").unwrap());
    let invalid = finding(&document, "invalid-packets");
    assert_eq!(invalid["severity"], "warning", "{document:#}");
    let keys: Vec<_> = invalid["evidence"].as_array().unwrap().iter().map(|evidence| &evidence["key"]).collect();
    assert!(keys.contains(&&json!("tcp_loose")) && keys.contains(&&json!("invalid_ratio")), "{invalid:#}");
}

#[test]
fn in_a_container_nothing_is_said_of_the_next_boot() {
    for unshare in [&["--mount"][..], &["--mount", "--pid", "--fork", "--mount-proc"]] {
        let mut command = Command::new("unshare");
        command.args(unshare).args([PLIMSOLL, "check", "--interval", "0", "--json"]);
        let document = Run::of(command).json();
        assert!(document["lasting"].is_null(), "{unshare:?}: {document:#}");
        assert!(finding(&document, "settings-not-persistent").is_null(), "{document:#}");
        let unseen = document["unseen"].as_array().unwrap();
        let gap = unseen.iter().find(|gap| gap["reading"] == "lasting").expect("a note");
        assert!(gap["answered"].as_str().unwrap().contains("namespace of a container"), "{gap}");
    }
}

#[test]
fn a_check_that_warns_says_where_more_is_said() {
    let lab = LabNamespace::tracking().unwrap();
    let last_line = || {
        let text = plimsoll(&["check", "--netns", lab.name(), "--interval", "0"]).stdout;
        text.lines().last().unwrap_or_default().to_string()
    };
    assert!(!last_line().contains("plimsoll explain"), "nothing is wrong");
    lab.set("net/ipv4/tcp_syncookies", 0).unwrap();
    lab.fill(entries(Kind::Tcp(TcpState::SynRecv), 0, 1500)).unwrap();
    assert_eq!(last_line(), "plimsoll explain syncookies-off says more; plimsoll plan says what to change.");
}
