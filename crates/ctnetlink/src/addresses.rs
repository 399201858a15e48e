//! Addresses of network interfaces (`linux/rtnetlink.h`, `linux/if_addr.h`): which end of an entry is this host.
//!
//! Whether an address can be bound to does not tell it: with `ip_nonlocal_bind` any can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_model::OwnAddresses;

use crate::error::{Error, ParseError, Problem, Request};
use crate::message::{ANY_FAMILY, DUMP, Header, Requests};
use crate::socket::Socket;
use crate::wire::{Attribute, Fault, Message, Messages};

/// Lists the addresses of the interfaces of the calling thread's network namespace. Needs no right.
pub fn own_addresses() -> Result<OwnAddresses, Error> {
    let header = Header { kind: GET_ADDRESS, flags: DUMP, sequence: 1, selector: ANY_FAMILY };
    // What follows the family and its padding in `struct ifaddrmsg` is the interface's index.
    let socket = Socket::ask(Request::Addresses, &Requests::one(header, |body| body.raw(&[0; 4])))?;
    let mut own = OwnAddresses::default();
    socket.receive_dump(|message| add(&message, &mut own).map_err(|fault| message.error(fault)))?;
    Ok(own)
}

/// Parses a datagram of addresses.
pub fn parse_addresses(datagram: &[u8]) -> Result<OwnAddresses, ParseError> {
    let mut own = OwnAddresses::default();
    for message in Messages::of(datagram) {
        let message = message?;
        add(&message, &mut own).map_err(|fault| message.error(fault))?;
    }
    Ok(own)
}

/// `RTM_NEWADDR`, `RTM_GETADDR`.
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
/// `struct ifaddrmsg`: family, length of the prefix, flags, scope, index.
const HEADER_BYTES: usize = 8;
/// `IFA_*`.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
/// `AF_INET`, `AF_INET6`.
const V4: u8 = 2;
const V6: u8 = 10;

fn add(message: &Message<'_>, own: &mut OwnAddresses) -> Result<(), Fault> {
    message.expect(NEW_ADDRESS)?;
    let mut attributes = message.attributes_behind(HEADER_BYTES)?;
    let Some([family, prefix_bits]) = message.payload.first_chunk() else {
        return Err(Fault::at(message.payload, Problem::Missing { kind: 0 }));
    };
    let (mut address, mut local, mut broadcast) = (None, None, None);
    for attribute in attributes.by_ref() {
        match attribute.kind {
            ADDRESS => address = parse(&attribute, *family)?,
            LOCAL => local = parse(&attribute, *family)?,
            BROADCAST => broadcast = parse(&attribute, *family)?,
            _ => {}
        }
    }
    attributes.end()?;
    // Where both are told, of a point-to-point interface the other is the peer's.
    if let Some(one) = local.or(address) {
        let last = address.and_then(|address| last_of(address, *prefix_bits));
        own.add(one, told(broadcast).into_iter().chain(last));
    }
    Ok(())
}

/// `None` for a family that is neither of both.
fn parse(attribute: &Attribute<'_>, family: u8) -> Result<Option<IpAddr>, Fault> {
    match family {
        V4 => attribute.array().map(|bytes: [u8; 4]| Some(Ipv4Addr::from(bytes).into())),
        V6 => attribute.array().map(|bytes: [u8; 16]| Some(Ipv6Addr::from(bytes).into())),
        _ => Ok(None),
    }
}

/// What is told; IPv6 has none.
fn told(broadcast: Option<IpAddr>) -> Option<Ipv4Addr> {
    match broadcast? {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

/// The kernel has a broadcast route to the last address of a network beside that which is told (`fib_add_ifaddr` in `fib_frontend.c`).
fn last_of(address: IpAddr, prefix_bits: u8) -> Option<Ipv4Addr> {
    const LONGEST: u8 = 30;
    match address {
        IpAddr::V4(v4) if prefix_bits <= LONGEST => {
            let behind_prefix = u32::MAX.checked_shr(prefix_bits.into()).unwrap_or(0);
            Some(Ipv4Addr::from_bits(v4.to_bits() | behind_prefix))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MESSAGE_HEADER_BYTES;

    const PREFIX_AT: usize = MESSAGE_HEADER_BYTES + 1;

    /// As a kernel writes them: with a broadcast address, without, point to point, and of IPv6.
    fn four() -> [Vec<u8>; 4] {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets();
        [
            address(V4, 24, &[(ADDRESS, &[192, 0, 2, 1]), (LOCAL, &[192, 0, 2, 1]), (BROADCAST, &[192, 0, 2, 254])]),
            address(V4, 8, &[(ADDRESS, &[10, 0, 0, 1]), (LOCAL, &[10, 0, 0, 1])]),
            address(V4, 32, &[(ADDRESS, &[198, 51, 100, 2]), (LOCAL, &[198, 51, 100, 1])]),
            address(V6, 64, &[(ADDRESS, &v6), (8, &[0; 4])]),
        ]
    }

    fn address(family: u8, prefix_bits: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let header = Header { kind: NEW_ADDRESS, flags: 0, sequence: 1, selector: family };
        let message = Requests::one(header, |body| {
            body.raw(&[0; 4]);
            for (kind, value) in attributes {
                body.put(*kind, value);
            }
        });
        let mut bytes = message.as_bytes().to_vec();
        bytes[PREFIX_AT] = prefix_bits;
        bytes
    }

    #[test]
    fn own_addresses_are_told_from_peers_and_broadcasts() {
        let own = parse_addresses(&four().concat()).unwrap();
        for address in ["192.0.2.1", "10.0.0.1", "198.51.100.1", "2001:db8::1"] {
            assert!(own.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["198.51.100.2", "192.0.2.254", "10.255.255.255", "2001:db8::2"] {
            assert!(!own.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["192.0.2.254", "10.255.255.255"] {
            assert!(own.is_for_many(address.parse().unwrap()), "{address}");
        }
        assert!(!own.is_for_many("198.51.100.2".parse().unwrap()));
    }

    #[test]
    fn a_datagram_cut_anywhere_or_with_a_byte_changed_is_an_error_or_other_addresses() {
        let whole = four().concat();
        let ends: Vec<_> = four()
            .iter()
            .scan(0, |end, message| {
                *end += message.len();
                Some(*end)
            })
            .collect();
        for has in 0..whole.len() {
            assert_eq!(parse_addresses(&whole[..has]).is_ok(), has == 0 || ends.contains(&has), "{has}");
        }
        for (at, byte) in (0..whole.len()).flat_map(|at| [0, 1, 0x7f, 0xff].map(|byte| (at, byte))) {
            let mut changed = whole.clone();
            changed[at] = byte;
            if let Err(problem) = parse_addresses(&changed) {
                assert!(problem.offset <= changed.len(), "{problem}");
            }
        }
    }
}
