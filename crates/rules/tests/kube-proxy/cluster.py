"""A cluster with services of every kind, as the Kubernetes API tells of it: `objects()[path]` are the lists that kube-proxy asks for."""

NODE = "node-a"
NODE_ADDRESSES = ["192.0.2.1", "2001:db8::1"]
POD_GATEWAYS = ["10.244.0.1", "fd00:10:244::1"]
POD_NETWORKS = ["10.244.0.0/16", "fd00:10:244::/48"]


def metadata(namespace, name, **more):
    return {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}", "resourceVersion": "1", **more}


def port(name, protocol, asked, target, node_port=None):
    return {"name": name, "protocol": protocol, "port": asked, "targetPort": target, "nodePort": node_port}


def service(namespace, name, addresses, ports, kind="ClusterIP", ingress=(), **spec):
    families = ["IPv6" if ":" in address else "IPv4" for address in addresses if address != "None"]
    return {
        "metadata": metadata(namespace, name),
        "spec": {
            "type": kind,
            "clusterIP": addresses[0],
            "clusterIPs": addresses,
            "ipFamilies": families,
            "ipFamilyPolicy": "RequireDualStack" if len(families) > 1 else "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "externalTrafficPolicy": None if kind == "ClusterIP" else "Cluster",
            "sessionAffinity": "None",
            "ports": [{key: value for key, value in port.items() if value is not None} for port in ports],
            **spec,
        },
        "status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"} for address in ingress]}},
    }


def slice_of(namespace, name, addresses, ports):
    """`addresses` tells the node of each."""
    first = next(iter(addresses))
    family = "IPv6" if ":" in first else "IPv4"
    ready = {"ready": True, "serving": True, "terminating": False}
    return {
        "metadata": metadata(namespace, f"{name}-{family.lower()}", labels={"kubernetes.io/service-name": name}),
        "addressType": family,
        "ports": [{"name": port["name"], "protocol": port["protocol"], "port": port["targetPort"]} for port in ports],
        "endpoints": [{"addresses": [address], "nodeName": node, "conditions": ready} for address, node in addresses.items()],
    }


API = [port("https", "TCP", 443, 6443)]
DNS = [port("dns", "UDP", 53, 53), port("dns-tcp", "TCP", 53, 53), port("metrics", "TCP", 9153, 9153)]
WEB = [port("http", "TCP", 80, 8080, 30080)]
NAMES = [port("", "UDP", 53, 53, 30053)]
SHIELDED = [port("https", "TCP", 443, 8443, 30443)]
NEAR = [port("http", "TCP", 80, 8080)]
AWAY = [port("smtp", "TCP", 25, 2525, 30025)]
DEAD = [port("http", "UDP", 80, 8080, 4000)]
DATABASE = [port("sql", "TCP", 5432, 5432)]

SERVICES = [
    service("default", "kubernetes", ["10.96.0.1"], API),
    service("kube-system", "kube-dns", ["10.96.0.10", "fd00:10:96::a"], DNS),
    service(
        "shop",
        "web",
        ["10.96.0.20", "fd00:10:96::14"],
        WEB,
        kind="LoadBalancer",
        ingress=["203.0.113.80"],
        externalIPs=["198.51.100.80"],
    ),
    service(
        "shop",
        "names",
        ["10.96.0.30"],
        NAMES,
        kind="NodePort",
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}},
    ),
    service(
        "shop",
        "shielded",
        ["10.96.0.40"],
        SHIELDED,
        kind="LoadBalancer",
        ingress=["203.0.113.81"],
        externalTrafficPolicy="Local",
        healthCheckNodePort=32000,
        loadBalancerSourceRanges=["192.0.2.0/24"],
    ),
    service("shop", "near", ["10.96.0.50"], NEAR, internalTrafficPolicy="Local"),
    service(
        "shop", "away", ["10.96.0.60"], AWAY, kind="LoadBalancer", ingress=["203.0.113.82"], externalTrafficPolicy="Local", healthCheckNodePort=32001
    ),
    service("shop", "dead", ["10.96.0.99"], DEAD, kind="NodePort"),
    service("shop", "db", ["None"], DATABASE),
]

SLICES = [
    slice_of("default", "kubernetes", {"192.0.2.1": NODE}, API),
    slice_of("kube-system", "kube-dns", {"10.244.0.4": NODE, "10.244.1.2": "node-b"}, DNS),
    slice_of("kube-system", "kube-dns", {"fd00:10:244::4": NODE, "fd00:10:244:1::2": "node-b"}, DNS),
    slice_of("shop", "web", {"10.244.0.2": NODE, "10.244.0.3": NODE}, WEB),
    slice_of("shop", "web", {"fd00:10:244::2": NODE, "fd00:10:244::3": NODE}, WEB),
    slice_of("shop", "names", {"10.244.0.2": NODE, "10.244.0.3": NODE}, NAMES),
    slice_of("shop", "shielded", {"10.244.0.2": NODE, "10.244.1.2": "node-b"}, SHIELDED),
    slice_of("shop", "near", {"10.244.0.3": NODE, "10.244.1.2": "node-b"}, NEAR),
    slice_of("shop", "away", {"10.244.1.2": "node-b"}, AWAY),
    slice_of("shop", "db", {"10.244.0.3": NODE}, DATABASE),
]

NODES = [
    {
        "metadata": {"name": NODE, "uid": NODE, "resourceVersion": "1", "labels": {"kubernetes.io/hostname": NODE}},
        "spec": {"podCIDRs": ["10.244.0.0/24", "fd00:10:244::/64"], "podCIDR": "10.244.0.0/24"},
        "status": {"addresses": [{"type": "InternalIP", "address": address} for address in NODE_ADDRESSES]},
    }
]

CROWD = [port("http", "TCP", 80, 8080)]


def crowd(count):
    """A service of many pods, all of them on other nodes, and its slices of a hundred each."""
    addresses = [f"10.244.{2 + number // 250}.{2 + number % 250}" for number in range(count)]
    slices = []
    for first in range(0, count, 100):
        one = slice_of("shop", "crowd", {address: "node-c" for address in addresses[first : first + 100]}, CROWD)
        one["metadata"].update(name=f"crowd-{first}", uid=f"shop-crowd-{first}")
        slices.append(one)
    return service("shop", "crowd", ["10.96.0.70"], CROWD), slices


def objects(crowd_of=0):
    """`crowd_of`: so many pods more; from a thousand on kube-proxy leaves out what it can of its rules."""
    more, slices = crowd(crowd_of)
    # The last service is the one that is waited for.
    services = [*([more] if crowd_of else []), *SERVICES]
    return {
        "/api/v1/nodes": ("v1", "Node", NODES),
        "/api/v1/services": ("v1", "Service", services),
        "/apis/discovery.k8s.io/v1/endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", [*SLICES, *slices]),
    }
