//! A service whose packets are left untracked.

use plimsoll_model::Protocol;

use crate::class::{IpVersion, PacketClass, Route};
use crate::key::Field;
use crate::model::Hook;
use crate::numbers::Numbers;
use crate::tracking::BYPASS_PRIORITY;

/// A service whose packets, requests and answers alike, are left untracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// Its requests, a class for each version of IP. Answers are their mirror.
    pub requests: Vec<PacketClass>,
    /// Who begins flows between its ports.
    pub begins: Begins,
    /// Whether answers may pass that nobody asked for, where they did not.
    pub unsolicited: Unsolicited,
}

/// Who begins flows between a service's ports. A resolver that sends queries from port 53, or ntpd from 123, begins some whose answers
/// look like requests; entries tell whether there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Begins {
    /// Whoever sends requests.
    ClientsOnly,
    /// Who answers does so, too, or may.
    Either,
}

/// Whether packets may pass that look like answers and answer nothing. What leaves this host may in any case: it is told as a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unsolicited {
    /// They may not, if they could not before.
    Refused,
    /// They may: whoever asks for the bypass knows what it opens.
    Allowed,
}

impl Bypass {
    /// A service of this host.
    pub fn served_here(protocol: Protocol, port: u16) -> Self {
        Self::on(Route::ToHost, protocol, port)
    }

    /// A service elsewhere that this host uses.
    pub fn used_from_here(protocol: Protocol, port: u16) -> Self {
        Self::on(Route::FromHost, protocol, port)
    }

    /// A service elsewhere that is used from elsewhere, through this host.
    pub fn passing_through(protocol: Protocol, port: u16) -> Self {
        Self::on(Route::Forwarded, protocol, port)
    }

    fn on(route: Route, protocol: Protocol, port: u16) -> Self {
        let class = |version| {
            PacketClass::new(route, version).of(protocol).with(Field::DestinationPort, &Numbers::one(port.into()))
        };
        Self {
            requests: vec![class(IpVersion::V4), class(IpVersion::V6)],
            begins: Begins::Either,
            unsolicited: Unsolicited::Refused,
        }
    }

    /// With this said of who begins flows.
    #[must_use]
    pub fn begun_by(self, begins: Begins) -> Self {
        Self { begins, ..self }
    }

    /// With this said of answers that nobody asked for.
    #[must_use]
    pub fn with_unsolicited(self, unsolicited: Unsolicited) -> Self {
        Self { unsolicited, ..self }
    }

    /// Those of its requests only whose field is one of these. Classes that have none are left out.
    #[must_use]
    pub fn only(mut self, field: Field, numbers: &Numbers) -> Self {
        self.requests = self.requests.into_iter().map(|class| class.with(field, numbers)).collect();
        self.requests.retain(|class| !class.is_empty());
        self
    }

    /// The nft commands for a table that leaves its packets untracked; `None` where its classes cannot be written so.
    pub fn table(&self, name: &str) -> Option<String> {
        let classes: Vec<_> = self.requests.iter().flat_map(|class| [class.clone(), class.answers()]).collect();
        let rules = |hook: Hook| {
            let here = classes.iter().filter(|class| hook_of(class) == hook);
            here.map(|class| Some(format!("        {} notrack\n", class.in_nft(hook)?.join(" "))))
                .collect::<Option<String>>()
        };
        let chain = |hook: Hook| {
            Some(format!(
                "    chain {} {{\n        type filter hook {} priority {BYPASS_PRIORITY}; policy accept;\n{}    }}\n",
                hook.name(),
                hook.name(),
                rules(hook)?
            ))
        };
        Some(format!("table inet {name} {{\n{}{}}}\n", chain(Hook::Prerouting)?, chain(Hook::Output)?))
    }
}

/// Where packets of a class are left untracked.
fn hook_of(class: &PacketClass) -> Hook {
    if class.route() == Route::FromHost { Hook::Output } else { Hook::Prerouting }
}
