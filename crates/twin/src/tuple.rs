//! Which tuple answers which.

use plimsoll_model::{Layer4, Protocol, Tuple};

/// The tuple of the answers to a tuple; `None` for ICMP that is no query and no answer to one
/// (`nf_ct_invert_tuple`).
pub fn inverted(tuple: &Tuple) -> Option<Tuple> {
    let mirrored = tuple.mirrored();
    let Layer4::Icmp { id, kind, code } = tuple.layer4 else { return Some(mirrored) };
    let kind = answering_type(tuple.protocol, kind)?;
    Some(Tuple { layer4: Layer4::Icmp { id, kind, code }, ..mirrored })
}

/// Of which type ICMP's answers to a type are.
pub(crate) const fn answering_type(protocol: Protocol, kind: u8) -> Option<u8> {
    match (protocol, kind) {
        // Echo: RFC 792.
        (Protocol::ICMP, 0) => Some(8),
        (Protocol::ICMP, 8) => Some(0),
        // Timestamp, information, address mask: RFC 792, RFC 950. Echo, node information: RFC 4443, RFC 4620.
        (Protocol::ICMP, 13 | 15 | 17) | (Protocol::ICMPV6, 128 | 139) => Some(kind + 1),
        (Protocol::ICMP, 14 | 16 | 18) | (Protocol::ICMPV6, 129 | 140) => Some(kind - 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverting_twice_changes_nothing() {
        for protocol in [Protocol::ICMP, Protocol::ICMPV6] {
            let invertible = (0..=255).filter(|kind| {
                let tuple = Tuple {
                    source: "10.0.0.1".parse().unwrap(),
                    destination: "10.0.0.2".parse().unwrap(),
                    protocol,
                    layer4: Layer4::Icmp { id: 7, kind: *kind, code: 0 },
                };
                let there = inverted(&tuple);
                assert_eq!(there.and_then(|answer| inverted(&answer)), there.map(|_| tuple));
                there.is_some()
            });
            assert_eq!(invertible.count(), if protocol == Protocol::ICMP { 8 } else { 4 });
        }
    }
}
