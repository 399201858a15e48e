//! Tuples, as requests name them.

use std::net::IpAddr;

use plimsoll_model::{Layer4, Tuple};

use crate::attributes::{cta_ip, cta_proto, cta_tuple};
use crate::message::Body;

/// Address families, as `nfgen_family` takes them.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The address family of a tuple.
pub(crate) const fn family(tuple: &Tuple) -> u8 {
    if tuple.source.is_ipv4() { AF_INET } else { AF_INET6 }
}

pub(crate) fn write_tuple(body: &mut Body<'_>, tuple: &Tuple) {
    body.nest(cta_tuple::IP, |body| {
        write_address(body, [cta_ip::V4_SRC, cta_ip::V6_SRC], tuple.source);
        write_address(body, [cta_ip::V4_DST, cta_ip::V6_DST], tuple.destination);
    });
    body.nest(cta_tuple::PROTO, |body| {
        body.put(cta_proto::NUM, &[tuple.protocol.0]);
        match tuple.layer4 {
            Layer4::Ports { source, destination } => {
                body.put(cta_proto::SRC_PORT, &source.to_be_bytes());
                body.put(cta_proto::DST_PORT, &destination.to_be_bytes());
            }
            Layer4::Icmp { id, kind, code } => {
                let [id_attribute, kind_attribute, code_attribute] = if tuple.source.is_ipv4() {
                    [cta_proto::ICMP_ID, cta_proto::ICMP_TYPE, cta_proto::ICMP_CODE]
                } else {
                    [cta_proto::ICMPV6_ID, cta_proto::ICMPV6_TYPE, cta_proto::ICMPV6_CODE]
                };
                body.put(id_attribute, &id.to_be_bytes());
                body.put(kind_attribute, &[kind]);
                body.put(code_attribute, &[code]);
            }
            Layer4::None => {}
        }
    });
}

fn write_address(body: &mut Body<'_>, [v4, v6]: [u16; 2], address: IpAddr) {
    match address {
        IpAddr::V4(address) => body.put(v4, &address.octets()),
        IpAddr::V6(address) => body.put(v6, &address.octets()),
    }
}
