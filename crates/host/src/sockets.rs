//! The sockets of a network namespace.
//!
//! They are read from `/proc/<pid>/net` and not by `sock_diag(7)`: asking that makes the kernel load modules (`tcp_diag`,
//! `udp_diag`), and the files take no right.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use plimsoll_model::{Protocol, SocketFamily, SocketState};

use crate::text::Line;
use crate::{Error, HostFs, NetFiles, monotonic_now};

/// A socket, or what the kernel keeps of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where it is bound: the unspecified address where it is to all.
    pub local: (IpAddr, u16),
    /// Its peer: port 0 where it has none.
    pub remote: (IpAddr, u16),
    /// Its state.
    pub state: SocketState,
    /// Its inode; 0 where no program holds it (`TIME_WAIT`, and connections that nobody has accepted yet).
    pub inode: u64,
}

/// Which sockets: each kind has files of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP, over IPv4 and IPv6.
    Tcp,
    /// UDP, over IPv4 and IPv6.
    Udp,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// Its number in packets.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::TCP,
            Self::Udp => Protocol::UDP,
        }
    }

    const fn file(self, family: SocketFamily) -> &'static str {
        match (self, family) {
            (Self::Tcp, SocketFamily::V4) => "tcp",
            (Self::Tcp, SocketFamily::V6) => "tcp6",
            (Self::Udp, SocketFamily::V4) => "udp",
            (Self::Udp, SocketFamily::V6) => "udp6",
        }
    }
}

/// How soon sockets are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Many at a time, which is quickest.
    InBulk,
    /// Each as soon as it is met. While the kernel looks for more to fill what it is asked for, it goes through its table, and what it has
    /// met may be gone meanwhile. It takes a call of read(2) for each.
    AtOnce,
}

impl Telling {
    /// What is read at once. Of TCP over IPv4 a line is 150 bytes (`TMPSZ` in `net/ipv4/tcp_ipv4.c`).
    const fn bytes(self) -> usize {
        match self {
            Self::InBulk => 1 << 16,
            Self::AtOnce => 150,
        }
    }
}

/// Which sockets of a namespace are read, and how.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// TCP's or UDP's.
    pub transport: Transport,
    /// Those for IPv4 or those for IPv6: each has a file.
    pub family: SocketFamily,
    /// How soon they are told.
    pub telling: Telling,
    /// The most that are read.
    pub most: usize,
}

/// How far a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// To the end: a socket that was not told is not there.
    Whole,
    /// To the most that was wished of a file.
    ToLimit,
    /// Until there was no time left.
    ToDeadline,
}

/// Lines between two looks at the clock: half a millisecond at most, but for UDP's files, whose reading is quadratic.
const LINES_A_LOOK: usize = 256;

impl HostFs {
    /// Reads sockets of a namespace, until `deadline` on the monotonic clock. Of TCP those that
    /// listen come first, the rest in the order of the kernel's keyed hash: the beginning of a file is a fair sample of it. The
    /// kernel gives a page at a time, and for UDP it counts from the table's beginning for each (`udp_get_idx`), so there the time grows with
    /// the square of their number. All namespaces share the table of TCP, which is walked whole for each.
    pub fn sockets(
        &self,
        from: NetFiles,
        Reads { transport, family, telling, most }: Reads,
        deadline: Duration,
        mut each: impl FnMut(Socket),
    ) -> Result<Extent, Error> {
        let path = self.path(&format!("{from}/{}", transport.file(family)));
        let failed = |source| Error::System { action: "read", path: path.clone(), source };
        let file = match File::open(&path).map_err(failed) {
            // Without IPv6 there is no tcp6.
            Err(error) if error.is_absent() && family == SocketFamily::V6 => return Ok(Extent::Whole),
            file => file?,
        };
        let mut lines = BufReader::with_capacity(telling.bytes(), file);
        let mut line = Vec::new();
        // The header is line 0.
        for number in 0.. {
            if number % LINES_A_LOOK == 0 && monotonic_now() >= deadline {
                return Ok(Extent::ToDeadline);
            }
            line.clear();
            if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            if number > most {
                return Ok(Extent::ToLimit);
            }
            if number > 0 {
                each(socket(Line::new(&path, number + 1, line.trim_ascii_end()), transport.protocol())?);
            }
        }
        Ok(Extent::Whole)
    }

    /// The addresses that have an established connection to a local port. Connections that are only forwarded have no socket, and are
    /// not among them.
    pub fn tcp_peers(&self, from: NetFiles, port: u16) -> Result<BTreeSet<IpAddr>, Error> {
        let mut peers = BTreeSet::new();
        for family in SocketFamily::ALL {
            let reads = Reads { transport: Transport::Tcp, family, telling: Telling::InBulk, most: usize::MAX };
            self.sockets(from, reads, Duration::MAX, |socket| {
                if socket.state == SocketState::Established && socket.local.1 == port {
                    peers.insert(socket.remote.0);
                }
            })?;
        }
        Ok(peers)
    }
}

