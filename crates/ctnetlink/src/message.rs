//! Requests, written.

use crate::wire::{ATTRIBUTE_HEADER_BYTES, FIXED_HEADER_BYTES, MESSAGE_HEADER_BYTES, aligned};

/// `NLM_F_REQUEST`.
pub(crate) const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub(crate) const ACK: u16 = 0x4;
/// `NLM_F_DUMP`.
pub(crate) const DUMP: u16 = 0x300;
/// `NLM_F_CREATE | NLM_F_EXCL`.
pub(crate) const CREATE_NEW: u16 = 0x600;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// `AF_UNSPEC`: IPv4 and IPv6 both.
pub(crate) const ANY_FAMILY: u8 = 0;

/// One or more requests in a buffer.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
}

impl Requests {
    /// Adds a request of nfnetlink or generic netlink; `write` adds what follows the fixed header.
    pub(crate) fn add(&mut self, header: Header, write: impl FnOnce(&mut Body)) {
        let start = self.bytes.len();
        self.bytes.resize(start + MESSAGE_HEADER_BYTES, 0);
        // struct nfgenmsg (family, version NFNETLINK_V0, resource id) or genlmsghdr (command, version, reserved).
        self.bytes.extend_from_slice(&[header.selector, 0, 0, 0]);
        debug_assert_eq!(self.bytes.len(), start + MESSAGE_HEADER_BYTES + FIXED_HEADER_BYTES);
        write(&mut Body { bytes: &mut self.bytes });
        #[expect(clippy::cast_possible_truncation, reason = "a request is a few hundred bytes")]
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + 4..start + 6].copy_from_slice(&header.kind.to_ne_bytes());
        self.bytes[start + 6..start + 8].copy_from_slice(&(header.flags | REQUEST).to_ne_bytes());
        self.bytes[start + 8..start + 12].copy_from_slice(&header.sequence.to_ne_bytes());
    }

    /// A single request.
    pub(crate) fn one(header: Header, write: impl FnOnce(&mut Body)) -> Self {
        let mut requests = Self::default();
        requests.add(header, write);
        requests
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Subsystem in the upper byte and message in the lower; or a generic family's number.
    pub(crate) kind: u16,
    /// Beyond `NLM_F_REQUEST`.
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// What the fixed header begins with: an address family or `NFPROTO_*`; or a generic family's command.
    pub(crate) selector: u8,
}

/// The attributes of a request.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Body<'_> {
    /// Bytes that are no attribute: a family's own fixed header.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    pub(crate) fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        let start = self.open(kind | NESTED);
        write(self);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; ATTRIBUTE_HEADER_BYTES]);
        self.bytes[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        #[expect(clippy::cast_possible_truncation, reason = "an attribute of ours is at most a tuple")]
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }
}
