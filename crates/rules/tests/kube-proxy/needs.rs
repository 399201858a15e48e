//! What a guest needs for kube-proxy's rules in IPVS mode: to have them made, and to play them.

/// Modules of Debian's kernel.
pub(crate) const MODULES: [&str; 26] = [
    "ip_vs",
    "ip_vs_rr",
    "veth",
    "dummy",
    "iptable_nat",
    "iptable_filter",
    "iptable_mangle",
    "ip6table_nat",
    "ip6table_filter",
    "ip6table_mangle",
    "ip_set_hash_ip",
    "ip_set_hash_ipport",
    "ip_set_hash_ipportip",
    "ip_set_hash_ipportnet",
    "ip_set_bitmap_port",
    "xt_set",
    "xt_mark",
    "xt_comment",
    "xt_conntrack",
    "xt_tcpudp",
    "xt_nat",
    "xt_addrtype",
    "xt_physdev",
    "xt_MASQUERADE",
    "ipt_REJECT",
    "ip6t_REJECT",
];

pub(crate) const PROGRAMS: [&str; 9] = [
    "ip",
    "ipset",
    "ipvsadm",
    "iptables-legacy",
    "iptables-legacy-restore",
    "iptables-legacy-save",
    "ip6tables-legacy",
    "ip6tables-legacy-restore",
    "ip6tables-legacy-save",
];
