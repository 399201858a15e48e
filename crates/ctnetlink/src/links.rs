//! Network interfaces and the XDP programs attached to them (`linux/rtnetlink.h`, `linux/if_link.h`): what one of these drops is
//! never tracked.

use std::os::fd::{AsRawFd, BorrowedFd};

use plimsoll_model::Untrusted;

use crate::error::{Error, ParseError, Problem, Request};
use crate::message::{ACK, ANY_FAMILY, Body, DUMP, Header, Requests};
use crate::socket::Socket;
use crate::wire::{Attribute, Fault, Message, Messages};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, for as long as it is in this namespace.
    pub index: i32,
    /// Its name, for showing.
    pub name: Untrusted,
    /// What it is, as its driver has it (`veth`, `vlan`, `bond`); `None` for cards, and others that no program made.
    pub kind: Option<Untrusted>,
    /// The XDP programs attached to it: at most one by each way.
    pub xdp: Vec<XdpProgram>,
}

/// An XDP program that is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpProgram {
    /// By which way.
    pub mode: XdpMode,
    /// The program's id.
    pub id: u32,
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before the packet has an skb.
    Native,
    /// Behind the driver, in any interface: the packet has an skb, and nothing else has been done with it.
    Generic,
    /// In the network card itself.
    Offloaded,
}

/// Lists the interfaces of the calling thread's network namespace. Needs no right.
pub fn links() -> Result<Vec<Link>, Error> {
    let header = Header { kind: GET_LINK, flags: DUMP, sequence: 1, selector: ANY_FAMILY };
    let socket = Socket::ask(Request::Links, &Requests::one(header, |body| write_interface(body, 0)))?;
    let mut links = Vec::new();
    socket.receive_dump(|message| {
        links.push(parse_link(&message).map_err(|fault| message.error(fault))?);
        Ok(())
    })?;
    Ok(links)
}

/// Attaches a program, which then stays attached whatever becomes of this process. Nobody else's is replaced.
///
/// # Errors
/// The kernel refuses with `EBUSY` or `EEXIST` where a program is attached already, by either way; with `EOPNOTSUPP` where the
/// driver knows no XDP (or the kernel no generic one), `EINVAL`, `ERANGE` or others where it cannot with the interface's settings (MTU, queues, LRO).
pub fn attach_xdp(index: i32, program: BorrowedFd<'_>, mode: XdpMode) -> Result<(), Error> {
    set_xdp(Request::AttachXdp, index, |body| {
        body.put(XDP_FD, &program.as_raw_fd().to_ne_bytes());
        body.put(XDP_FLAGS, &(mode.flag() | ONLY_IF_NONE).to_ne_bytes());
    })
}

/// Detaches just this program (from 5.7 on the kernel compares).
///
/// # Errors
/// The kernel refuses with `EEXIST` where another program is attached, or none, and with `EBUSY` where it is a link's.
pub fn detach_xdp(index: i32, program: BorrowedFd<'_>, mode: XdpMode) -> Result<(), Error> {
    set_xdp(Request::DetachXdp, index, |body| {
        body.put(XDP_FD, &NO_PROGRAM.to_ne_bytes());
        body.put(XDP_FLAGS, &(mode.flag() | ONLY_IF_EXPECTED).to_ne_bytes());
        body.put(XDP_EXPECTED_FD, &program.as_raw_fd().to_ne_bytes());
    })
}

/// Parses a datagram of interfaces.
pub fn parse_links(datagram: &[u8]) -> Result<Vec<Link>, ParseError> {
    Messages::of(datagram)
        .map(|message| message.and_then(|message| parse_link(&message).map_err(|fault| message.error(fault))))
        .collect()
}

impl XdpMode {
    /// `XDP_FLAGS_*_MODE`.
    const fn flag(self) -> u32 {
        match self {
            Self::Generic => 1 << 1,
            Self::Native => 1 << 2,
            Self::Offloaded => 1 << 3,
        }
    }
}

/// `RTM_NEWLINK`, `RTM_GETLINK`, `RTM_SETLINK`.
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
/// `struct ifinfomsg`: family, type, index, flags, change.
const INTERFACE_BYTES: usize = 16;
/// `IFLA_IFNAME`, `IFLA_LINKINFO` with `IFLA_INFO_KIND`, `IFLA_XDP`.
const NAME: u16 = 3;
const INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const XDP: u16 = 43;
/// `IFLA_XDP_*`.
const XDP_FD: u16 = 1;
const XDP_FLAGS: u16 = 3;
const XDP_NATIVE_ID: u16 = 5;
const XDP_GENERIC_ID: u16 = 6;
const XDP_OFFLOADED_ID: u16 = 7;
const XDP_EXPECTED_FD: u16 = 8;
/// `XDP_FLAGS_UPDATE_IF_NOEXIST`, `XDP_FLAGS_REPLACE`.
const ONLY_IF_NONE: u32 = 1;
const ONLY_IF_EXPECTED: u32 = 1 << 4;
/// As `IFLA_XDP_FD`: detach.
const NO_PROGRAM: i32 = -1;

