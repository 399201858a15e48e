//! From objects as the API writes them to names.

use plimsoll_model::{Owner, ServiceKind, Services, Untrusted, WorkloadKind};
use serde_json::json;

use crate::api::{ConfigMap, List};
use crate::assemble::{Lists, assemble};
use crate::{Answer, config_map};

fn items<T: serde::de::DeserializeOwned>(items: &serde_json::Value) -> Vec<T> {
    serde_json::from_value::<List<T>>(json!({ "items": items })).unwrap().items.unwrap()
}

fn owned(name: &str, kind: &str, owner: &str, ip: &str) -> serde_json::Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("uid-of-{name}"),
            "labels": { "pod-template-hash": "5d4f8c7b9" },
            "ownerReferences": [
                { "kind": "Gadget", "name": "not-controlling", "apiVersion": "x/v1", "uid": "1" },
                { "kind": kind, "name": owner, "controller": true, "apiVersion": "x/v1", "uid": "2" }
            ]
        },
        "spec": { "nodeName": "worker-1" },
        "status": {
            "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }, { "ip": "fd00::9" }],
            "containerStatuses": [{ "name": "main", "containerID": format!("containerd://id-of-{name}") }, { "name": "waits" }]
        }
    })
}

fn told(lists: &Lists) -> Answer {
    assemble(lists, Vec::new())
}

fn pods(pods: &serde_json::Value) -> Answer {
    told(&Lists { pods: items(pods), ..Lists::default() })
}

#[test]
fn a_pods_workload_is_what_controls_it() {
    for (kind, owner, is, called) in [
        ("ReplicaSet", "web-5d4f8c7b9", WorkloadKind::Deployment, "web"),
        ("ReplicaSet", "bare", WorkloadKind::ReplicaSet, "bare"),
        ("DaemonSet", "agent", WorkloadKind::DaemonSet, "agent"),
        ("StatefulSet", "db", WorkloadKind::StatefulSet, "db"),
        ("Job", "backup-1", WorkloadKind::Job, "backup-1"),
        ("Node", "worker-1", WorkloadKind::StaticPod, "etcd"),
        ("Rollout", "web", WorkloadKind::Other("Rollout".into()), "web"),
    ] {
        let answer = pods(&json!([owned("etcd-worker-1", kind, owner, "10.244.0.2")]));
        let pod = answer.cluster.pod("10.244.0.2".parse().unwrap()).unwrap();
        let workload = pod.workload.clone().unwrap();
        assert_eq!((workload.kind, workload.name.as_str()), (is, called));
        assert!(answer.cluster.pod("fd00::9".parse().unwrap()).is_some(), "its other family");
    }
    let alone = json!({ "metadata": { "namespace": "a", "name": "b" }, "status": { "podIP": "10.244.0.2" } });
    let answer = pods(&json!([alone]));
    let workload = answer.cluster.pod("10.244.0.2".parse().unwrap()).unwrap().workload.clone().unwrap();
    assert_eq!((workload.kind, workload.name.as_str()), (WorkloadKind::Pod, "b"));
}

#[test]
fn addresses_that_are_nodes_or_were_a_pods_name_none() {
    let mut on_host = owned("proxy", "DaemonSet", "proxy", "192.0.2.1");
    on_host["spec"]["hostNetwork"] = json!(true);
    let mut ended = owned("job", "Job", "job", "10.244.0.2");
    ended["status"]["phase"] = json!("Succeeded");
    let answer = pods(&json!([on_host, ended, owned("new", "Job", "new", "10.244.0.3")]));
    let name = |ip: &str| answer.cluster.pod(ip.parse().unwrap()).map(|pod| pod.name.to_string());
    assert_eq!((name("192.0.2.1"), name("10.244.0.2"), name("10.244.0.3")), (None, None, Some("new".to_string())));
}

fn shop() -> Answer {
    let services = json!([
        {
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": {
                "clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20", "fd00::20"], "externalIPs": ["203.0.113.5"],
                "ports": [
                    { "name": "http", "protocol": "TCP", "port": 80, "targetPort": "web", "nodePort": 30080 },
                    { "name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53 }
                ]
            },
            "status": { "loadBalancer": { "ingress": [{ "ip": "203.0.113.9" }, { "hostname": "lb.example" }] } }
        },
        { "metadata": { "namespace": "shop", "name": "headless" }, "spec": { "clusterIP": "None", "ports": [{ "port": 80 }] } },
        { "metadata": { "namespace": "shop", "name": "name" }, "spec": { "type": "ExternalName", "ports": null } }
    ]);
    let target = json!({ "kind": "Pod", "namespace": "shop", "name": "web-2" });
    let slices = json!([
        {
            "metadata": { "namespace": "shop", "name": "web-x", "labels": { "kubernetes.io/service-name": "web" } },
            "ports": [{ "name": "http", "protocol": "TCP", "port": 8080 }],
            "endpoints": [{ "addresses": ["10.244.1.7"], "targetRef": target }, { "addresses": ["198.51.100.1"] }]
        },
        { "metadata": { "namespace": "shop", "name": "empty" }, "ports": null, "endpoints": null }
    ]);
    told(&Lists { services: items(&services), slices: items(&slices), ..Lists::default() })
}

