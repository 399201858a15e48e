//! How TCP fares in a network namespace, by what its own sockets count.

use crate::packets::protocol;
use crate::{Error, HostFs, NetFiles};

/// Counts of a namespace's own TCP sockets since it was made. Connections that it only forwards are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCounts {
    /// Segments sent (`OutSegs`).
    pub sent_segments: u64,
    /// Segments sent again (`RetransSegs`).
    pub retransmitted_segments: u64,
    /// Connections that were reset while they were open (`EstabResets`).
    pub resets: u64,
    /// Retransmission timers that ran out (`TCPTimeouts`).
    pub timeouts: u64,
}

impl HostFs {
    /// The counts, from `snmp` and `netstat` (RFC 4022, and Linux's own beside it).
    pub fn tcp_counts(&self, from: NetFiles) -> Result<TcpCounts, Error> {
        let (snmp, netstat) = (self.read_net(from, "snmp")?, self.read_net(from, "netstat")?);
        let (tcp, extended) = (protocol(&snmp, "Tcp:")?, protocol(&netstat, "TcpExt:")?);
        Ok(TcpCounts {
            sent_segments: tcp.number("OutSegs")?,
            retransmitted_segments: tcp.number("RetransSegs")?,
            resets: tcp.number("EstabResets")?,
            timeouts: extended.number("TCPTimeouts")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn counts_are_found_by_name() {
        let tree = Tree::new();
        // `MaxConn` is -1, which is no count.
        tree.write(
            "proc/thread-self/net/snmp",
            "Ip: A\nIp: 1\nTcp: MaxConn RetransSegs OutSegs EstabResets\nTcp: -1 3 400 5\n",
        );
        tree.write("proc/thread-self/net/netstat", "TcpExt: X TCPTimeouts\nTcpExt: 1 7\nIpExt: Y\nIpExt: 2\n");
        let expected = TcpCounts { sent_segments: 400, retransmitted_segments: 3, resets: 5, timeouts: 7 };
        assert_eq!(tree.host().tcp_counts(NetFiles::OfThread).unwrap(), expected);
        tree.write("proc/thread-self/net/netstat", "TcpExt: X\nTcpExt: 1\n");
        assert!(tree.host().tcp_counts(NetFiles::OfThread).is_err());
    }
}
