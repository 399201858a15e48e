//! From the API's lists to pods by address, services and names. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_model::{
    Cluster, KnownService, Masquerade, Pod, Protocol, ServedAt, Service, ServiceKind, ServiceMaker, Untrusted,
    Workload, WorkloadKind,
};

use crate::api::{self, ConfigMap, EndpointSlice, Meta, ServicePort};
use crate::{Answer, Error, Problem, config_map};

/// The label of a slice that names its service, and that of a pod that ends its `ReplicaSet`'s name.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const TEMPLATE_HASH: &str = "pod-template-hash";

/// As they were told.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) pods: Vec<api::Pod>,
    pub(crate) services: Vec<api::Service>,
    pub(crate) slices: Vec<EndpointSlice>,
    pub(crate) config_map: Option<ConfigMap>,
}

pub(crate) fn assemble(lists: &Lists, mut errors: Vec<Error>) -> Answer {
    let told = lists.config_map.as_ref().map_or(Ok(None), config_map::configuration);
    let kube_proxy = told.unwrap_or_else(|problem| {
        errors.push(Error::new("read the ConfigMap kube-system/kube-proxy", Problem::Garbage(problem)));
        None
    });
    let backends = backends(&lists.slices);
    Answer {
        cluster: Cluster::new(lists.pods.iter().flat_map(addresses), lists.slices.iter().flat_map(targets), kube_proxy),
        services: lists.services.iter().flat_map(|service| known(service, &backends)).collect(),
        called: lists.pods.iter().flat_map(called).collect(),
        errors,
    }
}

/// A pod by each of its addresses: not one with the node's, nor one that has ended, whose address may be another's by now.
fn addresses(pod: &api::Pod) -> Vec<(IpAddr, Pod)> {
    let status = &pod.status;
    if pod.spec.host_network || matches!(status.phase.as_str(), "Succeeded" | "Failed") {
        return Vec::new();
    }
    let told = Pod {
        namespace: untrusted(&pod.metadata.namespace),
        name: untrusted(&pod.metadata.name),
        workload: Some(workload(&pod.metadata)),
    };
    let all = status.pod_ips.iter().map(|of| &of.ip).chain([&status.pod_ip]);
    all.filter_map(|ip| Some((address(ip)?, told.clone()))).collect()
}

/// What made a pod: who controls it, and who controls that where the name tells.
fn workload(pod: &Meta) -> Workload {
    let Some(owner) = pod.owner_references.iter().find(|owner| owner.controller) else {
        return Workload { kind: WorkloadKind::Pod, name: untrusted(&pod.name) };
    };
    // A Deployment's ReplicaSet is called after it and the hash of its template.
    let hash = pod.labels.get(TEMPLATE_HASH).filter(|hash| !hash.is_empty());
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
    let (kind, name) = match (owner.kind.as_str(), deployment) {
        ("ReplicaSet", Some(deployment)) => (WorkloadKind::Deployment, deployment),
        ("ReplicaSet", None) => (WorkloadKind::ReplicaSet, owner.name.as_str()),
        ("DaemonSet", _) => (WorkloadKind::DaemonSet, owner.name.as_str()),
        ("StatefulSet", _) => (WorkloadKind::StatefulSet, owner.name.as_str()),
        ("Job", _) => (WorkloadKind::Job, owner.name.as_str()),
        // A static pod is its node's, and is called after itself and the node.
        ("Node", _) => {
            (WorkloadKind::StaticPod, pod.name.strip_suffix(&format!("-{}", owner.name)).unwrap_or(&pod.name))
        }
        (other, _) => (WorkloadKind::Other(untrusted(other)), owner.name.as_str()),
    };
    Workload { kind, name: untrusted(name) }
}

/// The pods behind a slice's addresses and ports, on any node.
fn targets(slice: &EndpointSlice) -> Vec<(Service, Pod)> {
    let mut targets = Vec::new();
    for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.target_ref.kind == "Pod") {
        let target = &endpoint.target_ref;
        let pod = Pod { namespace: untrusted(&target.namespace), name: untrusted(&target.name), workload: None };
        for address in endpoint.addresses.iter().filter_map(|ip| address(ip)) {
            let at = |port: &api::EndpointPort| {
                Some(Service { address, protocol: protocol(&port.protocol)?, port: port.port })
            };
            targets.extend(slice.ports.iter().filter_map(at).map(|at| (at, pod.clone())));
        }
    }
    targets
}

