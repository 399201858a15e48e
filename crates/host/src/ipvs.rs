//! What IPVS balances.

use std::net::IpAddr;

use plimsoll_rules::{Field, IpVersion, Ipvs, Numbers, PacketClass, Route, address_number};

use crate::rulesets::run;
use crate::{Error, HostFs, NetFiles};

impl HostFs {
    /// The virtual services of IPVS, in the calling thread's namespace; none where it is not there.
    pub fn ipvs(&self) -> Result<Ipvs, Error> {
        match self.read_net(NetFiles::OfThread, "ip_vs") {
            Ok(text) => Ok(Ipvs::read(&String::from_utf8_lossy(text.bytes()))),
            // It is not there, or has been given nothing.
            Err(error) if error.is_absent() => Ok(Ipvs::default()),
            Err(error) => Err(error),
        }
    }

    /// The ipsets of the calling thread's namespace as `ipset save` writes them. Only to be asked where rules name some: else the kernel
    /// would load what knows them.
    pub fn ipsets(&self) -> Result<String, Error> {
        run("ipset", &["save"])
    }

    /// The destinations of IPVS' virtual services, in the calling thread's namespace; `None` where some go by a mark, so that it cannot be
    /// told which packets are meant.
    pub fn balanced(&self) -> Result<Option<Vec<PacketClass>>, Error> {
        self.ipvs().map(|ipvs| destinations(&ipvs))
    }
}

fn destinations(ipvs: &Ipvs) -> Option<Vec<PacketClass>> {
    if !ipvs.unknown.is_empty() {
        return None;
    }
    let mut classes = Vec::new();
    for service in &ipvs.services {
        let version = match service.at.address {
            IpAddr::V4(_) => IpVersion::V4,
            IpAddr::V6(_) => IpVersion::V6,
        };
        let port = service.at.port;
        let ports = if port == 0 { Field::DestinationPort.every() } else { Numbers::one(port.into()) };
        // A service's address is the host's own (ipvs), or one that is routed through it.
        for route in [Route::ToHost, Route::FromHost, Route::Forwarded] {
            classes.push(
                PacketClass::new(route, version)
                    .of(service.at.protocol)
                    .with(Field::Destination, &Numbers::one(address_number(service.at.address)))
                    .with(Field::DestinationPort, &ports),
            );
        }
    }
    Some(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_told_unless_some_go_by_a_mark() {
        let text = "UDP  0A60000A:0035 rr\n  -> 0AF40002:0035      Masq    1      0          0\n";
        let classes = destinations(&Ipvs::read(text)).unwrap();
        assert_eq!(classes.len(), 3);
        assert_eq!(classes[0].field(Field::Destination).single(), Some(0x0a60_000a));
        assert_eq!(classes[0].field(Field::DestinationPort).single(), Some(53));
        assert_eq!(destinations(&Ipvs::read(&format!("{text}FWM  00000001 rr\n"))), None);
        let v6 = Ipvs::read("TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:01BB rr\n");
        assert_eq!(destinations(&v6).unwrap()[0].version(), Some(IpVersion::V6));
    }
}
