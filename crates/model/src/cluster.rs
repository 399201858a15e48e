//! What Kubernetes itself says of a node: whose its pods' addresses are, and what kube-proxy is told.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use crate::{Service, Untrusted};

/// What Kubernetes says.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pods: HashMap<IpAddr, Pod>,
    backends: HashMap<Service, Pod>,
    /// What the cluster's `ConfigMap` tells kube-proxy, where there is one.
    pub kube_proxy: Option<KubeProxyConfiguration>,
}

impl Cluster {
    /// Takes this node's pods by the addresses that they have to themselves, and pods of any node by where they answer as a service's backends:
    /// there the address may be a node's, and only the port tells. Of several in one place the first counts.
    pub fn new(
        pods: impl IntoIterator<Item = (IpAddr, Pod)>,
        backends: impl IntoIterator<Item = (Service, Pod)>,
        kube_proxy: Option<KubeProxyConfiguration>,
    ) -> Self {
        let mut cluster = Self { kube_proxy, ..Self::default() };
        for (address, pod) in pods {
            cluster.pods.entry(address).or_insert(pod);
        }
        for (at, pod) in backends {
            cluster.backends.entry(at).or_insert(pod);
        }
        cluster
    }

    /// The pod of this node that has an address to itself.
    pub fn pod(&self, address: IpAddr) -> Option<&Pod> {
        self.pods.get(&address)
    }

    /// The pod that answers there, as a backend of a service.
    pub fn backend(&self, at: Service) -> Option<&Pod> {
        self.backends.get(&at)
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pod {
    /// Its namespace, of Kubernetes.
    pub namespace: Untrusted,
    /// Its name.
    pub name: Untrusted,
    /// What it is of; `None` for one of another node, which only a service tells of.
    pub workload: Option<Workload>,
}

/// `shop/web-5d4f8c7b9-x2x9p`.
impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What made a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// What kind of thing that is.
    pub kind: WorkloadKind,
    /// Its name; that of the pod, where nothing made it.
    pub name: Untrusted,
}

/// Kinds of workloads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// A Deployment, by its `ReplicaSet`.
    Deployment,
    /// A `ReplicaSet` of its own.
    ReplicaSet,
    /// A `DaemonSet`.
    DaemonSet,
    /// A `StatefulSet`.
    StatefulSet,
    /// A Job.
    Job,
    /// A file of the node's.
    StaticPod,
    /// Nothing: somebody made the pod itself.
    Pod,
    /// Something else, by its kind.
    Other(Untrusted),
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::DaemonSet => "DaemonSet",
            Self::StatefulSet => "StatefulSet",
            Self::Job => "Job",
            Self::StaticPod => "static pod",
            Self::Pod => "pod",
            Self::Other(kind) => kind.as_str(),
        })
    }
}

/// What `config.conf` of the `ConfigMap` kube-system/kube-proxy says. Whether a kube-proxy runs by it is not said there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeProxyConfiguration {
    /// `mode`; `None` where the system's own is taken (iptables on Linux).
    pub mode: Option<Untrusted>,
    /// Values below `conntrack`, as written, but for those that are null.
    pub conntrack: Vec<(Untrusted, Untrusted)>,
}

/// `mode nftables, conntrack: maxPerCore 32768, min 131072`.
impl fmt::Display for KubeProxyConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mode {
            Some(mode) => write!(f, "mode {mode}")?,
            None => f.write_str("the system's own mode")?,
        }
        f.write_str(", conntrack: ")?;
        for (n, (key, value)) in self.conntrack.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{key} {value}")?;
        }
        if self.conntrack.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}
