//! Attribute types of conntrack messages (`linux/netfilter/nfnetlink_conntrack.h`).

/// `CTA_*`.
pub(crate) mod cta {
    pub(crate) const TUPLE_ORIG: u16 = 1;
    pub(crate) const TUPLE_REPLY: u16 = 2;
    pub(crate) const STATUS: u16 = 3;
    pub(crate) const PROTOINFO: u16 = 4;
    pub(crate) const HELP: u16 = 5;
    pub(crate) const TIMEOUT: u16 = 7;
    pub(crate) const MARK: u16 = 8;
    pub(crate) const COUNTERS_ORIG: u16 = 9;
    pub(crate) const COUNTERS_REPLY: u16 = 10;
    pub(crate) const USE: u16 = 11;
    pub(crate) const ID: u16 = 12;
    pub(crate) const TUPLE_MASTER: u16 = 14;
    pub(crate) const SEQ_ADJ_ORIG: u16 = 15;
    pub(crate) const SEQ_ADJ_REPLY: u16 = 16;
    pub(crate) const SECMARK: u16 = 17;
    pub(crate) const ZONE: u16 = 18;
    pub(crate) const SECCTX: u16 = 19;
    pub(crate) const TIMESTAMP: u16 = 20;
    pub(crate) const LABELS: u16 = 22;
    pub(crate) const SYNPROXY: u16 = 24;
    pub(crate) const TIMESTAMP_EVENT: u16 = 27;
}

/// `CTA_TUPLE_*`.
pub(crate) mod cta_tuple {
    pub(crate) const IP: u16 = 1;
    pub(crate) const PROTO: u16 = 2;
    pub(crate) const ZONE: u16 = 3;
}

/// `CTA_IP_*`.
pub(crate) mod cta_ip {
    pub(crate) const V4_SRC: u16 = 1;
    pub(crate) const V4_DST: u16 = 2;
    pub(crate) const V6_SRC: u16 = 3;
    pub(crate) const V6_DST: u16 = 4;
}

/// `CTA_PROTO_*`.
pub(crate) mod cta_proto {
    pub(crate) const NUM: u16 = 1;
    pub(crate) const SRC_PORT: u16 = 2;
    pub(crate) const DST_PORT: u16 = 3;
    pub(crate) const ICMP_ID: u16 = 4;
    pub(crate) const ICMP_TYPE: u16 = 5;
    pub(crate) const ICMP_CODE: u16 = 6;
    pub(crate) const ICMPV6_ID: u16 = 7;
    pub(crate) const ICMPV6_TYPE: u16 = 8;
    pub(crate) const ICMPV6_CODE: u16 = 9;
}

/// `CTA_PROTOINFO_*`; the state is attribute 1 inside each.
pub(crate) mod cta_protoinfo {
    pub(crate) const TCP: u16 = 1;
    pub(crate) const DCCP: u16 = 2;
    pub(crate) const SCTP: u16 = 3;
    pub(crate) const STATE: u16 = 1;
    pub(crate) const TCP_FLAGS_ORIGINAL: u16 = 4;
    pub(crate) const TCP_FLAGS_REPLY: u16 = 5;
}

/// `IP_CT_TCP_FLAG_CLOSE_INIT` (`linux/netfilter/nf_conntrack_tcp.h`): this side sent the FIN that led to `FIN_WAIT`.
pub(crate) const TCP_CLOSE_INIT: u8 = 0x04;

/// `CTA_HELP_NAME`.
pub(crate) const HELP_NAME: u16 = 1;

/// `CTA_COUNTERS_*`.
pub(crate) mod cta_counters {
    pub(crate) const PACKETS: u16 = 1;
    pub(crate) const BYTES: u16 = 2;
}

/// `CTA_TIMESTAMP_*`.
pub(crate) mod cta_timestamp {
    pub(crate) const START: u16 = 1;
    pub(crate) const STOP: u16 = 2;
}