/// The words are: number, local address, remote address, state, queues, timers, retransmissions, uid, timeout, inode
/// (`get_tcp4_sock` and its like; the header names the last ones `tr tm->when retrnsmt uid timeout inode`, two words a column at times).
fn socket(line: Line<'_>, protocol: Protocol) -> Result<Socket, Error> {
    const INODE: usize = 5;
    let mut words = line.words().skip(1);
    let mut word = || words.next().ok_or_else(|| line.error(line.bytes(), "is cut short"));
    let end = |word: &[u8]| end(word).ok_or_else(|| line.error(word, "is no address and port"));
    let (local, remote) = (end(word()?)?, end(word()?)?);
    let state = word()?;
    let number = std::str::from_utf8(state).ok().and_then(|state| u8::from_str_radix(state, 16).ok());
    let number = number.ok_or_else(|| line.error(state, "is no state"))?;
    let inode = words.nth(INODE).ok_or_else(|| line.error(line.bytes(), "is cut short"))?;
    Ok(Socket { protocol, local, remote, state: SocketState::from_number(number), inode: line.number(inode)? })
}

/// `0100007F:0016`: the address as the processor's own words of 32 bits (`tcp4_seq_show`), then the port.
fn end(word: &[u8]) -> Option<(IpAddr, u16)> {
    let (address, port) = std::str::from_utf8(word).ok()?.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        \x20  0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22846 1 0 100 0 0 10 0\n\
        \x20  1: 0100000A:0016 0200000A:C001 01 00000000:00000000 02:000A7B7B 00000000  1000        0 22999 2 0 20 4 30 10 -1\n\
        \x20  2: 0100000A:0050 0300000A:C001 08 00000000:00000000 00:00000000 00000000    33        0 23001 1 0 20 4 30 10 -1\n\
        \x20  3: 0100000A:0016 0400000A:C001 06 00000000:00000000 03:00000ABC 00000000     0        0 0 3 0\n";
    const TCP6: &str = "  sl  local_address                         remote_address                        st\n\
        \x20  0: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:C001 01 0:0 00:0 0 0 0 7 1 0\n\
        \x20  1: 0000000000000000FFFF00000100000A:0016 0000000000000000FFFF00000500000A:C001 01 0:0 00:0 0 0 0 8 1 0\n";

    fn tree() -> Tree {
        let tree = Tree::new();
        tree.write("proc/thread-self/net/tcp", TCP);
        tree.write("proc/thread-self/net/tcp6", TCP6);
        tree.write("proc/thread-self/net/udp", "  sl\n");
        tree
    }

    /// As a machine with the least significant byte first shows them.
    #[cfg(target_endian = "little")]
    #[test]
    fn sockets_are_told_with_their_state_and_inode() {
        let tree = tree();
        let mut sockets = Vec::new();
        for (family, telling) in [(SocketFamily::V4, Telling::InBulk), (SocketFamily::V6, Telling::AtOnce)] {
            let reads = Reads { transport: Transport::Tcp, family, telling, most: 100 };
            let all = tree.host().sockets(NetFiles::OfThread, reads, Duration::MAX, |socket| sockets.push(socket));
            assert_eq!(all.unwrap(), Extent::Whole);
        }
        let states: Vec<_> = sockets.iter().map(|socket| (socket.state, socket.inode, socket.local.1)).collect();
        let others = [
            (SocketState::Established, 22_999, 22),
            (SocketState::CloseWait, 23_001, 80),
            (SocketState::TimeWait, 0, 22),
        ];
        assert_eq!(states[0], (SocketState::Listen, 22_846, 22));
        assert_eq!(states[1..4], others);
        assert_eq!(sockets[2].remote, ("10.0.0.3".parse().unwrap(), 0xc001));
        assert_eq!(sockets[4].local.0, "2001:db8::1".parse::<IpAddr>().unwrap());

        let mut few = 0;
        let mut extent = |transport, family, most, deadline| {
            let reads = Reads { transport, family, telling: Telling::InBulk, most };
            tree.host().sockets(NetFiles::OfThread, reads, deadline, |_| few += 1).unwrap()
        };
        assert_eq!(extent(Transport::Tcp, SocketFamily::V4, 1, Duration::MAX), Extent::ToLimit);
        assert_eq!(extent(Transport::Tcp, SocketFamily::V6, 4, Duration::ZERO), Extent::ToDeadline);
        assert_eq!(extent(Transport::Udp, SocketFamily::V4, 1, Duration::MAX), Extent::Whole, "there is none");
        assert_eq!(extent(Transport::Udp, SocketFamily::V6, 1, Duration::MAX), Extent::Whole, "there is no file");
        assert_eq!(few, 1, "of one file one, and none when there is no time");
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn established_connections_to_a_port_are_told_by_their_peers() {
        let peers = tree().host().tcp_peers(NetFiles::OfThread, 22).unwrap();
        let expected = ["10.0.0.2", "10.0.0.5", "2001:db8::2"].map(|address| address.parse().unwrap());
        assert_eq!(peers, BTreeSet::from(expected));
    }

    #[test]
    fn what_is_no_socket_is_an_error() {
        let tree = tree();
        for line in ["0: 0100:0016 0200000A:C001 01 0", "0:", "0: 0100000A:0016 0200000A:C001 zz 0", "\u{ff}"] {
            tree.write("proc/thread-self/net/tcp", format!("  sl\n   {line}\n"));
            let reads =
                Reads { transport: Transport::Tcp, family: SocketFamily::V4, telling: Telling::InBulk, most: 9 };
            let read = tree.host().sockets(NetFiles::OfThread, reads, Duration::MAX, |_| {});
            assert!(read.is_err(), "{line}");
        }
    }
}
