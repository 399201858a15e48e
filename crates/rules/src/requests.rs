//! The requests of a service, as classes of packets.

use plimsoll_model::{Bypass, Bypassed, Network};

use crate::class::{IpVersion, PacketClass, Route};
use crate::key::{Field, address_number};
use crate::numbers::Numbers;

/// The requests of a bypass, a class for each version of IP that it is for. Answers are their mirror.
pub(crate) fn requests(bypass: &Bypass) -> Vec<PacketClass> {
    let route = match bypass.flows {
        Bypassed::ServedHere => Route::ToHost,
        Bypassed::AskedFromHere { .. } => Route::FromHost,
        Bypassed::Forwarded { .. } => Route::Forwarded,
    };
    let class = |version| {
        let all = PacketClass::new(route, version).of(bypass.protocol.protocol());
        let service = all.with(Field::DestinationPort, &Numbers::one(bypass.port.into()));
        let from = addresses(bypass.flows.clients(), version);
        let to = addresses(bypass.flows.servers(), version);
        let asked = from.iter().fold(service, |class, from| class.with(Field::Source, from));
        to.iter().fold(asked, |class, to| class.with(Field::Destination, to))
    };
    [IpVersion::V4, IpVersion::V6].map(class).into_iter().filter(|class| !class.is_empty()).collect()
}

/// The addresses of networks; `None` where there are no networks, so that any address is meant.
pub(crate) fn addresses(networks: &[Network], version: IpVersion) -> Option<Numbers> {
    if networks.is_empty() {
        return None;
    }
    let width = if version == IpVersion::V4 { 32 } else { 128 };
    let of_version = networks.iter().filter(|network| network.address().is_ipv4() == (version == IpVersion::V4));
    let numbers =
        of_version.map(|network| Numbers::prefix(address_number(network.address()), network.bits().into(), width));
    Some(numbers.fold(Numbers::NONE, |all, network| all.or(&network)))
}

#[cfg(test)]
mod tests {
    use plimsoll_model::PolicyProtocol;

    use super::*;

    #[test]
    fn a_version_that_one_side_has_no_networks_of_is_left_out() {
        let networks = |all: &[&str]| all.iter().map(|network| network.parse().unwrap()).collect();
        let of = |clients: &[&str], servers: &[&str]| {
            let flows = Bypassed::Forwarded { clients: networks(clients), servers: networks(servers) };
            requests(&Bypass { protocol: PolicyProtocol::Udp, port: 53, flows })
        };
        let both = of(&["10.0.0.0/8", "2001:db8::/32"], &["192.0.2.1/32", "2001:db8::1/128"]);
        assert_eq!(both.len(), 2);
        let one = of(&["10.0.0.0/8"], &["192.0.2.1/32", "192.0.2.3/32", "2001:db8::1/128"]);
        assert_eq!(one.len(), 1);
        let servers = one[0].field(Field::Destination);
        assert!(servers.has(0xc000_0201) && !servers.has(0xc000_0202) && servers.has(0xc000_0203));
        assert!(of(&["10.0.0.0/8"], &["2001:db8::1/128"]).is_empty());
    }
}