fn set_xdp(request: Request, index: i32, write: impl FnOnce(&mut Body)) -> Result<(), Error> {
    let header = Header { kind: SET_LINK, flags: ACK, sequence: 1, selector: ANY_FAMILY };
    let requests = Requests::one(header, |body| {
        write_interface(body, index);
        body.nest(XDP, write);
    });
    let socket = Socket::ask(request, &requests)?;
    // The acknowledgement ends it as the end of a dump would.
    socket.receive_dump(|message| Err(message.error(Fault::at(message.payload, Problem::Unexpected))))
}

/// What follows the family and its padding.
fn write_interface(body: &mut Body, index: i32) {
    body.raw(&index.to_ne_bytes());
    body.raw(&[0; 8]);
}

fn parse_link(message: &Message<'_>) -> Result<Link, Fault> {
    message.expect(NEW_LINK)?;
    let mut attributes = message.attributes_behind(INTERFACE_BYTES)?;
    let index = match message.payload.get(4..).and_then(<[u8]>::first_chunk) {
        Some(index) => i32::from_ne_bytes(*index),
        None => return Err(Fault::at(message.payload, Problem::Missing { kind: 0 })),
    };
    let (mut name, mut kind, mut xdp) = (None, None, Vec::new());
    for attribute in attributes.by_ref() {
        match attribute.kind {
            NAME => name = Some(text(attribute.value)),
            INFO => kind = parse_kind(&attribute).map_err(|fault| fault.inside(INFO))?,
            XDP => xdp = parse_xdp(&attribute).map_err(|fault| fault.inside(XDP))?,
            _ => {}
        }
    }
    attributes.end()?;
    match name {
        Some(name) => Ok(Link { index, name, kind, xdp }),
        None => Err(Fault::at(message.payload, Problem::Missing { kind: NAME })),
    }
}

/// What ends with a zero.
fn text(value: &[u8]) -> Untrusted {
    Untrusted::from_bytes(value.split(|byte| *byte == 0).next().unwrap_or_default())
}

fn parse_kind(info: &Attribute<'_>) -> Result<Option<Untrusted>, Fault> {
    let mut attributes = info.nested();
    let kind = attributes.by_ref().filter(|attribute| attribute.kind == INFO_KIND).last();
    attributes.end()?;
    Ok(kind.map(|kind| text(kind.value)))
}

fn parse_xdp(xdp: &Attribute<'_>) -> Result<Vec<XdpProgram>, Fault> {
    let mut attributes = xdp.nested();
    let mut programs = Vec::new();
    for attribute in attributes.by_ref() {
        let mode = match attribute.kind {
            XDP_NATIVE_ID => XdpMode::Native,
            XDP_GENERIC_ID => XdpMode::Generic,
            XDP_OFFLOADED_ID => XdpMode::Offloaded,
            _ => continue,
        };
        programs.push(XdpProgram { mode, id: attribute.array().map(u32::from_ne_bytes)? });
    }
    attributes.end()?;
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel writes them: an interface without a program, and one with one in its driver.
    fn two() -> Requests {
        let mut messages = Requests::default();
        let header = Header { kind: NEW_LINK, flags: 0, sequence: 1, selector: ANY_FAMILY };
        messages.add(header, |body| {
            write_interface(body, 1);
            body.put(NAME, b"lo\0");
            // IFLA_XDP_ATTACHED: none.
            body.nest(XDP, |body| body.put(2, &[0]));
        });
        messages.add(header, |body| {
            write_interface(body, 7);
            body.put(NAME, b"eth\x1b\0");
            body.nest(INFO, |body| body.put(INFO_KIND, b"veth\0"));
            body.nest(XDP, |body| {
                body.put(2, &[1]);
                body.put(4, &77_u32.to_ne_bytes());
                body.put(XDP_NATIVE_ID, &77_u32.to_ne_bytes());
            });
        });
        messages
    }

    #[test]
    fn interfaces_come_with_their_programs_and_with_names_that_can_be_shown() {
        let expected = [
            Link { index: 1, name: "lo".into(), kind: None, xdp: vec![] },
            Link {
                index: 7,
                name: "eth\x1b".into(),
                kind: Some("veth".into()),
                xdp: vec![XdpProgram { mode: XdpMode::Native, id: 77 }],
            },
        ];
        assert_eq!(parse_links(two().as_bytes()).unwrap(), expected);
        assert_eq!(expected[1].name.as_str(), r"eth\u{1b}");
    }

    #[test]
    fn a_datagram_cut_anywhere_or_with_a_byte_changed_is_an_error_or_other_interfaces() {
        let whole = two().as_bytes().to_vec();
        let first_bytes = usize::from(u16::from_ne_bytes([whole[0], whole[1]]));
        for has in 0..whole.len() {
            let is_between = has == 0 || has == first_bytes;
            assert_eq!(parse_links(&whole[..has]).is_ok(), is_between, "{has}");
        }
        for (at, byte) in (0..whole.len()).flat_map(|at| [0, 1, 0x7f, 0xff].map(|byte| (at, byte))) {
            let mut changed = whole.clone();
            changed[at] = byte;
            if let Err(problem) = parse_links(&changed) {
                assert!(problem.offset <= changed.len(), "{problem}");
            }
        }
    }

    #[test]
    fn loopback_is_found() {
        assert!(links().unwrap().iter().any(|link| link.name.as_str() == "lo" && link.index == 1));
    }
}
