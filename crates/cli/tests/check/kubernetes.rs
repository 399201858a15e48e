//! Names by the Kubernetes API, as whoever runs `check` sees them; and what it says where they are not to be had.

#[path = "../../../kube/src/tests/certificates.rs"]
mod certificates;
#[path = "../../../kube/src/tests/server.rs"]
#[allow(dead_code, reason = "not every kind of server is needed here")]
mod server;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::{Layer4, NewEntry, Status, Tuple};
use serde_json::{Value, json};

use self::certificates::Certificates;
use self::server::{Answer, Server};
use crate::limit;
use crate::support::{PLIMSOLL, Run, finding};

/// A node whose table holds what one pod asked a service, and another answered. No rule tells of it.
struct Node {
    lab: LabNamespace,
    folder: PathBuf,
    certificates: Certificates,
}

impl Node {
    fn new() -> Self {
        let lab = LabNamespace::tracking().unwrap();
        let questions = entries(Kind::UdpUnreplied, 0, limit() / 8).zip(1024..).map(|(entry, source)| {
            let [client, service, backend] = [[10, 244, 0, 9], [10, 96, 0, 20], [10, 244, 0, 2]].map(Ipv4Addr::from);
            let layer4 = Layer4::Ports { source, destination: 80 };
            let original = Tuple { source: client.into(), destination: service.into(), layer4, ..entry.original };
            let layer4 = Layer4::Ports { source: 8080, destination: source };
            let reply = Tuple { source: backend.into(), layer4, ..original.mirrored() };
            NewEntry { original, reply, status: Status::SEEN_REPLY, ..entry }
        });
        lab.fill(questions).unwrap();
        let folder = lab.folder().unwrap();
        let certificates = Certificates::make(&folder);
        Self { lab, folder, certificates }
    }

    fn serving(&self, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Server {
        self.certificates.serving(move |asked, _| answer(asked))
    }

    /// `check --kube on`, with a kubeconfig for a server.
    fn check_on(&self, server: &str, arguments: &[&str]) -> Run {
        let ca = self.folder.join("ca.crt");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
            "clusters": [{ "name": "k", "cluster": { "server": server, "certificate-authority": ca } }],
            "users": [{ "name": "u", "user": { "token": "t0ken" } }]
        });
        let path = self.folder.join("config");
        fs::write(&path, config.to_string()).unwrap();
        let mut command = Command::new(PLIMSOLL);
        command.env("KUBECONFIG", path);
        self.check(command, "on", arguments)
    }

    /// `check`, as it is run in a pod: with a token where the kubelet puts it, and so in a mount namespace of its own.
    fn check_as_pod(&self, kube: &str, port: u16, arguments: &[&str]) -> Run {
        const OF_POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
        let script = format!(
            "mount -t tmpfs of-pod /var && mkdir -p {OF_POD} && echo of-pod >{OF_POD}/token && cp {}/ca.crt {OF_POD} && exec \"$@\"",
            self.folder.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-euc", &script, "sh", PLIMSOLL]);
        command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", port.to_string());
        self.check(command, kube, arguments)
    }

    fn check(&self, mut command: Command, kube: &str, arguments: &[&str]) -> Run {
        command.args(["check", "--netns", self.lab.name(), "--interval", "0", "--kube", kube]).args(arguments);
        command.env("NODE_NAME", "worker-1");
        Run::of(command)
    }
}

const PODS: &str = "/api/v1/pods";
const SERVICES: &str = "/api/v1/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const CONFIG_MAP: &str = "/api/v1/namespaces/kube-system/configmaps/kube-proxy";

/// A cluster in which `batch/load-1` asks `shop/web`.
fn cluster(asked: &str) -> Answer {
    let pod = |namespace: &str, name: &str, kind: &str, owner: &str, ip: &str| {
        let labels = json!({ "pod-template-hash": "5d4f8c7b9" });
        let owners = json!([{ "kind": kind, "name": owner, "controller": true }]);
        json!({
            "metadata": { "namespace": namespace, "name": name, "labels": labels, "ownerReferences": owners },
            "status": { "phase": "Running", "podIP": ip }
        })
    };
    let port = |port: u16| json!([{ "name": "http", "protocol": "UDP", "port": port }]);
    let items = match asked.split('?').next().unwrap() {
        PODS => json!([
            pod("shop", "web-5d4f8c7b9-x2x4z", "ReplicaSet", "web-5d4f8c7b9", "10.244.0.2"),
            pod("batch", "load-1-q7k2p", "Job", "load-1", "10.244.0.9"),
        ]),
        SERVICES => json!([{
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": { "clusterIP": "10.96.0.20", "ports": port(80) }
        }]),
        SLICES => json!([{
            "metadata": { "namespace": "shop", "name": "web-1", "labels": { "kubernetes.io/service-name": "web" } },
            "endpoints": [{ "addresses": ["10.244.0.2"] }],
            "ports": port(8080)
        }]),
        CONFIG_MAP => {
            return (
                200,
                json!({ "data": { "config.conf": "kind: KubeProxyConfiguration\nmode: ipvs\n" } }).to_string(),
            );
        }
        _ => return (404, json!({ "message": "not found" }).to_string()),
    };
    (200, json!({ "items": items }).to_string())
}