#[test]
fn services_are_told_at_each_of_their_addresses() {
    let answer = shop();
    let shown: Vec<_> = answer.services.iter().map(|service| format!("{service} {}", service.backends.len())).collect();
    assert_eq!(
        shown,
        [
            "shop/web:http (ClusterIP 10.96.0.20:80/tcp) 2",
            "shop/web:http (ClusterIP [fd00::20]:80/tcp) 0",
            "shop/web:http (ClusterIP 10.96.0.20:80/tcp) 2",
            "shop/web:http (external IP 203.0.113.5:80/tcp) 2",
            "shop/web:http (load balancer 203.0.113.9:80/tcp) 2",
            "shop/web:http (NodePort 30080/tcp) 2",
            "shop/web:dns (ClusterIP 10.96.0.20:53/udp) 0",
            "shop/web:dns (ClusterIP [fd00::20]:53/udp) 0",
            "shop/web:dns (ClusterIP 10.96.0.20:53/udp) 0",
            "shop/web:dns (external IP 203.0.113.5:53/udp) 0",
            "shop/web:dns (load balancer 203.0.113.9:53/udp) 0",
        ]
    );
    let services = Services::default().completed(&answer.services);
    assert_eq!(services.iter().filter(|service| service.kind == ServiceKind::ClusterIp).count(), 4, "each place once");
}

#[test]
fn a_service_of_very_many_backends_is_told_without_delay() {
    let backends: Vec<_> =
        (0..100_000_u32).map(|n| std::net::Ipv4Addr::from_bits(0x0a00_0000 | n).to_string()).collect();
    let slices = json!([{
        "metadata": { "namespace": "shop", "labels": { "kubernetes.io/service-name": "web" } },
        "ports": [{ "port": 80 }], "endpoints": [{ "addresses": backends }, { "addresses": backends }]
    }]);
    let web = json!({ "metadata": { "namespace": "shop", "name": "web" }, "spec": { "clusterIP": "10.96.0.1", "ports": [{ "port": 80 }] } });
    let answer = told(&Lists { services: items(&json!([web])), slices: items(&slices), ..Lists::default() });
    let services = Services::default().completed(&answer.services);
    assert_eq!(services.iter().map(|service| service.backends.len()).sum::<usize>(), 100_000, "each once");
}

#[test]
fn pods_of_other_nodes_are_known_where_they_answer() {
    let answer = shop();
    let backend = |port| {
        let at = answer.services[0].backends[0];
        answer.cluster.backend(plimsoll_model::Service { port, ..at }).map(ToString::to_string)
    };
    assert_eq!((backend(8080).as_deref(), backend(8081)), (Some("shop/web-2"), None));
    assert!(answer.cluster.pod("10.244.1.7".parse().unwrap()).is_none(), "it may be a node's address");
}

#[test]
fn programs_are_called_by_pod_and_container() {
    let answer = pods(&json!([owned("web-1", "Job", "web", "10.244.0.2")]));
    let called = |key: &str| answer.called.get(key).map(ToString::to_string);
    assert_eq!(called("id-of-web-1").as_deref(), Some("shop/web-1/main"));
    assert_eq!(called("uid-of-web-1").as_deref(), Some("shop/web-1"));
    assert_eq!(answer.called.len(), 2, "a container that waits has no id");
    let owner = |container: Option<&str>, pod: Option<&str>, called: Option<&str>| {
        let [container, pod, called] = [container, pod, called].map(|id| id.map(Untrusted::from));
        let mut owner = Owner { pid: 1, command: "java".into(), unit: None, container, pod, called };
        answer.call(&mut owner);
        owner.called.map(|called| called.to_string())
    };
    let (container, pod) = (Some("id-of-web-1"), Some("uid-of-web-1"));
    assert_eq!(owner(container, pod, None).as_deref(), Some("shop/web-1/main"));
    assert_eq!(owner(Some("pause"), pod, None).as_deref(), Some("shop/web-1"));
    assert_eq!(owner(container, pod, Some("told before")).as_deref(), Some("told before"));
    assert_eq!(owner(None, None, None), None);
}

#[test]
fn the_config_map_is_read_as_kubeadm_writes_it() {
    let configuration = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: \"nftables\"\n\
                         conntrack:\n  maxPerCore: null\n  min: 131072\n  tcpCloseWaitTimeout: 1h0m0s\niptables:\n  min: 1s\n";
    let read = |text: &str| {
        let map: ConfigMap = serde_json::from_value(json!({ "data": { "config.conf": text } })).unwrap();
        config_map::configuration(&map).map(|told| told.map(|told| told.to_string()))
    };
    let text = read(configuration).unwrap().unwrap();
    assert_eq!(text, "mode nftables, conntrack: min 131072, tcpCloseWaitTimeout 1h0m0s");
    let none = read("kind: KubeProxyConfiguration\nmode: \"\"\n").unwrap().unwrap();
    assert_eq!(none, "the system's own mode, conntrack: nothing");
    for odd in ["", "kind: Other", "[", "{}"] {
        assert!(read(odd).is_err(), "{odd}");
    }
    let odd = json!({ "data": { "config.conf": "[" } });
    let answer = told(&Lists { config_map: serde_json::from_value(odd).ok(), ..Lists::default() });
    assert!(answer.cluster.kube_proxy.is_none() && answer.errors.len() == 1, "{answer:?}");
    let other = json!({ "data": { "kubeconfig.conf": "[" } });
    let answer = told(&Lists { config_map: serde_json::from_value(other).ok(), ..Lists::default() });
    assert!(answer.errors.is_empty());
}
