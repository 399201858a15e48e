//! Settings under which a workload is simulated.

use plimsoll_model::{Buckets, Capacity, Sysctl};
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

    /// Sets what a sysctl sets.
    pub fn set(&mut self, sysctl: Sysctl, value: u32) -> Result<(), NotSet> {
        let within = |least, most| match value {
            _ if (least..=most).contains(&value) => Ok(value),
            _ => Err(NotSet::OutOfRange { least, most }),
        };
        let switch = || within(0, 1).map(|value| value == 1);
        let settings = &mut self.settings;
        match sysctl {
            Sysctl::CAPACITY => self.host.capacity = Capacity(within(0, MOST)?),
            Sysctl::BUCKETS => {
                let buckets = Buckets::in_whole_pages(within(1, MOST_BUCKETS)?);
                self.host.buckets = buckets.unwrap_or(self.host.buckets);
            }
            Sysctl::EXPECT_MAX => self.host.expect_max = within(1, MOST)?,
            Sysctl::TCP_LOOSE => settings.tcp_loose = switch()?,
            Sysctl::TCP_BE_LIBERAL => settings.tcp_be_liberal = switch()?,
            Sysctl::TCP_IGNORE_INVALID_RST => settings.tcp_ignore_invalid_rst = switch()?,
            // A byte since 5.14.
            Sysctl::TCP_MAX_RETRANS => settings.tcp_max_retrans = within(0, 255)?,
            Sysctl::ACCOUNTING => settings.accounting = switch()?,
            Sysctl::TIMESTAMP => settings.timestamps = switch()?,
            Sysctl::EVENTS => {
                settings.events = match within(0, 2)? {
                    0 => Events::Off,
                    1 => Events::Always,
                    _ => Events::Unheard,
                }
            }
            other => {
                let own = (other.timeout().ok_or(NotSet::Unknown)?, within(0, MOST)?);
                settings.timeouts = settings.timeouts.iter_secs().chain([own]).collect();
            }
        }
        Ok(())
    }

    /// What a sysctl would show; `None` where it does not decide what is simulated.
    pub fn get(&self, sysctl: Sysctl) -> Option<u32> {
        let settings = &self.settings;
        Some(match sysctl {
            Sysctl::CAPACITY => self.host.capacity.0,
            Sysctl::BUCKETS => self.host.buckets.0,
            Sysctl::EXPECT_MAX => self.host.expect_max,
            Sysctl::TCP_LOOSE => settings.tcp_loose.into(),
            Sysctl::TCP_BE_LIBERAL => settings.tcp_be_liberal.into(),
            Sysctl::TCP_IGNORE_INVALID_RST => settings.tcp_ignore_invalid_rst.into(),
            Sysctl::TCP_MAX_RETRANS => settings.tcp_max_retrans,
            Sysctl::ACCOUNTING => settings.accounting.into(),
            Sysctl::TIMESTAMP => settings.timestamps.into(),
            Sysctl::EVENTS => match settings.events {
                Events::Off => 0,
                Events::Always => 1,
                Events::Unheard | Events::Heard => 2,
            },
            other => {
                let timeout = other.timeout()?;
                settings.timeouts.get_secs(timeout).or(timeout.compiled_default_secs())?
            }
        })
    }

    /// All that can be set.
    pub fn sysctls() -> impl Iterator<Item = Sysctl> {
        Sysctl::all().filter(|sysctl| !NOT_SIMULATED.contains(sysctl))
    }
}

/// Listeners are not simulated, and no helper by its port alone.
const NOT_SIMULATED: [Sysctl; 2] = [Sysctl::HELPER, Sysctl::SYNCOOKIES];

/// `proc_dointvec` takes no more.
const MOST: u32 = i32::MAX.cast_unsigned();
/// More than any host has: 2³⁰ pointers are 8 GiB.
const MOST_BUCKETS: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_in_force_and_nothing_else_changes() {
        let stock = Setup::stock(Capabilities::LINUX_6_18, 1);
        for sysctl in Setup::sysctls() {
            let mut setup = stock.clone();
            assert_eq!(setup.get(Sysctl::SYNCOOKIES), None);
            let value = u32::from(setup.get(sysctl) != Some(1));
            setup.set(sysctl, value).unwrap_or_else(|error| panic!("{sysctl}: {error}"));
            for other in Setup::sysctls().filter(|other| *other != sysctl) {
                assert_eq!(setup.get(other), stock.get(other), "{sysctl} changes {other}");
            }
            let expected = if sysctl == Sysctl::BUCKETS { Buckets::A_PAGE } else { value };
            assert_eq!(setup.get(sysctl), Some(expected), "{sysctl}");
        }
    }
}
