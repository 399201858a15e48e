//! Where a flow stands, as its entry tells.

use std::fmt;

use plimsoll_model::{Entry, Protocol, ProtocolState, SctpState, Status, TcpState, Timeout};

/// A state of a flow: that of its protocol's tracker, or, where the protocol has none, how far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// TCP.
    Tcp(TcpState),
    /// SCTP.
    Sctp(SctpState),
    /// Without states: nobody has answered.
    Unreplied,
    /// Without states: somebody has.
    Replied,
    /// Without states: both sides have gone on, and the kernel takes it for a stream.
    Assured,
    /// One that Plimsoll does not know, or that the entry does not show.
    Unknown,
}

impl State {
    /// An entry's.
    pub fn of(entry: &Entry) -> Self {
        match entry.state {
            ProtocolState::Tcp(state) => Self::Tcp(state),
            ProtocolState::Sctp(state) => Self::Sctp(state),
            ProtocolState::Dccp(_) | ProtocolState::Unknown(_) => Self::Unknown,
            ProtocolState::None => match entry.original.protocol {
                Protocol::TCP | Protocol::SCTP => Self::Unknown,
                _ if entry.status.has(Status::ASSURED) => Self::Assured,
                _ if entry.status.has(Status::SEEN_REPLY) => Self::Replied,
                _ => Self::Unreplied,
            },
        }
    }

    /// The timeout that an entry in this state has by itself, if nothing shortens it.
    pub const fn held_by(self, protocol: Protocol) -> Option<Timeout> {
        let is_stream = matches!(self, Self::Assured);
        Some(match (self, protocol) {
            (Self::Tcp(state), _) => Timeout::Tcp(state),
            (Self::Sctp(state), _) => Timeout::Sctp(state),
            (Self::Unknown, _) | (_, Protocol::TCP | Protocol::SCTP | Protocol::DCCP) => return None,
            (_, Protocol::UDP | Protocol::UDPLITE) if is_stream => Timeout::UdpStream,
            (_, Protocol::UDP | Protocol::UDPLITE) => Timeout::Udp,
            (_, Protocol::GRE) if is_stream => Timeout::GreStream,
            (_, Protocol::GRE) => Timeout::Gre,
            (_, Protocol::ICMP) => Timeout::Icmp,
            (_, Protocol::ICMPV6) => Timeout::Icmpv6,
            _ => Timeout::Generic,
        })
    }

    /// Its name: the kernel's, where the kernel has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp(state) => state.name(),
            Self::Sctp(state) => state.name(),
            Self::Unreplied => "UNREPLIED",
            Self::Replied => "REPLIED",
            Self::Assured => "ASSURED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The state of a protocol's flow that has this name; [`State::Unknown`] where none has.
    pub fn named(name: &str, protocol: Protocol) -> Self {
        let tcp = || TcpState::ALL.iter().find(|state| state.name() == name).map(|state| Self::Tcp(*state));
        let sctp = || SctpState::ALL.iter().find(|state| state.name() == name).map(|state| Self::Sctp(*state));
        let state = match protocol {
            Protocol::TCP => tcp(),
            Protocol::SCTP => sctp(),
            _ => [Self::Unreplied, Self::Replied, Self::Assured].into_iter().find(|state| state.name() == name),
        };
        state.unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Makes an enum whose variants have names in files.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The one with this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}
pub(crate) use named;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_name() {
        let tcp = TcpState::ALL.iter().map(|state| (State::Tcp(*state), Protocol::TCP));
        let sctp = SctpState::ALL.iter().map(|state| (State::Sctp(*state), Protocol::SCTP));
        let udp = [State::Unreplied, State::Replied, State::Assured].map(|state| (state, Protocol::UDP));
        for (state, protocol) in tcp.chain(sctp).chain(udp) {
            assert_eq!(State::named(state.name(), protocol), state);
        }
        assert_eq!(State::named("NOVEL", Protocol::TCP), State::Unknown);
    }
}
