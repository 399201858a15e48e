//! Sets of words that text columns hold.

use std::fmt;

use plimsoll_model::{SctpState, TcpState, Timeout};
use plimsoll_recording::{ChangeKind, End, GapEnd, Sight, State, Translation};

/// One of a set of words.
pub(crate) trait Word: Copy + fmt::Debug + Send + Sync + 'static {
    /// What a word of the set is called in messages.
    const WHAT: &'static str;

    /// The word.
    fn word(self) -> &'static str;

    /// By its word.
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($($type:ty: $what:literal,)*) => {
        $(impl Word for $type {
            const WHAT: &'static str = $what;

            fn word(self) -> &'static str {
                self.name()
            }

            fn from_word(word: &str) -> Option<Self> {
                Self::named(word)
            }
        })*
    };
}

words! {
    End: "an ending of a life",
    Sight: "a kind of sight",
    Translation: "a kind of translation",
    GapEnd: "an ending of a gap",
    ChangeKind: "a kind of change",
}

/// The name of a state; whose, the protocol tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateName(pub(crate) &'static str);

impl Word for StateName {
    const WHAT: &'static str = "a state";

    fn word(self) -> &'static str {
        self.0
    }

    /// A state that newer versions know is unknown to this one.
    fn from_word(word: &str) -> Option<Self> {
        let tcp = TcpState::ALL.iter().map(|state| State::Tcp(*state));
        let sctp = SctpState::ALL.iter().map(|state| State::Sctp(*state));
        let others = [State::Unreplied, State::Replied, State::Assured];
        let name = tcp.chain(sctp).chain(others).map(State::name).find(|name| *name == word);
        Some(Self(name.unwrap_or(State::Unknown.name())))
    }
}

impl Word for Timeout {
    const WHAT: &'static str = "a timeout's sysctl";

    /// The sysctl's name, or, of the three that have none, what it would be.
    fn word(self) -> &'static str {
        self.sysctl().unwrap_or(match self {
            Self::Tcp(TcpState::SynSent2) => "nf_conntrack_tcp_timeout_syn_sent2",
            Self::Sctp(_) => "nf_conntrack_sctp_timeout_none",
            _ => "nf_conntrack_tcp_timeout_none",
        })
    }

    fn from_word(word: &str) -> Option<Self> {
        let without = [Self::Tcp(TcpState::SynSent2), Self::Tcp(TcpState::None), Self::Sctp(SctpState::None)];
        Self::all_with_sysctl().chain(without).find(|timeout| timeout.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timeout_is_found_by_its_word() {
        let tcp = TcpState::ALL.iter().map(|state| Timeout::Tcp(*state));
        let sctp = SctpState::ALL.iter().map(|state| Timeout::Sctp(*state));
        for timeout in Timeout::all_with_sysctl().chain(tcp).chain(sctp) {
            assert_eq!(Timeout::from_word(timeout.word()), Some(timeout));
        }
    }
}
