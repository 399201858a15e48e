//! Whether the rules of IP see what bridges carry.

use crate::{Error, HostFs};

/// Of the calling thread's namespace; before 5.3 one for all of them, which only the first shows. Without `br_netfilter` it is not there.
const CALLS_IPTABLES: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

impl HostFs {
    /// Whether frames with IPv4 that bridges of the calling thread's namespace carry come to the hooks of IP. A single bridge's own switch
    /// (`nf_call_iptables`) is not asked.
    pub fn hands_over_bridged_ipv4(&self) -> Result<bool, Error> {
        match self.read(CALLS_IPTABLES).and_then(|text| text.number::<u32>()) {
            Ok(calls) => Ok(calls != 0),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Tree;

    #[test]
    fn bridged_packets_come_to_rules_where_the_module_says_so() {
        let tree = Tree::new();
        assert!(!tree.host().hands_over_bridged_ipv4().unwrap());
        for (text, comes) in [("1\n", true), ("0\n", false)] {
            tree.write("proc/sys/net/bridge/bridge-nf-call-iptables", text);
            assert_eq!(tree.host().hands_over_bridged_ipv4().unwrap(), comes);
        }
        tree.write("proc/sys/net/bridge/bridge-nf-call-iptables", "yes\n");
        assert!(tree.host().hands_over_bridged_ipv4().is_err());
    }
}
