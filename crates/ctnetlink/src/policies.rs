//! Timeout policies: objects that arm the entries they are attached to with timeouts of their own. A dump does not show
//! which entries they govern, so that there are any is all that can be known.

use crate::error::{Error, Request};
use crate::message::{ANY_FAMILY, DUMP, Header, Requests};
use crate::socket::Socket;
use crate::wire::{Fault, Message};

/// `NFNL_SUBSYS_CTNETLINK_TIMEOUT << 8 | IPCTNL_MSG_TIMEOUT_GET`.
const TIMEOUT_GET: u16 = 0x0801;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ`.
const NFT_GETOBJ: u16 = 0x0a13;
/// `NFTA_OBJ_TYPE`.
const OBJECT_TYPE: u16 = 3;
/// `NFT_OBJECT_CT_TIMEOUT`.
const OBJECT_IS_CT_TIMEOUT: u32 = 7;

/// Where timeout policies are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKeeper {
    /// `nfnetlink_cttimeout`: those of `nfct timeout`, for iptables' `CT --timeout`.
    Cttimeout,
    /// `nf_tables`: nftables' `ct timeout` objects.
    Nftables,
}

/// Counts the timeout policies of the calling thread's network namespace. A subsystem that the kernel does not have
/// holds none.
pub fn timeout_policies(keeper: PolicyKeeper) -> Result<u32, Error> {
    match keeper {
        PolicyKeeper::Cttimeout => count(TIMEOUT_GET, |_| Ok(true)),
        PolicyKeeper::Nftables => count(NFT_GETOBJ, is_ct_timeout),
    }
}

fn count(kind: u16, matches: fn(&Message<'_>) -> Result<bool, Fault>) -> Result<u32, Error> {
    let header = Header { kind, flags: DUMP, sequence: 1, selector: ANY_FAMILY };
    let socket = Socket::ask(Request::TimeoutPolicies, &Requests::one(header, |_| {}))?;
    let mut found = 0;
    let answer = socket.receive_dump(|message| {
        found += u32::from(matches(&message).map_err(|fault| message.error(fault))?);
        Ok(())
    });
    match answer {
        Err(error) if error.is_unsupported() => Ok(0),
        answer => answer.map(|()| found),
    }
}

fn is_ct_timeout(message: &Message<'_>) -> Result<bool, Fault> {
    match message.attribute(OBJECT_TYPE)? {
        Some(kind) => Ok(kind.be32()? == OBJECT_IS_CT_TIMEOUT),
        None => Ok(false),
    }
}
