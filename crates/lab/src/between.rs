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
        let namespace = LabNamespace::forwarding()?;
        let clients = Tun::create(&namespace, "clients")?;
        let servers = Tun::create(&namespace, "servers")?;
        namespace.ip("link set clients up\nlink set servers up\n\
             route add default dev servers\nroute add 10.0.0.0/8 dev clients\n\
             route add ::/0 dev servers\nroute add 2001:db8:1::/48 dev clients\n")?;
        Ok(Self { namespace, clients, servers })
    }
}
