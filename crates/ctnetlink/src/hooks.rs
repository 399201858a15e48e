//! Whether connection tracking is hooked into the path of packets: the kernel does that only where a rule needs it.

use crate::error::{Error, Request};
use crate::message::{DUMP, Header, Requests};
use crate::socket::Socket;
use crate::wire::{Fault, Message};

/// `NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET`.
const HOOK_GET: u16 = 0x0c00;
/// `NFNLA_HOOK_HOOKNUM`.
const HOOK_NUMBER: u16 = 1;
/// `NFNLA_HOOK_FUNCTION_NAME`.
const FUNCTION_NAME: u16 = 4;
/// `NFPROTO_IPV4`, `NFPROTO_IPV6`.
const FAMILIES: [u8; 2] = [2, 10];
/// `NF_INET_PRE_ROUTING`.
const PREROUTING: u32 = 0;

/// Whether `nf_conntrack`'s hooks are registered at prerouting in the calling thread's network namespace. Kernels from
/// 5.14 on tell, where `nfnetlink_hook` is there; others answer with an error for which
/// [`Error::is_unsupported`] holds.
pub fn conntrack_is_hooked() -> Result<bool, Error> {
    for family in FAMILIES {
        if family_is_hooked(family)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn family_is_hooked(family: u8) -> Result<bool, Error> {
    let header = Header { kind: HOOK_GET, flags: DUMP, sequence: 1, selector: family };
    let request = Requests::one(header, |body| body.put(HOOK_NUMBER, &PREROUTING.to_be_bytes()));
    let socket = Socket::ask(Request::Hooks, &request)?;
    let mut hooked = false;
    socket.receive_dump(|message| {
        hooked |= is_conntrack(&message).map_err(|fault| message.error(fault))?;
        Ok(())
    })?;
    Ok(hooked)
}

/// The functions are `ipv4_conntrack_in` and `ipv6_conntrack_in` (`nf_conntrack_proto.c`).
fn is_conntrack(message: &Message<'_>) -> Result<bool, Fault> {
    const SUFFIX: &[u8] = b"_conntrack_in";
    let name = message.attribute(FUNCTION_NAME)?.map_or(&[][..], |name| name.value);
    Ok(name.windows(SUFFIX.len()).any(|window| window == SUFFIX))
}
