//! Network settings of the calling thread's namespace that decide how flows live.

use std::str::FromStr;

use plimsoll_model::NetworkSettings;

use crate::{Error, HostFs, Partial};

impl HostFs {
    /// The settings, as far as they may be read; `/proc/sys/net` shows the reading task's namespace. One that this
    /// kernel has not got is no error.
    pub fn network_settings(&self) -> Partial<NetworkSettings> {
        let mut reading = Settings { host: self, errors: Vec::new() };
        let read = NetworkSettings {
            syncookies: reading.number("ipv4/tcp_syncookies"),
            keepalive_time_secs: reading.number("ipv4/tcp_keepalive_time"),
            keepalive_interval_secs: reading.number("ipv4/tcp_keepalive_intvl"),
            keepalive_probes: reading.number("ipv4/tcp_keepalive_probes"),
            local_ports: reading.ports("ipv4/ip_local_port_range"),
            tcp_loose: reading.number("netfilter/nf_conntrack_tcp_loose").map(|number: u32| number != 0),
            tcp_be_liberal: reading.number("netfilter/nf_conntrack_tcp_be_liberal").map(|number: u32| number != 0),
            helper: reading.number("netfilter/nf_conntrack_helper").map(|number: u32| number != 0),
        };
        Partial { read, errors: reading.errors }
    }
}

struct Settings<'a> {
    host: &'a HostFs,
    errors: Vec<Error>,
}

impl Settings<'_> {
    fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let read = self.host.read(&path(name)).and_then(|text| text.number());
        self.kept(read)
    }

    /// Two numbers, the least and the greatest.
    fn ports(&mut self, name: &str) -> Option<(u16, u16)> {
        let read = self.host.read(&path(name)).and_then(|text| {
            let line = text.lines().next().ok_or_else(|| text.error("is empty"))?;
            let [low, high] = line.words().collect::<Vec<_>>()[..] else {
                return Err(line.error(line.bytes(), "is no range of ports"));
            };
            Ok((line.number(low)?, line.number(high)?))
        });
        self.kept(read)
    }

    fn kept<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) if error.is_absent() => None,
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    #[test]
    fn settings_are_read_as_the_kernel_shows_them() {
        let Partial { read, errors } = fixture("kernel-6.18").network_settings();
        assert!(errors.is_empty(), "{errors:?}");
        let expected = NetworkSettings {
            syncookies: Some(1),
            keepalive_time_secs: Some(7200),
            keepalive_interval_secs: Some(75),
            keepalive_probes: Some(9),
            local_ports: Some((32_768, 60_999)),
            tcp_loose: Some(true),
            tcp_be_liberal: Some(false),
            helper: None,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_missing_is_no_error_and_what_makes_no_sense_is_one() {
        let tree = Tree::new();
        let Partial { read, errors } = tree.host().network_settings();
        assert_eq!((read, errors.len()), (NetworkSettings::default(), 0));
        tree.write("proc/sys/net/ipv4/tcp_syncookies", "-1\n");
        tree.write("proc/sys/net/ipv4/tcp_keepalive_time", b"\xff\n");
        for hostile in ["", "\n", "1\n", "1 2 3\n", "70000 1\n", "a b\n"] {
            tree.write("proc/sys/net/ipv4/ip_local_port_range", hostile);
            let Partial { read, errors } = tree.host().network_settings();
            assert_eq!((read, errors.len()), (NetworkSettings::default(), 3), "{hostile:?}");
        }
    }
}
