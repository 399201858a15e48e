//! A scenario's router as a ruleset.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_model::{Layer4, Protocol};
use plimsoll_scenario::{DestinationNat, PortProtocol, ROUTER, Router, ServiceAddress};
use plimsoll_twin::{Helper, HelperId, NatRange, NewFlow, PortRange, Rules, Ruling, Twin};

/// What the lab's router does, in the same order: the helper is chosen by the port that the client calls, then the
/// destination is translated, then the source.
#[derive(Debug)]
pub(crate) struct RouterRules<'a> {
    router: &'a Router,
    ftp: Option<HelperId>,
    sip: Option<HelperId>,
    seed: u64,
    /// Whose packet comes, and when.
    flow: u32,
    at: Duration,
}

impl<'a> RouterRules<'a> {
    pub(crate) fn new(router: &'a Router, seed: u64, twin: &mut Twin) -> Self {
        let ftp = router.ftp_port.map(|_| twin.add_helper(Helper::ftp()));
        let sip = router.sip_port.map(|_| twin.add_helper(Helper::sip()));
        Self { router, ftp, sip, seed, flow: 0, at: Duration::ZERO }
    }

    /// Whether the router translates anything.
    pub(crate) fn translate(&self) -> bool {
        self.router.translates()
    }

    /// A packet of this flow comes.
    pub(crate) const fn comes(&mut self, flow: u32, at: Duration) {
        (self.flow, self.at) = (flow, at);
    }
}

impl Rules for RouterRules<'_> {
    fn rule(&mut self, new: &NewFlow) -> Ruling {
        let tuple = new.tuple();
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (tuple.source, tuple.destination) else {
            return Ruling::default();
        };
        let protocol = match tuple.protocol {
            Protocol::TCP => Some(PortProtocol::Tcp),
            Protocol::UDP => Some(PortProtocol::Udp),
            _ => None,
        };
        let called = match tuple.layer4 {
            Layer4::Ports { destination: port, .. } => {
                protocol.map(|protocol| ServiceAddress { address: destination, port, protocol })
            }
            _ => None,
        };
        let helper = match called {
            Some(ServiceAddress { protocol: PortProtocol::Tcp, port, .. }) if Some(port) == self.router.ftp_port => {
                self.ftp
            }
            Some(ServiceAddress { protocol: PortProtocol::Udp, port, .. }) if Some(port) == self.router.sip_port => {
                self.sip
            }
            _ => None,
        };
        let service = self.router.destination_nat.iter().find(|nat| Some(nat.service) == called);
        let destination = service.and_then(|service| self.backend(service));
        Ruling { helper, destination, source: self.source(source, protocol), ..Ruling::default() }
    }
}

impl RouterRules<'_> {
    /// Draws a backend from the packet's flow and time: the same one under all settings, whatever becomes of other flows; and another
    /// one whenever the flow needs it again.
    fn backend(&self, nat: &DestinationNat) -> Option<NatRange> {
        let mut own = Draw::new(self.seed ^ u64::from(self.flow) << 32);
        let mut backends = Draw::new(own.next() ^ u64::from(self.at.subsec_nanos()) << 32 ^ self.at.as_secs());
        let number = backends.below(u32::try_from(nat.backends.len()).unwrap_or(u32::MAX));
        let backend = nat.backends.get(number as usize)?;
        let ports = PortRange { first: backend.port, last: backend.port };
        Some(NatRange { address: backend.address.into(), ports: Some(ports), is_masquerade: false })
    }

    fn source(&self, client: Ipv4Addr, protocol: Option<PortProtocol>) -> Option<NatRange> {
        let by_range = self.router.source_nat.iter().find(|nat| protocol.is_some() && nat.clients.contains(client));
        if let Some(nat) = by_range {
            let ports = PortRange { first: *nat.ports.range().start(), last: *nat.ports.range().end() };
            return Some(NatRange { address: nat.to.into(), ports: Some(ports), is_masquerade: false });
        }
        let is_masqueraded = self.router.masquerade.iter().any(|nat| nat.clients.contains(client));
        is_masqueraded.then(|| NatRange { address: ROUTER.first().into(), ports: None, is_masquerade: true })
    }
}
