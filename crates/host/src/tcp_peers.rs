//! Who is connected to this host, as its own TCP sockets tell.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Error, HostFs, NetFiles};

/// `TCP_ESTABLISHED` of `net/tcp_states.h`, as the files have it.
const ESTABLISHED: &[u8] = b"01";

impl HostFs {
    /// The addresses that have an established connection to a local port. Connections that are only forwarded have no socket, and are
    /// not among them.
    pub fn tcp_peers(&self, from: NetFiles, port: u16) -> Result<BTreeSet<IpAddr>, Error> {
        let mut peers = BTreeSet::new();
        for name in ["tcp", "tcp6"] {
            let text = match self.read_net(from, name) {
                // Without IPv6 there is no tcp6.
                Err(error) if error.is_absent() && name == "tcp6" => continue,
                text => text?,
            };
            for line in text.lines().skip(1) {
                let mut words = line.words().skip(1);
                let (Some(local), Some(remote), Some(state)) = (words.next(), words.next(), words.next()) else {
                    continue;
                };
                let socket = |word: &[u8]| socket(word).ok_or_else(|| line.error(word, "is no address and port"));
                if state == ESTABLISHED && socket(local)?.1 == port {
                    peers.insert(socket(remote)?.0);
                }
            }
        }
        Ok(peers)
    }
}

/// `0100007F:0016`: the address as the processor's own words of 32 bits (`tcp4_seq_show`), then the port.
fn socket(word: &[u8]) -> Option<(IpAddr, u16)> {
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

    /// As a machine with the least significant byte first shows them.
    #[cfg(target_endian = "little")]
    #[test]
    fn established_connections_to_a_port_are_told_by_their_peers() {
        let tree = Tree::new();
        tree.write(
            "proc/thread-self/net/tcp",
            "  sl  local_address rem_address   st tx_queue\n\
             \x20  0: 00000000:0016 00000000:0000 0A 0\n\
             \x20  1: 0100000A:0016 0200000A:C001 01 0\n\
             \x20  2: 0100000A:0050 0300000A:C001 01 0\n\
             \x20  3: 0100000A:0016 0400000A:C001 06 0\n",
        );
        tree.write(
            "proc/thread-self/net/tcp6",
            "  sl  local_address                         remote_address                        st\n\
             \x20  0: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:C001 01\n\
             \x20  1: 0000000000000000FFFF00000100000A:0016 0000000000000000FFFF00000500000A:C001 01\n",
        );
        let peers = tree.host().tcp_peers(NetFiles::OfThread, 22).unwrap();
        let expected = ["10.0.0.2", "10.0.0.5", "2001:db8::2"].map(|address| address.parse().unwrap());
        assert_eq!(peers, BTreeSet::from(expected));
        tree.write("proc/thread-self/net/tcp", "  sl\n   0: 0100:0016 0200000A:C001 01 0\n");
        assert!(tree.host().tcp_peers(NetFiles::OfThread, 22).is_err());
    }
}
