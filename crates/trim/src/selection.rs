//! Which entries are looked at at all.

use std::net::SocketAddr;
use std::str::FromStr;

use plimsoll_model::{Entry, Network, Protocol, ProtocolState, SctpState, Service, Status, TcpState};

/// What an entry has to be. Of several values of one kind it has to have one; where none is given any will do.
///
/// Addresses are compared here, not by the kernel: its filter of dumps takes IPv6 addresses the wrong way round on many
/// versions (`ctnetlink_filter_match_tuple`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// States.
    pub states: Vec<StateName>,
    /// Protocols.
    pub protocols: Vec<Protocol>,
    /// Addresses and ports, of any protocol: what the client asked for, or the server that answers it.
    pub services: Vec<SocketAddr>,
    /// Where clients are.
    pub sources: Vec<Network>,
    /// Idle for longer than so many seconds, whatever the target.
    pub idle_over_secs: Option<u32>,
    /// Whether a reply has been seen.
    pub replies: Replies,
}

/// Which entries, by the replies that they have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// Any.
    #[default]
    Any,
    /// Those that have seen none.
    Unseen,
}

impl Selection {
    /// Whether an entry is selected. (Its idle age is for [`crate::Rule`] to judge.)
    #[inline]
    pub fn takes(&self, entry: &Entry) -> bool {
        among(&self.states, |state| state.is(entry.state))
            && among(&self.protocols, |protocol| *protocol == entry.original.protocol)
            && among(&self.services, |service| serves(entry, service))
            && among(&self.sources, |network| network.holds(entry.original.source))
            && (self.replies == Replies::Any || !entry.status.has(Status::SEEN_REPLY))
    }
}

/// Whether one of the values fits, or there are none.
#[inline]
fn among<T>(values: &[T], fits: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(fits)
}

fn serves(entry: &Entry, asked: &SocketAddr) -> bool {
    let is_asked = |service: Option<Service>| {
        service.is_some_and(|service| service.address == asked.ip() && service.port == asked.port())
    };
    is_asked(entry.original.service()) || is_asked(entry.reply.source_service())
}

/// A state by the kernel's name; TCP and SCTP share some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateName {
    tcp: Option<TcpState>,
    sctp: Option<SctpState>,
}

impl StateName {
    /// The name of a state of TCP.
    pub const fn of_tcp(state: TcpState) -> Self {
        Self { tcp: Some(state), sctp: None }
    }

    /// Every name, in lower case, each once.
    pub fn all() -> Vec<String> {
        let tcp = TcpState::ALL.iter().map(|state| state.name());
        let sctp = SctpState::ALL.iter().map(|state| state.name());
        let mut names: Vec<String> = tcp.chain(sctp).map(str::to_lowercase).collect();
        names.sort();
        names.dedup();
        names
    }

    fn is(self, state: ProtocolState) -> bool {
        match state {
            ProtocolState::Tcp(state) => self.tcp == Some(state),
            ProtocolState::Sctp(state) => self.sctp == Some(state),
            ProtocolState::Dccp(_) | ProtocolState::None | ProtocolState::Unknown(_) => false,
        }
    }
}

/// Not the name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel has no state of this name")]
pub struct NoSuchState;

impl FromStr for StateName {
    type Err = NoSuchState;

    /// `time_wait`, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, NoSuchState> {
        let tcp = TcpState::ALL.iter().copied().find(|state| state.name().eq_ignore_ascii_case(text));
        let sctp = SctpState::ALL.iter().copied().find(|state| state.name().eq_ignore_ascii_case(text));
        if tcp.is_none() && sctp.is_none() { Err(NoSuchState) } else { Ok(Self { tcp, sctp }) }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Layer4, Tuple};

    use super::*;

    fn entry(source: &str, destination: &str, port: u16, protocol: Protocol, state: ProtocolState) -> Entry {
        let tuple = Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol,
            layer4: Layer4::Ports { source: 40_000, destination: port },
        };
        Entry { state, ..Entry::of(tuple) }
    }

    fn waiting() -> Entry {
        entry("10.1.2.3", "192.0.2.1", 443, Protocol::TCP, ProtocolState::Tcp(TcpState::TimeWait))
    }

    #[test]
    fn what_is_not_asked_for_does_not_matter() {
        assert!(Selection::default().takes(&waiting()));
    }

    #[test]
    fn every_kind_must_fit_and_of_each_kind_one() {
        let six = entry("2001:db8::7", "2001:db8::1", 53, Protocol::UDP, ProtocolState::None);
        let takes = |selection: Selection| (selection.takes(&waiting()), selection.takes(&six));
        let any = Selection::default;
        let states = vec!["time_wait".parse().unwrap(), "close".parse().unwrap()];
        assert_eq!(takes(Selection { states: states.clone(), ..any() }), (true, false));
        assert_eq!(takes(Selection { protocols: vec![Protocol::UDP], ..any() }), (false, true));
        assert_eq!(takes(Selection { protocols: vec![Protocol::UDP], states, ..any() }), (false, false));
        let services = vec!["192.0.2.1:443".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(takes(Selection { services, ..any() }), (true, true));
        let services = vec!["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()];
        assert_eq!(takes(Selection { services, ..any() }), (false, false));
        let sources = vec!["10.1.0.0/16".parse().unwrap(), Network::host("2001:db8::8".parse().unwrap())];
        assert_eq!(takes(Selection { sources, ..any() }), (true, false));
    }

    #[test]
    fn a_backend_is_a_service_too() {
        let mut translated = waiting();
        translated.reply.source = "198.51.100.7".parse().unwrap();
        translated.reply.layer4 = Layer4::Ports { source: 8080, destination: 40_000 };
        for service in ["198.51.100.7:8080", "192.0.2.1:443"] {
            let selection = Selection { services: vec![service.parse().unwrap()], ..Selection::default() };
            assert!(selection.takes(&translated), "{service}");
        }
    }

    #[test]
    fn unreplied_are_those_without_a_reply() {
        let unreplied = Selection { replies: Replies::Unseen, ..Selection::default() };
        assert!(unreplied.takes(&waiting()));
        assert!(!unreplied.takes(&Entry { status: Status::SEEN_REPLY, ..waiting() }));
    }

    #[test]
    fn a_name_that_both_protocols_have_means_both() {
        let name: StateName = "established".parse().unwrap();
        assert!(name.is(ProtocolState::Tcp(TcpState::Established)));
        assert!(name.is(ProtocolState::Sctp(SctpState::Established)));
        assert!(!name.is(ProtocolState::None) && !name.is(ProtocolState::Unknown(3)));
        assert_eq!("timewait".parse::<StateName>(), Err(NoSuchState));
        assert!(StateName::all().iter().all(|name| name.parse::<StateName>().is_ok()));
    }
}
