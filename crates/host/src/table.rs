//! The table of the calling thread's network namespace: entries, limits, timeouts.

use plimsoll_model::{Buckets, Capacity, Occupancy, Sysctl, Timeout, Timeouts};

use crate::text::Text;
use crate::{Error, HostFs, Partial};

impl HostFs {
    /// `nf_conntrack_count`: entries of this namespace, the expired ones that are not freed yet among them.
    pub fn occupancy(&self) -> Result<Occupancy, Error> {
        self.netfilter("nf_conntrack_count").map(Occupancy)
    }

    /// `nf_conntrack_max`: global, and applied to each namespace's own count.
    pub fn capacity(&self) -> Result<Capacity, Error> {
        self.netfilter("nf_conntrack_max").map(Capacity)
    }

    /// `nf_conntrack_buckets`: chains of the one table that all namespaces share.
    pub fn buckets(&self) -> Result<Buckets, Error> {
        self.netfilter("nf_conntrack_buckets").map(Buckets)
    }

    /// `nf_conntrack_expect_max`: the limit of expectations, global.
    pub fn expect_max(&self) -> Result<u32, Error> {
        self.netfilter("nf_conntrack_expect_max")
    }

    /// Expectations waiting in this namespace: the lines of `nf_conntrack_expect`, which only root may read, and
    /// which kernels without `CONFIG_NF_CONNTRACK_PROCFS` do not have. (No file shows their number.)
    pub fn expectations(&self) -> Result<u32, Error> {
        let text = self.read("/proc/thread-self/net/nf_conntrack_expect")?;
        u32::try_from(text.lines().count()).map_err(|_| text.error("has too many lines"))
    }

    /// The timeouts in force, in seconds. One that only some kernels have and this one has not is no error.
    pub fn timeouts(&self) -> Partial<Timeouts> {
        let mut read = Vec::new();
        let mut errors = Vec::new();
        for timeout in Timeout::all_with_sysctl() {
            let Some(name) = timeout.sysctl() else { continue };
            match self.read(&sysctl_path(name)).and_then(|text| text.number::<u32>()) {
                Ok(secs) => read.push((timeout, secs)),
                Err(error) if error.is_absent() && !timeout.is_on_every_kernel() => {}
                Err(error) => errors.push(error),
            }
        }
        Partial { read: read.into_iter().collect(), errors }
    }

    /// A sysctl, in the calling thread's network namespace.
    pub fn sysctl(&self, sysctl: Sysctl) -> Result<u32, Error> {
        limit(&self.read(&format!("/proc/sys/{}", sysctl.path()))?)
    }

    fn netfilter(&self, name: &str) -> Result<u32, Error> {
        limit(&self.read(&sysctl_path(name))?)
    }
}

fn sysctl_path(name: &str) -> String {
    format!("/proc/sys/net/netfilter/{name}")
}

/// The kernel keeps its limits as `unsigned int` but most versions show them through `proc_dointvec`, as signed: a
/// limit of 4,294,967,295 is written, and shown, as -1 (`net/netfilter/nf_conntrack_standalone.c`).
fn limit(text: &Text) -> Result<u32, Error> {
    text.number::<u32>().or_else(|error| text.number::<i32>().map(i32::cast_unsigned).map_err(|_| error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};
    use plimsoll_model::{SctpState, TcpState};

    #[test]
    fn a_table_is_read_as_the_kernel_shows_it() {
        let host = fixture("kernel-6.18");
        assert_eq!(host.occupancy().unwrap(), Occupancy(87));
        assert_eq!(host.capacity().unwrap(), Capacity(262_144));
        assert_eq!(host.buckets().unwrap(), Buckets(262_144));
        assert_eq!(host.expect_max().unwrap(), 4096);
        assert_eq!(host.expectations().unwrap(), 2);
    }

    #[test]
    fn timeouts_that_a_kernel_lacks_are_unknown_and_only_some_of_them_are_errors() {
        let Partial { read, errors } = fixture("kernel-6.18").timeouts();
        assert_eq!(read.get_secs(Timeout::Tcp(TcpState::Established)), Some(432_000));
        assert_eq!(read.get_secs(Timeout::Sctp(SctpState::HeartbeatAcked)), None);
        assert!(errors.is_empty(), "{errors:?}");

        let tree = Tree::new();
        tree.write("proc/sys/net/netfilter/nf_conntrack_udp_timeout", "30\n");
        tree.write("proc/sys/net/netfilter/nf_conntrack_generic_timeout", "99999999999\n");
        let Partial { read, errors } = tree.host().timeouts();
        assert_eq!(read.iter_secs().collect::<Vec<_>>(), [(Timeout::Udp, 30)]);
        let missing = Timeout::all_with_sysctl().filter(|timeout| timeout.is_on_every_kernel()).count() - 1;
        assert_eq!(errors.len(), missing);
        assert_eq!(errors.iter().filter(|error| !error.is_absent()).count(), 1, "the one that is no u32");
    }

    #[test]
    fn a_limit_above_the_signed_range_is_shown_negative_and_read_right() {
        let tree = Tree::new();
        let max = "proc/sys/net/netfilter/nf_conntrack_max";
        for (shown, read) in [("-1\n", Some(u32::MAX)), ("0\n", Some(0)), ("4294967295", Some(u32::MAX))] {
            tree.write(max, shown);
            assert_eq!(tree.host().capacity().ok(), read.map(Capacity), "{shown:?}");
        }
        for hostile in [b"".as_slice(), b"\n", b"12 13", b"0x10", b"1e3", b"\xff\xfe", b"99999999999999999999999"] {
            tree.write(max, hostile);
            assert!(tree.host().capacity().is_err(), "{hostile:?}");
        }
    }
}
