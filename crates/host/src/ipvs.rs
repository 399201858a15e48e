//! What IPVS balances.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_model::Protocol;
use plimsoll_rules::{Field, IpVersion, Numbers, PacketClass, Route, address_number};

use crate::{Error, HostFs, NetFiles};

impl HostFs {
    /// The destinations of IPVS' virtual services, in the calling thread's namespace; `None` where some go by a mark, so that it cannot be
    /// told which packets are meant.
    pub fn balanced(&self) -> Result<Option<Vec<PacketClass>>, Error> {
        let text = match self.read_net(NetFiles::OfThread, "ip_vs") {
            Ok(text) => text,
            // IPVS is not there, or has been given nothing.
            Err(error) if error.is_absent() => return Ok(Some(Vec::new())),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(text.bytes()).into_owned();
        Ok(virtual_services(&text))
    }
}

/// Lines as `ip_vs_info_seq_show` writes them (`ip_vs_ctl.c`): `TCP  0A600001:0035 rr`, `UDP  [2001:0db8:…]:0035 rr`; those of
/// servers begin with `->`, and those of services by mark with `FWM`.
fn virtual_services(text: &str) -> Option<Vec<PacketClass>> {
    let mut services = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let protocol = match words.next() {
            Some("TCP") => Protocol::TCP,
            Some("UDP") => Protocol::UDP,
            Some("SCTP") => Protocol::SCTP,
            Some("FWM") => return None,
            _ => continue,
        };
        let (address, port) = words.next()?.rsplit_once(':')?;
        let (address, version) = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) => (IpAddr::V6(v6.parse::<Ipv6Addr>().ok()?), IpVersion::V6),
            None => (Ipv4Addr::from_bits(u32::from_str_radix(address, 16).ok()?).into(), IpVersion::V4),
        };
        let port = u16::from_str_radix(port, 16).ok()?;
        let ports = if port == 0 { Field::DestinationPort.every() } else { Numbers::one(port.into()) };
        // A service's address is the host's own (ipvs), or one that is routed through it.
        for route in [Route::ToHost, Route::FromHost, Route::Forwarded] {
            services.push(
                PacketClass::new(route, version)
                    .of(protocol)
                    .with(Field::Destination, &Numbers::one(address_number(address)))
                    .with(Field::DestinationPort, &ports),
            );
        }
    }
    Some(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_services_are_read_and_marks_are_not_guessed_at() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port \
                    Forward Weight ActiveConn InActConn\nUDP  0A60000A:0035 rr\n  -> 0AF40002:0035      Masq    1      0          0\n";
        let services = virtual_services(text).unwrap();
        assert_eq!(services.len(), 3);
        assert_eq!(services[0].field(Field::Destination).single(), Some(0x0a60_000a));
        assert_eq!(services[0].field(Field::DestinationPort).single(), Some(53));
        assert_eq!(virtual_services(&format!("{text}FWM  00000001 rr\n")), None);
        let v6 = virtual_services("TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:01BB rr\n").unwrap();
        assert_eq!(v6[0].version(), Some(IpVersion::V6));
    }
}
