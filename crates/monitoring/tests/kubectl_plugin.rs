//! The plugin for kubectl, with a `kubectl` that notes its arguments and answers as it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use plimsoll_monitoring::Kind;
use support::{file, folder, succeeds};

/// Notes each argument in a line of its own, and the end of each call. Pods are as a file says; what runs in one answers with its
/// name, and ends with the code that the name ends with.
const KUBECTL: &str = r#"#!/bin/sh
here=$(dirname "$0")
{ printf '%s\n' "$@"; echo END; } >>"$here/calls"
for word; do
    case $word in
    get) cat "$here/pods"; exit "$(cat "$here/code")" ;;
    plimsoll-forbidden) echo "Error from server (Forbidden): pods is forbidden" >&2; exit 1 ;;
    plimsoll-*)
        code=${word##*-}
        echo "SAID in $word"
        [ "$code" = 0 ] || echo "command terminated with exit code $code" >&2
        exit "$code"
        ;;
    esac
done
"#;

struct Cluster(PathBuf);

impl Cluster {
    /// One whose API answers with these pods, and kubectl with this code.
    fn new(name: &str, pods: &str, code: u8) -> Self {
        let folder = folder(&format!("kubectl-{name}"));
        fs::write(folder.join("kubectl"), KUBECTL).unwrap();
        fs::set_permissions(folder.join("kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("pods"), pods).unwrap();
        fs::write(folder.join("code"), code.to_string()).unwrap();
        fs::write(folder.join("calls"), "").unwrap();
        Self(folder)
    }

    fn plugin(&self, arguments: &[&str]) -> (i32, String, String) {
        let path = format!("{}:/usr/bin:/bin", self.0.display());
        let mut command = Command::new("/bin/sh");
        command.arg(file(Kind::KubectlPlugin)).args(arguments).env_clear().env("PATH", path);
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// The arguments of each call of kubectl.
    fn calls(&self) -> Vec<Vec<String>> {
        let calls = fs::read_to_string(self.0.join("calls")).unwrap();
        calls.split_terminator("END\n").map(|call| call.lines().map(str::to_string).collect()).collect()
    }
}

const GET: [&str; 6] = [
    "get",
    "pods",
    "--selector",
    "app.kubernetes.io/name=plimsoll",
    "--field-selector",
    "spec.nodeName=node-1.example,status.phase=Running",
];

#[test]
fn check_runs_in_the_pod_of_the_node_and_answers_as_it_does() {
    for code in 0..=3 {
        let cluster = Cluster::new(&format!("check-{code}"), &format!("plimsoll-{code}\n"), 0);
        let (ended, said, _) = cluster.plugin(&["check", "node-1.example", "--json", "--netns", "a b"]);
        assert_eq!((ended, said), (code, format!("SAID in plimsoll-{code}\n")));
        let calls = cluster.calls();
        let [get, exec] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!(get[..2], ["--namespace", "plimsoll"]);
        assert_eq!(get[2..8], GET);
        assert_eq!(get[8..], ["--output", "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}"]);
        let pod = format!("plimsoll-{code}");
        let words = ["--container", "plimsoll", "--", "plimsoll", "check", "--json", "--netns", "a b"];
        assert_eq!(exec[..4], ["--namespace", "plimsoll", "exec", &pod]);
        assert_eq!(exec[4..], words);
    }
}

#[test]
fn options_of_kubectl_go_to_each_of_its_calls() {
    let cluster = Cluster::new("options", "plimsoll-0\n", 0);
    let options = ["--context", "one two", "-n", "net", "--kubeconfig", "/etc/k"];
    assert_eq!(cluster.plugin(&[&options[..], &["check", "node-1"]].concat()).0, 0);
    let calls = cluster.calls();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call[..6], ["--kubeconfig", "/etc/k", "--context", "one two", "--namespace", "net"]);
    }
}

#[test]
fn nodes_has_a_line_for_each_and_the_worst_of_their_codes() {
    let pods = "node-1 plimsoll-0 Running\nnode-2 plimsoll-1 Running\nnode-3 plimsoll-b Pending\nplimsoll-c Pending\n";
    let cluster = Cluster::new("nodes", pods, 0);
    let (ended, said, complained) = cluster.plugin(&["nodes"]);
    assert_eq!((ended, complained.as_str()), (3, ""));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "node-1\tSAID in plimsoll-0",
            "node-2\tSAID in plimsoll-1",
            "node-3\tits pod does not run: Pending",
            "plimsoll-c\tits pod does not run: Pending"
        ]
    );
    let calls = cluster.calls();
    let words = ["--container", "plimsoll", "--", "plimsoll", "check", "--quiet", "--color", "never"];
    assert!(calls.len() == 3 && calls[1..].iter().all(|call| call[4..] == words), "{calls:?}");

    for (codes, worst) in [([0, 0], 0), ([1, 0], 1), ([3, 2], 2), ([1, 3], 3), ([0, 137], 3)] {
        let pods = codes.map(|code| format!("node plimsoll-{code} Running\n")).concat();
        assert_eq!(Cluster::new("worst", &pods, 0).plugin(&["nodes"]).0, worst, "{codes:?}");
    }
}

#[test]
fn what_kubectl_itself_ends_with_is_no_verdict() {
    let cluster = Cluster::new("forbidden", "plimsoll-forbidden\n", 0);
    let (ended, said, complained) = cluster.plugin(&["check", "node-1"]);
    assert_eq!((ended, said.as_str()), (3, ""));
    assert!(complained.contains("Forbidden"), "{complained}");
    let cluster = Cluster::new("forbidden-nodes", "node-1 plimsoll-forbidden Running\n", 0);
    let (ended, said, _) = cluster.plugin(&["nodes"]);
    assert_eq!((ended, said.as_str()), (3, "node-1\tError from server (Forbidden): pods is forbidden\n"));
}

#[test]
fn what_goes_wrong_is_said() {
    for (pods, code, arguments, said) in [
        ("", 0, &["check", "node-1"][..], "no pod of plimsoll runs on node-1 in the namespace plimsoll"),
        ("", 0, &["nodes"], "no pod of plimsoll is in the namespace plimsoll"),
        ("", 1, &["check", "node-1"], ""),
        ("", 1, &["nodes"], ""),
        ("plimsoll-0\n", 0, &["check"], "check takes the name of a node"),
        ("plimsoll-0\n", 0, &["check", "node-1,a=b"], "is no name of a node"),
        ("plimsoll-0\n", 0, &["check", "--json"], "--json is no name of a node"),
        ("plimsoll-0\n", 0, &["nodes", "node-1"], "nodes takes no arguments"),
        ("plimsoll-0\n", 0, &["--namespace"], "--namespace takes a value"),
        ("plimsoll-0\n", 0, &[], "usage: "),
        ("plimsoll-0\n", 0, &["chekc"], "usage: "),
    ] {
        let (ended, told, complained) = Cluster::new("wrong", pods, code).plugin(arguments);
        assert_eq!((ended, told.as_str()), (3, ""), "{arguments:?}: {complained}");
        assert!(complained.contains(said), "{arguments:?}: {complained}");
    }
    let (ended, told, _) = Cluster::new("help", "", 0).plugin(&["--help"]);
    assert!(ended == 0 && told.starts_with("usage: kubectl plimsoll "), "{told}");
}

#[test]
fn shellcheck_finds_nothing() {
    let plugin = file(Kind::KubectlPlugin);
    succeeds("shellcheck", &[&plugin.display().to_string()], Path::new("/"));
    assert_eq!(fs::metadata(plugin).unwrap().permissions().mode() & 0o111, 0o111, "it cannot be run");
}
