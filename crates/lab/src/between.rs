//! A router between clients and servers, of IPv4 and IPv6, that does nothing but forward.

use crate::tun::Tun;
use crate::{Error, LabNamespace};

/// The router and the devices at its sides. Clients are in `10.0.0.0/8` and `2001:db8:1::/48`, servers everywhere else.
#[derive(Debug)]
pub(crate) struct Between {
    pub(crate) namespace: LabNamespace,
    pub(crate) clients: Tun,
    pub(crate) servers: Tun,
}

impl Between {
    /// Builds it. Nothing is tracked until a rule asks for it.
    pub(crate) fn build() -> Result<Self, Error> {
        let namespace = LabNamespace::create()?;
        namespace.set("net/ipv4/ip_forward", 1)?;
        namespace.set_where_there("net/ipv6/conf/all/forwarding", 1)?;
        for of in ["all", "default"] {
            namespace.set(&format!("net/ipv4/conf/{of}/rp_filter"), 0)?;
            namespace.set(&format!("net/ipv4/conf/{of}/send_redirects"), 0)?;
            // Nothing is to come out but what was sent.
            for (quiet, value) in [("accept_ra", 0), ("router_solicitations", 0), ("addr_gen_mode", 1)] {
                namespace.set_where_there(&format!("net/ipv6/conf/{of}/{quiet}"), value)?;
            }
        }
        let clients = Tun::create(&namespace, "clients")?;
        let servers = Tun::create(&namespace, "servers")?;
        namespace.ip("link set clients up\nlink set servers up\n\
             route add default dev servers\nroute add 10.0.0.0/8 dev clients\n\
             route add ::/0 dev servers\nroute add 2001:db8:1::/48 dev clients\n")?;
        Ok(Self { namespace, clients, servers })
    }
}
