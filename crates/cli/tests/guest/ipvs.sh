# A node of Kubernetes whose kube-proxy is in IPVS mode: the guest itself, two pods that answer, one that asks, and somebody outside.

for module in ip_vs ip_vs_rr nf_conntrack_netlink veth dummy iptable_nat iptable_filter ip6table_nat ip6table_filter xt_set; do
    modprobe $module
done

# busybox would take its own, which knows no namespaces.
ip() { /bin/ip "$@"; }

# host NAME DEVICE GATEWAY ADDRESS: a network namespace behind a device of the node's.
host() {
    ip netns add "$1"
    ip link add "$2" type veth peer name eth0 netns "$1"
    ip address add "$3/32" dev "$2"
    ip link set "$2" up
    ip route add "$4/32" dev "$2"
    ip -n "$1" link set lo up
    ip -n "$1" address add "$4/32" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" route add "$3/32" dev eth0
    ip -n "$1" route add default via "$3"
}
at() { ip netns exec "$@"; }

mkdir -p /run/netns /served
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
host pod-a pod2 10.244.0.1 10.244.0.2
host pod-b pod3 10.244.0.1 10.244.0.3
host pod-c pod9 10.244.0.1 10.244.0.9
host outside wan 192.0.2.1 192.0.2.9

# What kube-proxy has set up of a made-up cluster: addresses of services at a device of their own, sets, rules, IPVS.
echo 1 >/proc/sys/net/ipv4/vs/conntrack
ip link add kube-ipvs0 type dummy
for address in $(cat /rules/kube-ipvs.addresses); do
    ip address add $address dev kube-ipvs0
done
ipset restore </rules/kube-ipvs.ipset
iptables-legacy-restore </rules/kube-ipvs.v4
ip6tables-legacy-restore </rules/kube-ipvs.v6
ipvsadm --restore </rules/kube-ipvs.ipvs

for pod in a b; do
    at pod-$pod answer 8080 /served/$pod &
    await at pod-$pod grep -q ":1F90 .* 0A " /proc/net/tcp
done
at pod-a answer 8443 /served/a-shielded &
await at pod-a grep -q ":20FB .* 0A " /proc/net/tcp

# Each keeps the last of its connections. One after the other, so that turns are as they are told.
at pod-c ask-as-pod 10.96.0.20 80 20 >/tmp/pod &
await grep -q done /tmp/pod
at outside ask-as-outsider 192.0.2.1 30080 12 >/tmp/outside &
await grep -q done /tmp/outside
ask-as-node 10.96.0.20 80 8 >/tmp/node &
await grep -q done /tmp/node
at pod-a ask-itself 10.96.0.20 80 6 >/tmp/itself &
await grep -q done /tmp/itself
at outside ask-balancer 203.0.113.80 80 5 >/tmp/balancer &
await grep -q done /tmp/balancer
# Of these two only backends of this node are asked, and see who asks.
at outside ask-local 203.0.113.81 443 4 >/tmp/local &
await grep -q done /tmp/local
at outside ask-local-port 192.0.2.1 30443 3 >/tmp/local-port &
await grep -q done /tmp/local-port
for pod in a b a-shielded; do
    step saw-$pod cat /served/$pod
done
step entries conntrack -L -p tcp
step balanced cat /proc/net/ip_vs_conn
# As where the package netbase is not: ipset then writes protocols by their numbers.
rm /etc/protocols
step sets ipset save KUBE-CLUSTER-IP
# A burst that is over is told of where it has filled a table.
set_max 60
step check check --exact --netns host --interval 0
set_max 1000

# IPVS forgets an idle connection by a timeout of its own: here a second, so that it need not be waited for.
ipvsadm --set 1 0 0
at pod-b ask-late 10.96.0.20 80 >/tmp/late &
await grep -q connected /tmp/late
of_pod_b() { conntrack -L -p tcp -s 10.244.0.3; }
step connected of_pod_b
ipvs() { grep "^TCP $1 " /proc/net/ip_vs_conn; }
await is "" ipvs 0AF40003
step idle of_pod_b
touch /tmp/go
await grep -q over /tmp/late
step late cat /tmp/late
ipvsadm --set 900 120 300

# What it does without entries. What the backends answer is INVALID then, which rules of others may drop.
echo 0 >/proc/sys/net/ipv4/vs/conntrack
conntrack -F
iptables-legacy -I FORWARD -m conntrack --ctstate INVALID -j DROP
step dropped timeout 2 /bin/ip netns exec pod-c ask-untracked 10.96.0.20 80 1
iptables-legacy -D FORWARD 1
at outside ask-untracked 192.0.2.1 30080 1 >/tmp/by-node-port &
await grep -q done /tmp/by-node-port
step saw-without cat /served/a /served/b
at pod-c ask-untracked 10.96.0.20 80 5 >/tmp/untracked &
await grep -q done /tmp/untracked
step untracked conntrack -L -p tcp
step still-balanced cat /proc/net/ip_vs_conn
