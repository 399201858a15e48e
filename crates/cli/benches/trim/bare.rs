//! A bare loop that dumps a table and deletes all of it in batches: what the kernel takes for that, and nothing more. Nothing
//! is parsed but where the tuple and the id lie, and both are sent back as they came.

use anyhow::{Context, ensure};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, netlink, recv, send, socket_with,
};

const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;
/// Requests in one datagram: as many as a batch of plimsoll's.
const BATCH: usize = 128;

const CT_NEW: u16 = 0x0100;
const CT_GET: u16 = 0x0101;
const CT_DELETE: u16 = 0x0102;
const REQUEST: u16 = 0x1;
const DUMP: u16 = 0x300;
const TUPLE_ORIG: u16 = 1;
const ID: u16 = 12;

/// Dumps and deletes.
pub(crate) fn delete_all() -> anyhow::Result<()> {
    let [dump, changes] = [socket()?, socket()?];
    let mut request = Vec::new();
    message(&mut request, CT_GET, REQUEST | DUMP, 0, &[]);
    send(&dump, &request, SendFlags::empty())?;
    let mut buffer = vec![0; 64 * 1024];
    let mut deletes = Vec::with_capacity(64 * 1024);
    loop {
        let (_, length) = recv(&dump, &mut *buffer, RecvFlags::TRUNC)?;
        let mut rest = buffer.get(..length).context("a datagram that is too large")?;
        let mut in_batch = 0;
        while let Some((kind, payload, behind)) = next(rest) {
            if kind != CT_NEW {
                return flush(&changes, &mut deletes);
            }
            let (family, attributes) =
                payload.split_at_checked(FAMILY_HEADER).context("a message that is too short")?;
            message(&mut deletes, CT_DELETE, REQUEST, family[0], attributes);
            in_batch += 1;
            if in_batch == BATCH {
                flush(&changes, &mut deletes)?;
                in_batch = 0;
            }
            rest = behind;
        }
        flush(&changes, &mut deletes)?;
    }
}

fn socket() -> rustix::io::Result<std::os::fd::OwnedFd> {
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::NETFILTER))?;
    connect(&fd, &netlink::SocketAddrNetlink::new(0, 0))?;
    Ok(fd)
}

/// Sends what was gathered, and makes sure that nothing was refused.
fn flush(changes: &std::os::fd::OwnedFd, deletes: &mut Vec<u8>) -> anyhow::Result<()> {
    if deletes.is_empty() {
        return Ok(());
    }
    send(changes, deletes, SendFlags::empty())?;
    deletes.clear();
    let refused = recv(changes, &mut [0_u8; 4096], RecvFlags::DONTWAIT);
    ensure!(matches!(refused, Err(Errno::AGAIN)), "a deletion was refused");
    Ok(())
}

/// The first message: its type, what it holds, and what is behind it.
fn next(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let [l0, l1, l2, l3, k0, k1, ..] = *bytes.first_chunk::<HEADER>()?;
    let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
    Some((u16::from_ne_bytes([k0, k1]), bytes.get(HEADER..length)?, bytes.get((length + 3) & !3..).unwrap_or_default()))
}

/// Writes a message, of its attributes only those that name an entry.
fn message(to: &mut Vec<u8>, kind: u16, flags: u16, family: u8, mut attributes: &[u8]) {
    let start = to.len();
    to.extend_from_slice(&[0; HEADER]);
    to.extend_from_slice(&[family, 0, 0, 0]);
    while let Some([l0, l1, k0, k1]) = attributes.first_chunk() {
        let length = (usize::from(u16::from_ne_bytes([*l0, *l1])) + 3) & !3;
        let Some((attribute, behind)) = attributes.split_at_checked(length).filter(|_| length > 0) else { break };
        if matches!(u16::from_ne_bytes([*k0, *k1]) & 0x3fff, TUPLE_ORIG | ID) {
            to.extend_from_slice(attribute);
        }
        attributes = behind;
    }
    let length = u32::try_from(to.len() - start).unwrap_or(u32::MAX);
    to[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    to[start + 4..start + 6].copy_from_slice(&kind.to_ne_bytes());
    to[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
}
