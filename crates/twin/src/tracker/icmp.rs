//! ICMP and `ICMPv6` queries (`nf_conntrack_proto_icmp.c`, `nf_conntrack_proto_icmpv6.c`).

use super::{Context, Handled};

/// A query of these types opens a flow: echo, timestamp, information, address mask.
const OPENS: [u8; 4] = [8, 13, 15, 17];

/// Echo, and node information (RFC 4620).
const OPENS_V6: [u8; 2] = [128, 139];

/// Every packet of a flow is judged by the query that opened it.
pub(super) fn take(context: &mut Context<'_>, original_type: u8) -> Handled {
    if !OPENS.contains(&original_type) {
        return Handled::Invalid;
    }
    context.refresh(context.timeouts.icmp);
    Handled::Accepted
}

pub(super) fn take_v6(context: &mut Context<'_>, original_type: u8) -> Handled {
    if !context.is_confirmed() && !OPENS_V6.contains(&original_type) {
        return Handled::Invalid;
    }
    context.refresh(context.timeouts.icmpv6);
    Handled::Accepted
}
