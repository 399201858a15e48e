//! Settings under which a workload is simulated.

use plimsoll_model::{Buckets, Capacity, Timeout};
use plimsoll_twin::{Capabilities, Events, HostSettings, Settings};

/// One host with one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What holds for the host, and the seed of all that the kernel would draw.
    pub host: HostSettings,
    /// What holds for the namespace. Whether translation is at work follows from the workload.
    pub settings: Settings,
}

/// Why a sysctl is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSet {
    /// The name is none that decides what tracking does.
    #[error("a simulation knows no such sysctl: name one below net.netfilter.nf_conntrack_")]
    Unknown,
    /// The kernel takes no such value.
    #[error("it takes {least} to {most}")]
    OutOfRange {
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
}

impl Setup {
    /// What a kernel sets on a host with more than 4 GiB.
    pub fn stock(capabilities: Capabilities, seed: u64) -> Self {
        Self { host: HostSettings::stock(capabilities, seed), settings: Settings::default() }
    }

    /// Sets what a sysctl sets, by its full name with dots: `net.netfilter.nf_conntrack_max`.
    pub fn set(&mut self, sysctl: &str, value: u32) -> Result<(), NotSet> {
        let within = |least, most| match value {
            _ if (least..=most).contains(&value) => Ok(value),
            _ => Err(NotSet::OutOfRange { least, most }),
        };
        let switch = || within(0, 1).map(|value| value == 1);
        // The older name of the limit is still there.
        let name = match sysctl {
            "net.nf_conntrack_max" => "nf_conntrack_max",
            _ => sysctl.strip_prefix("net.netfilter.").ok_or(NotSet::Unknown)?,
        };
        let settings = &mut self.settings;
        match name {
            "nf_conntrack_max" => self.host.capacity = Capacity(within(0, MOST)?),
            "nf_conntrack_buckets" => {
                self.host.buckets = Buckets(within(1, MOST_BUCKETS)?.next_multiple_of(BUCKETS_A_PAGE));
            }
            "nf_conntrack_expect_max" => self.host.expect_max = within(1, MOST)?,
            "nf_conntrack_tcp_loose" => settings.tcp_loose = switch()?,
            "nf_conntrack_tcp_be_liberal" => settings.tcp_be_liberal = switch()?,
            "nf_conntrack_tcp_ignore_invalid_rst" => settings.tcp_ignore_invalid_rst = switch()?,
            // A byte since 5.14.
            "nf_conntrack_tcp_max_retrans" => settings.tcp_max_retrans = within(0, 255)?,
            "nf_conntrack_acct" => settings.accounting = switch()?,
            "nf_conntrack_timestamp" => settings.timestamps = switch()?,
            "nf_conntrack_events" => {
                settings.events = match within(0, 2)? {
                    0 => Events::Off,
                    1 => Events::Always,
                    _ => Events::Unheard,
                }
            }
            name => {
                let timeout = Timeout::all_with_sysctl().find(|timeout| timeout.sysctl() == Some(name));
                let timeout = timeout.ok_or(NotSet::Unknown)?;
                let own = (timeout, within(0, MOST)?);
                settings.timeouts = settings.timeouts.iter_secs().chain([own]).collect();
            }
        }
        Ok(())
    }
}

/// `proc_dointvec` takes no more.
const MOST: u32 = i32::MAX.cast_unsigned();
/// More than any host has: 2³⁰ pointers are 8 GiB.
const MOST_BUCKETS: u32 = 1 << 30;
/// The kernel rounds buckets up to whole pages (`nf_ct_alloc_hashtable`).
const BUCKETS_A_PAGE: u32 = 512;
