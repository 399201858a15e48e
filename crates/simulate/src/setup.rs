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
            _ => sysctl.strip_prefix(PREFIX).ok_or(NotSet::Unknown)?,
        };
        let settings = &mut self.settings;
        match name {
            "nf_conntrack_max" => self.host.capacity = Capacity(within(0, MOST)?),
            "nf_conntrack_buckets" => {
                let buckets = Buckets::in_whole_pages(within(1, MOST_BUCKETS)?);
                self.host.buckets = buckets.unwrap_or(self.host.buckets);
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

    /// What a sysctl would show; `None` where there is none of that name, or nothing decides what tracking does.
    pub fn get(&self, sysctl: &str) -> Option<u32> {
        let name = match sysctl {
            "net.nf_conntrack_max" => "nf_conntrack_max",
            _ => sysctl.strip_prefix(PREFIX)?,
        };
        let settings = &self.settings;
        Some(match name {
            "nf_conntrack_max" => self.host.capacity.0,
            "nf_conntrack_buckets" => self.host.buckets.0,
            "nf_conntrack_expect_max" => self.host.expect_max,
            "nf_conntrack_tcp_loose" => settings.tcp_loose.into(),
            "nf_conntrack_tcp_be_liberal" => settings.tcp_be_liberal.into(),
            "nf_conntrack_tcp_ignore_invalid_rst" => settings.tcp_ignore_invalid_rst.into(),
            "nf_conntrack_tcp_max_retrans" => settings.tcp_max_retrans,
            "nf_conntrack_acct" => settings.accounting.into(),
            "nf_conntrack_timestamp" => settings.timestamps.into(),
            "nf_conntrack_events" => match settings.events {
                Events::Off => 0,
                Events::Always => 1,
                Events::Unheard | Events::Heard => 2,
            },
            name => {
                let timeout = Timeout::all_with_sysctl().find(|timeout| timeout.sysctl() == Some(name))?;
                settings.timeouts.get_secs(timeout).or(timeout.compiled_default_secs())?
            }
        })
    }

    /// The full names of all that can be set.
    pub fn sysctls() -> impl Iterator<Item = String> {
        let timeouts = Timeout::all_with_sysctl().filter_map(Timeout::sysctl);
        OTHERS.into_iter().chain(timeouts).map(|name| format!("{PREFIX}{name}"))
    }
}

const PREFIX: &str = "net.netfilter.";

/// `proc_dointvec` takes no more.
const MOST: u32 = i32::MAX.cast_unsigned();
/// More than any host has: 2³⁰ pointers are 8 GiB.
const MOST_BUCKETS: u32 = 1 << 30;

/// What has a sysctl and is no timeout.
const OTHERS: [&str; 10] = [
    "nf_conntrack_max",
    "nf_conntrack_buckets",
    "nf_conntrack_expect_max",
    "nf_conntrack_tcp_loose",
    "nf_conntrack_tcp_be_liberal",
    "nf_conntrack_tcp_ignore_invalid_rst",
    "nf_conntrack_tcp_max_retrans",
    "nf_conntrack_acct",
    "nf_conntrack_timestamp",
    "nf_conntrack_events",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_in_force_and_nothing_else_changes() {
        let stock = Setup::stock(Capabilities::LINUX_6_18, 1);
        for sysctl in Setup::sysctls() {
            let mut setup = stock.clone();
            assert_eq!(setup.get("net.netfilter.nf_conntrack_count"), None);
            let value = u32::from(setup.get(&sysctl) != Some(1));
            setup.set(&sysctl, value).unwrap_or_else(|error| panic!("{sysctl}: {error}"));
            for other in Setup::sysctls().filter(|other| *other != sysctl) {
                assert_eq!(setup.get(&other), stock.get(&other), "{sysctl} changes {other}");
            }
            let expected = if sysctl.ends_with("_buckets") { Buckets::A_PAGE } else { value };
            assert_eq!(setup.get(&sysctl), Some(expected), "{sysctl}");
        }
    }
}
