//! Scripts and rules on the real kernel, in namespaces of the test's own. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};

use plimsoll_lab::LabNamespace;
use plimsoll_model::{ModuleState, Sysctl, TcpState, Timeout};
use plimsoll_render::{Format, Place, Reasoned, Target, render};
use support::{host, namespaced, plan, policies, timeout};

fn text(format: Format, changes: &[Reasoned], target: &Target) -> String {
    render(format, changes, target).files.remove(0).text
}

/// Runs a script in a namespace: `sh -s ARGUMENT`.
fn run(lab: &LabNamespace, script: &str, argument: &str) -> Output {
    fed(lab, &["sh", "-s", argument], script)
}

fn fed(lab: &LabNamespace, command: &[&str], input: &str) -> Output {
    let mut child = Command::new("ip")
        .args(["netns", "exec", lab.name()])
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A script may end before it is read to its end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn value(lab: &LabNamespace, sysctl: Sysctl) -> u32 {
    lab.run(&["cat", &format!("/proc/sys/{}", sysctl.path())]).unwrap().trim().parse().unwrap()
}

fn values(lab: &LabNamespace) -> Vec<u32> {
    let sysctl = |change: &Reasoned| match change.edit {
        plimsoll_model::Edit::Sysctl { sysctl, .. } => Some(value(lab, sysctl)),
        _ => None,
    };
    namespaced().iter().filter_map(sysctl).collect()
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    let told = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

/// A namespace as it is before the plan.
fn before() -> (LabNamespace, Target, Vec<u32>) {
    let lab = LabNamespace::tracking().unwrap();
    lab.set("net/ipv4/tcp_syncookies", 0).unwrap();
    let target = Target { module: ModuleState::BuiltIn, place: Place::Other(lab.name().into()), ..host() };
    let was = values(&lab);
    assert_eq!(was, [120, 432_000, 120, 0, 0]);
    (lab, target, was)
}

#[test]
fn a_script_makes_the_changes_and_undoes_them() {
    let (lab, target, was) = before();
    let script = text(Format::Script, &plan(), &target);
    let told = ends(&run(&lab, &script, "apply"), 0);
    assert!(told.contains("net/netfilter/nf_conntrack_tcp_timeout_time_wait: 120 -> 30\n"), "{told}");
    assert_eq!(values(&lab), [30, 3600, 60, 1, 1]);
    assert!(lab.run(&["nft", "list", "ruleset"]).unwrap().contains("ct timeout tcp_8443"));

    let again = ends(&run(&lab, &script, "apply"), 0);
    assert!(again.contains("nf_conntrack_tcp_timeout_time_wait is 30 already\n"), "{again}");

    ends(&run(&lab, &script, "revert"), 0);
    assert_eq!(values(&lab), was);
    assert!(!lab.run(&["nft", "list", "ruleset"]).unwrap().contains("plimsoll"));
    ends(&run(&lab, &script, "revert"), 0);
    ends(&run(&lab, &script, "help"), 2);
}

#[test]
fn a_script_of_yesterday_changes_nothing() {
    let (lab, target, _) = before();
    let script = text(Format::Script, &plan(), &target);
    lab.set("net/netfilter/nf_conntrack_udp_timeout_stream", 100).unwrap();
    let told = ends(&run(&lab, &script, "apply"), 1);
    assert!(told.contains("nf_conntrack_udp_timeout_stream is 100; it was 120"), "{told}");
    assert_eq!(values(&lab), [120, 432_000, 100, 0, 0]);
}

#[test]
fn what_somebody_else_has_set_since_is_left_and_told() {
    let (lab, target, _) = before();
    let script = text(Format::Script, &plan(), &target);
    ends(&run(&lab, &script, "apply"), 0);
    lab.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 77).unwrap();
    let told = ends(&run(&lab, &script, "revert"), 1);
    assert!(told.contains("nf_conntrack_tcp_timeout_time_wait is 77, which is not this plan's"), "{told}");
    assert_eq!(values(&lab), [77, 432_000, 120, 0, 0]);
}

/// Seconds that the newest entry towards a port has left.
fn left_secs(lab: &LabNamespace, family: &str, port: &str) -> u32 {
    let listed = lab.run(&["conntrack", "-L", "-f", family, "-p", "udp", "--dport", port]).unwrap();
    listed.split_whitespace().nth(2).unwrap_or_else(|| panic!("no entry towards {port}: {listed}")).parse().unwrap()
}

fn send(lab: &LabNamespace) {
    lab.enter(|| {
        for (own, to) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
            let socket = UdpSocket::bind(own).unwrap();
            for port in [53, 54] {
                socket.send_to(b"?", format!("{to}:{port}")).unwrap();
            }
        }
    })
    .unwrap();
}