/// What a finding says under a key; nothing where it says nothing.
fn says<'a>(document: &'a Value, id: &str, key: &str) -> &'a str {
    let evidence = finding(document, id)["evidence"].as_array().into_iter().flatten();
    evidence
        .filter(|evidence| evidence["key"] == key)
        .find_map(|evidence| evidence["text"].as_str())
        .unwrap_or_default()
}

/// What was not told of Kubernetes, with what would help.
fn gaps(document: &Value) -> Vec<String> {
    let unseen = document["unseen"].as_array().unwrap().iter();
    let of_kube = unseen.filter(|gap| gap["reading"].as_str().unwrap().starts_with("kubernetes"));
    of_kube.map(|gap| format!("{}: {}; needs {}", gap["tried"], gap["answered"], gap["needs"])).collect()
}

#[test]
fn entries_are_told_by_namespace_workload_and_service() {
    let node = Node::new();
    let server = node.serving(cluster);
    let address = format!("https://{}", server.address);
    let document = node.check_on(&address, &["--json"]).json();
    assert_eq!(gaps(&document), [""; 0]);
    let says = |key| says(&document, "nat-or-service-churn", key);
    assert_eq!(says("services"), "services: shop/web:http (ClusterIP 10.96.0.20:80/udp) 100.0%");
    assert_eq!(says("backends"), "backends: 10.244.0.2:8080/udp (shop/web:http) 100.0%");
    assert_eq!(says("kubernetes_namespaces"), "by Kubernetes namespace: batch 100.0%, shop 100.0%");
    assert_eq!(says("kubernetes_workloads"), "by workload: Deployment shop/web 100.0%, Job batch/load-1 100.0%");

    let text = node.check_on(&address, &["-v"]).stdout;
    for line in [says("services"), says("kubernetes_namespaces"), says("kubernetes_workloads")] {
        assert!(text.contains(&format!("  - {line}")), "{line}: {text}");
    }
    let asked = server.asked();
    assert!(asked.len() == 8 && asked.iter().all(|(_, token)| token == "Bearer t0ken"), "{asked:?}");
    assert!(asked[0].0.contains("worker-1"), "only of this node: {asked:?}");
}

#[test]
fn a_pod_asks_with_its_own_token_and_without_being_told_to() {
    let node = Node::new();
    let server = node.serving(cluster);
    let document = node.check_as_pod("auto", server.address.port(), &["--json"]).json();
    assert_eq!(gaps(&document), [""; 0]);
    let workloads = says(&document, "nat-or-service-churn", "kubernetes_workloads");
    assert_eq!(workloads, "by workload: Deployment shop/web 100.0%, Job batch/load-1 100.0%");
    assert!(server.asked().iter().all(|(_, token)| token == "Bearer of-pod"));
}

#[test]
fn a_server_that_is_not_there_is_unknown_where_it_was_asked_for_and_else_a_note() {
    let node = Node::new();
    // A port on which nobody listens: that of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let asked_for = node.check_on(&format!("https://{gone}"), &[]);
    assert_eq!(asked_for.code, 3, "{asked_for:?}");
    assert!(asked_for.stdout.contains(": Kubernetes was to be asked, and did not tell all\n"), "{}", asked_for.stdout);
    let by_itself = node.check_as_pod("auto", gone.port(), &["-v"]);
    assert_eq!(by_itself.code, 0, "{by_itself:?}");
    for run in [asked_for, by_itself] {
        let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in [
            format!("list pods of the Kubernetes API at https://{gone}"),
            "an API server that this machine reaches within two seconds".to_string(),
            "many questions and answers by UDP".to_string(),
        ] {
            assert!(words.contains(&said), "{said}: {}", run.stdout);
        }
    }
    // It is insisted on though nothing fills the table.
    node.lab.run(&["conntrack", "-F"]).unwrap();
    let empty = node.check_on(&format!("https://{gone}"), &[]);
    assert!(empty.code == 3 && empty.stdout.contains("Kubernetes was to be asked"), "{empty:?}");
    let without = node.check_as_pod("off", gone.port(), &[]);
    assert!(!without.stdout.contains("Kubernetes API"), "{}", without.stdout);
}

#[test]
fn the_right_that_is_missing_is_named_and_the_rest_is_told() {
    let node = Node::new();
    let server = node.serving(|asked| match asked.split('?').next() {
        Some(SERVICES | SLICES) => (403, json!({ "message": "services is forbidden" }).to_string()),
        _ => cluster(asked),
    });
    let run = node.check_on(&format!("https://{}", server.address), &["--json"]);
    assert_eq!(run.code, 3);
    let document = run.json();
    let gaps = gaps(&document);
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps[0].contains("403: services is forbidden") && gaps[0].contains("resources: [services], verbs: [list]"));
    assert!(gaps[1].contains("resources: [endpointslices], verbs: [list]"));
    let workloads = says(&document, "nat-or-service-churn", "kubernetes_workloads");
    assert!(workloads.contains("Deployment shop/web"), "{workloads}");
}
