//! How many messages the kernel dropped for a socket, as `/proc/net/netlink` tells it (`netlink_native_seq_show`).

use std::fs;
use std::io;

/// The netlink sockets of the calling thread's network namespace. `/proc/net` would be the first thread's.
pub(crate) const FILE: &str = "/proc/thread-self/net/netlink";

/// What tells one socket from all others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketName {
    /// `NETLINK_*`.
    pub(crate) protocol: u32,
    /// The netlink port: of this protocol and namespace.
    pub(crate) port: u32,
    /// Of the socket itself: two namespaces may have the same port.
    pub(crate) inode: u64,
}

/// The drops of a socket; `None` where the file is not there or does not list it.
pub(crate) fn dropped(socket: SocketName) -> io::Result<Option<u64>> {
    match fs::read_to_string(FILE) {
        Ok(text) => find(&text, socket),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds the columns by the words above them, since kernels have had more and fewer.
fn find(text: &str, socket: SocketName) -> io::Result<Option<u64>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let column = |name: &str| header.iter().position(|word| *word == name).ok_or_else(|| wrong(name));
    let [protocol, port, drops, inode] = [column("Eth")?, column("Pid")?, column("Drops")?, column("Inode")?];
    for line in lines {
        let cell = |column: usize| line.split_whitespace().nth(column);
        let is = |column: usize, number: u64| cell(column).and_then(|word| word.parse().ok()) == Some(number);
        if is(port, socket.port.into()) && is(protocol, socket.protocol.into()) && is(inode, socket.inode) {
            return cell(drops).and_then(|word| word.parse().ok()).map(Some).ok_or_else(|| wrong("Drops"));
        }
    }
    Ok(None)
}

fn wrong(column: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no number in a column {column}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]
    use super::*;

    const OURS: SocketName = SocketName { protocol: 12, port: 4_000_000_001, inode: 77 };

    #[test]
    fn the_row_is_told_by_protocol_port_and_inode_and_columns_by_their_names() {
        let text = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
                    00000000e288ddb6 0   4000000001 00000000 0        0        0     2        1        77\n\
                    00000000e288ddb6 12  4000000001 00000007 0        0        0     2        2        78\n\
                    00000000e288ddb6 12  4000000001 00000007 0        0        0     2        3        77\n";
        assert_eq!(find(text, OURS).unwrap(), Some(3));
        assert_eq!(find("Inode Drops Eth Pid\n77 9 12 4000000001\n", OURS).unwrap(), Some(9));
        assert_eq!(find("sk Eth Pid Drops Inode\n", OURS).unwrap(), None);
    }

    #[test]
    fn what_is_no_such_table_is_an_error_and_not_zero() {
        for text in ["", "sk Eth Pid Inode\n", "Eth Pid Drops Inode\n12 4000000001 -1 77\n"] {
            let error = find(text, OURS).unwrap_err();
            assert_eq!(
                error.to_string(),
                "no number in a column Drops".replace("Drops", if text.is_empty() { "Eth" } else { "Drops" })
            );
        }
    }
}
