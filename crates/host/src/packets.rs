//! How many packets IP has handled in a network namespace.

use crate::columns::{Columns, Row};
use crate::text::Text;
use crate::{Error, HostFs, NetFiles};

impl HostFs {
    /// Packets received and sent by IPv4 and IPv6 since the namespace was made. Forwarded ones are counted when they
    /// come in. A kernel without IPv6 has no `snmp6` and no such packets.
    pub fn packets(&self, from: NetFiles) -> Result<u64, Error> {
        let snmp = self.read_net(from, "snmp")?;
        let v4 = ip(&snmp)?;
        match self.read_net(from, "snmp6") {
            Ok(text) => v4.checked_add(ip6(&text)?).ok_or_else(|| text.error(TOO_MANY)),
            Err(error) if error.is_absent() => Ok(v4),
            Err(error) => Err(error),
        }
    }
}

const TOO_MANY: &str = "counts more packets than 64 bits hold";

fn ip(text: &Text) -> Result<u64, Error> {
    let row = protocol(text, "Ip:")?;
    let received = row.number("InReceives")?;
    received.checked_add(row.number("OutRequests")?).ok_or_else(|| text.error(TOO_MANY))
}

/// The row of a protocol: `snmp` and `netstat` have two lines for each, one of names, one of values, both beginning with
/// the protocol's name.
pub(crate) fn protocol<'a>(text: &'a Text, name: &str) -> Result<Row<'a>, Error> {
    let mut lines = text.lines().filter(|line| line.words().next() == Some(name.as_bytes()));
    let (Some(header), Some(values)) = (lines.next(), lines.next()) else {
        return Err(text.error("does not have two lines for a protocol that every kernel counts"));
    };
    Columns::new(header.words()).row(values)
}

/// `snmp6` has a name and a value a line.
fn ip6(text: &Text) -> Result<u64, Error> {
    let received = named(text, "Ip6InReceives")?;
    received.checked_add(named(text, "Ip6OutRequests")?).ok_or_else(|| text.error(TOO_MANY))
}

fn named(text: &Text, name: &'static str) -> Result<u64, Error> {
    let mut found = text.lines().filter(|line| line.words().next() == Some(name.as_bytes()));
    let Some(line) = found.next() else {
        return Err(text.error(match name {
            "Ip6InReceives" => "has no line Ip6InReceives",
            _ => "has no line Ip6OutRequests",
        }));
    };
    match line.words().collect::<Vec<_>>()[..] {
        [_, value] => line.number(value),
        _ => Err(line.error(line.bytes(), "is not a name and a value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    const SNMP: &str = "proc/thread-self/net/snmp";
    const SNMP6: &str = "proc/thread-self/net/snmp6";

    #[test]
    fn packets_of_both_families_are_summed() {
        assert_eq!(fixture("kernel-6.18").packets(NetFiles::OfThread).unwrap(), 1799 + 1262 + 1 + 10);
    }

    #[test]
    fn columns_are_found_by_name_and_ipv6_may_be_missing() {
        let tree = Tree::new();
        tree.write(SNMP, "Icmp: InMsgs\nIcmp: 9\nIp: OutRequests Other InReceives\nIp: 5 100 7\n");
        assert_eq!(tree.host().packets(NetFiles::OfThread).unwrap(), 12);
        tree.write(SNMP6, "Ip6OutRequests 1\nIp6InReceives \t 2\n");
        assert_eq!(tree.host().packets(NetFiles::OfThread).unwrap(), 15);
    }

    #[test]
    fn hostile_content_is_an_error() {
        let good = "Ip: InReceives OutRequests\nIp: 1 2\n";
        for (snmp, snmp6) in [
            ("", ""),
            ("Ip: InReceives OutRequests\n", ""),
            ("Ip: InReceives OutRequests\nIp: 1\n", ""),
            ("Ip: InReceives OutRequests\nIp: 18446744073709551615 1\n", ""),
            ("Ip: InReceives\nIp: 1\n", ""),
            (good, ""),
            (good, "Ip6InReceives 1\n"),
            (good, "Ip6InReceives\nIp6OutRequests 1\n"),
            (good, "Ip6InReceives -1\nIp6OutRequests 1\n"),
            (good, "Ip6InReceives 18446744073709551615\nIp6OutRequests 0\n"),
        ] {
            let tree = Tree::new();
            tree.write(SNMP, snmp);
            tree.write(SNMP6, snmp6);
            assert!(tree.host().packets(NetFiles::OfThread).is_err(), "{snmp:?} {snmp6:?}");
        }
    }
}