/// New flows of the service have the policy's timeout, those of its neighbour the sysctl's.
#[track_caller]
fn policies_hold(lab: &LabNamespace) {
    send(lab);
    for family in ["ipv4", "ipv6"] {
        assert!(left_secs(lab, family, "53") <= 10, "{family}");
        assert!(left_secs(lab, family, "54") > 20, "{family}");
    }
}

#[test]
fn nft_takes_the_rules_and_new_flows_get_their_timeouts() {
    let lab = LabNamespace::tracking().unwrap();
    let rules = text(Format::Nft, &policies(), &host());
    ends(&fed(&lab, &["nft", "-c", "-f", "-"], &rules), 0);
    assert!(!lab.run(&["nft", "list", "ruleset"]).unwrap().contains("plimsoll"), "only looked at");
    for _ in 0..2 {
        ends(&fed(&lab, &["nft", "-f", "-"], &rules), 0);
    }
    policies_hold(&lab);
    let ruleset = lab.run(&["nft", "list", "table", "inet", plimsoll_render::TABLE]).unwrap();
    for said in ["established : 7200", "time_wait : 15", "unack : 240", "retrans : 250"] {
        assert!(ruleset.contains(said) || ruleset.contains("2h"), "{said}: {ruleset}");
    }
    lab.run(&["nft", "delete", "table", "inet", plimsoll_render::TABLE]).unwrap();
}

#[test]
fn iptables_takes_the_rules_and_new_flows_get_their_timeouts() {
    let lab = LabNamespace::tracking().unwrap();
    let script = text(Format::Iptables, &policies(), &host());
    ends(&run(&lab, &script, "apply"), 0);
    policies_hold(&lab);
    ends(&run(&lab, &script, "revert"), 0);
    assert_eq!(lab.run(&["nfct", "list", "timeout"]).unwrap(), "");
    assert!(!lab.run(&["iptables-save", "-t", "raw"]).unwrap().contains("timeout"));
}

/// What is set for one service in words of ours is what the kernel shows.
#[test]
fn every_timeout_of_a_policy_has_a_word() {
    let lab = LabNamespace::tracking().unwrap();
    let tcp: Vec<_> = Timeout::all_with_sysctl()
        .filter(|timeout| matches!(timeout, Timeout::Tcp(_) | Timeout::TcpMaxRetrans | Timeout::TcpUnacknowledged))
        .zip(1001..)
        .collect();
    let all = [support::policy(plimsoll_model::PolicyProtocol::Tcp, 443, &tcp, "x")];
    for format in [Format::Nft, Format::Iptables] {
        let rendered = render(format, &all, &host());
        assert_eq!(rendered.left_out, [], "{format}");
        let command: &[&str] = if format == Format::Nft { &["nft", "-f", "-"] } else { &["sh", "-s"] };
        ends(&fed(&lab, command, &rendered.files[0].text), 0);
    }
    let shown = lab.run(&["nfct", "list", "timeout"]).unwrap();
    let syn_sent = tcp.iter().find(|(of, _)| *of == Timeout::Tcp(TcpState::SynSent)).unwrap().1;
    assert!(shown.contains(&format!(".SYN_SENT = {syn_sent}")), "{shown}");
    for (of, secs) in &tcp {
        assert!(shown.contains(&format!(" = {secs},")), "{}: {shown}", timeout(*of));
    }
}

/// What a daemon set's container runs, here in a namespace instead of a node's.
#[test]
fn the_container_of_a_daemon_set_sets_what_it_says() {
    let (lab, ..) = before();
    let yaml = render(Format::DaemonSet, &namespaced(), &host()).to_string();
    let program = "import sys, yaml; print(yaml.safe_load(sys.stdin)['spec']['template']['spec']['initContainers'][0]['args'][0])";
    let commands = ends(&fed(&lab, &["/usr/bin/python3", "-c", program], &yaml), 0);
    // A busybox as in the image.
    let told = ends(&fed(&lab, &["busybox", "sh", "-c", &commands], ""), 0);
    assert!(told.contains("net.netfilter.nf_conntrack_tcp_timeout_time_wait = 30\n"), "{told}");
    assert_eq!(values(&lab), [30, 3600, 60, 1, 1]);
}
