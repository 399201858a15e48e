//! A dense numbering of protocols and their states, so that counting an entry is one addition.

use plimsoll_model::{Protocol, ProtocolState, SctpState, StateKey, TcpState};

/// Numbers below this are in use.
pub(crate) const SLOTS: usize = UNKNOWN + 256;

/// Protocols without a state (or entries that show none): 256 slots by protocol number.
const STATELESS: usize = 0;
const TCP: usize = 256;
const SCTP: usize = TCP + 16;
const DCCP: usize = SCTP + 16;
/// State numbers that are not known, whatever their protocol, which is TCP or SCTP.
const UNKNOWN: usize = DCCP + 256;

/// The slot of an entry.
#[inline]
pub(crate) fn slot(protocol: Protocol, state: ProtocolState) -> usize {
    match state {
        ProtocolState::None => STATELESS + usize::from(protocol.0),
        ProtocolState::Tcp(state) => TCP + state as usize,
        ProtocolState::Sctp(state) => SCTP + state as usize,
        ProtocolState::Dccp(number) => DCCP + usize::from(number),
        ProtocolState::Unknown(number) => UNKNOWN + usize::from(number),
    }
}

/// What a slot stands for.
pub(crate) fn key(slot: usize) -> Option<StateKey> {
    let number = |first: usize| u8::try_from(slot - first).ok();
    let (protocol, state) = match slot {
        STATELESS..TCP => (Protocol(number(STATELESS)?), ProtocolState::None),
        TCP..SCTP => (Protocol::TCP, ProtocolState::Tcp(TcpState::from_kernel(number(TCP)?)?)),
        SCTP..DCCP => (Protocol::SCTP, ProtocolState::Sctp(SctpState::from_kernel(number(SCTP)?)?)),
        DCCP..UNKNOWN => (Protocol::DCCP, ProtocolState::Dccp(number(DCCP)?)),
        UNKNOWN..SLOTS => (Protocol::TCP, ProtocolState::Unknown(number(UNKNOWN)?)),
        _ => return None,
    };
    Some(StateKey { protocol, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_slot_of_its_own() {
        let tcp = TcpState::ALL.iter().map(|state| (Protocol::TCP, ProtocolState::Tcp(*state)));
        let sctp = SctpState::ALL.iter().map(|state| (Protocol::SCTP, ProtocolState::Sctp(*state)));
        let stateless = (0..=255).map(|number| (Protocol(number), ProtocolState::None));
        for (protocol, state) in tcp.chain(sctp).chain(stateless) {
            assert_eq!(key(slot(protocol, state)), Some(StateKey { protocol, state }));
        }
    }
}