/// A service's port, by namespace, service, the port's name, and protocol.
type PortOf<'a> = (&'a str, &'a str, &'a str, Protocol);

fn backends(slices: &[EndpointSlice]) -> HashMap<PortOf<'_>, Vec<Service>> {
    let mut backends: HashMap<PortOf<'_>, Vec<Service>> = HashMap::new();
    for slice in slices {
        let Some(service) = slice.metadata.labels.get(SERVICE_NAME) else { continue };
        for port in &slice.ports {
            let Some(protocol) = protocol(&port.protocol) else { continue };
            let of = backends.entry((&slice.metadata.namespace, service, &port.name, protocol)).or_default();
            let addresses = slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
            of.extend(addresses.filter_map(|ip| Some(Service { address: address(ip)?, protocol, port: port.port })));
        }
    }
    backends
}

/// Each port of a service at each address that it has.
fn known(service: &api::Service, backends: &HashMap<PortOf<'_>, Vec<Service>>) -> Vec<KnownService> {
    let api::Service { metadata, spec, status } = service;
    let cluster_ips = spec.cluster_ips.iter().chain([&spec.cluster_ip]).map(|ip| (ServiceKind::ClusterIp, ip));
    let external = spec.external_ips.iter().map(|ip| (ServiceKind::ExternalIp, ip));
    let balancers = status.load_balancer.ingress.iter().map(|of| (ServiceKind::LoadBalancer, &of.ip));
    // A service without an address of its own has `None` there.
    let addresses: Vec<_> =
        cluster_ips.chain(external).chain(balancers).filter_map(|(kind, ip)| Some((kind, address(ip)?))).collect();
    let mut known = Vec::new();
    for port in &spec.ports {
        let Some(protocol) = protocol(&port.protocol) else { continue };
        let behind = backends.get(&(metadata.namespace.as_str(), metadata.name.as_str(), port.name.as_str(), protocol));
        let at_addresses = addresses.iter().map(|(kind, address)| {
            (*kind, ServedAt::Address(Service { address: *address, protocol, port: port.port }))
        });
        let of_nodes = (port.node_port != 0)
            .then_some((ServiceKind::NodePort, ServedAt::OwnAddresses { protocol, port: port.node_port }));
        known.extend(at_addresses.chain(of_nodes).map(|(kind, at)| KnownService {
            at,
            kind,
            name: Some(name(metadata, port)),
            backends: behind.into_iter().flatten().copied().filter(|backend| is_of_family(at, *backend)).collect(),
            masquerade: Masquerade::Some,
            by: ServiceMaker::Kubernetes,
        }));
    }
    known
}

fn is_of_family(at: ServedAt, backend: Service) -> bool {
    match at {
        ServedAt::Address(service) => service.address.is_ipv4() == backend.address.is_ipv4(),
        ServedAt::OwnAddresses { .. } | ServedAt::AnyAddress { .. } => true,
    }
}

/// `namespace/service:port`, as kube-proxy's rules have it.
fn name(service: &Meta, port: &ServicePort) -> Untrusted {
    let Meta { namespace, name, .. } = service;
    let colon = if port.name.is_empty() { "" } else { ":" };
    untrusted(&format!("{namespace}/{name}{colon}{}", port.name))
}

/// Names of a pod and its containers.
fn called(pod: &api::Pod) -> Vec<(String, Untrusted)> {
    let Meta { namespace, name, uid, .. } = &pod.metadata;
    let containers = pod.status.containers.iter().chain(&pod.status.init_containers);
    let of_containers = containers.filter_map(|container| {
        let (_, id) = container.id.split_once("://")?;
        Some((id.to_string(), untrusted(&format!("{namespace}/{name}/{}", container.name))))
    });
    let of_pod = (!uid.is_empty()).then(|| (uid.clone(), untrusted(&format!("{namespace}/{name}"))));
    of_containers.chain(of_pod).collect()
}

fn protocol(name: &str) -> Option<Protocol> {
    match name {
        "TCP" | "" => Some(Protocol::TCP),
        "UDP" => Some(Protocol::UDP),
        "SCTP" => Some(Protocol::SCTP),
        _ => None,
    }
}

fn address(ip: &str) -> Option<IpAddr> {
    ip.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn untrusted(text: &str) -> Untrusted {
    text.into()
}
