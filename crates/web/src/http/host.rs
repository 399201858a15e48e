//! Whether a request is meant for this host: a guard against DNS rebinding.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a `Host` header names this host without asking DNS: by an address, as `localhost`, or by the name that the kernel
/// has for it.
pub(super) fn is_own(host: &str) -> bool {
    let name = name(host);
    is_address(name) || is_localhost(name) || is_nodename(name)
}

/// The name in a `Host` header: without the port, and without the dot that may end it.
pub(super) fn name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !is_half_an_address(name) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether the colon was one of an IPv6 address in brackets.
fn is_half_an_address(name: &str) -> bool {
    name.starts_with('[') && !name.ends_with(']')
}

fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.map_or_else(
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
        |bare| bare.parse::<Ipv6Addr>().is_ok(),
    )
}

/// RFC 6761: these names never leave the host.
fn is_localhost(name: &str) -> bool {
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    last.eq_ignore_ascii_case("localhost")
}

/// The kernel's name for this host, or the first part of it.
fn is_nodename(name: &str) -> bool {
    let uname = rustix::system::uname();
    let Ok(own) = uname.nodename().to_str() else { return false };
    let short = own.split_once('.').map_or(own, |(short, _)| short);
    !name.is_empty() && (name.eq_ignore_ascii_case(own) || name.eq_ignore_ascii_case(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_this_host_are_its_own() {
        let nodename = rustix::system::uname().nodename().to_str().unwrap().to_owned();
        let with_port = format!("{}:9630", nodename.to_uppercase());
        for own in [
            "127.0.0.1",
            "127.0.0.1:9630",
            "[::1]:9630",
            "[::1]",
            "localhost",
            "LocalHost:1",
            "a.localhost.",
            &nodename,
            &with_port,
        ] {
            assert!(is_own(own), "{own}");
        }
    }

    #[test]
    fn others_are_not() {
        for foreign in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "::1",
            "[::1",
            "[evil]",
            "1.2.3",
            "notlocalhost",
        ] {
            assert!(!is_own(foreign), "{foreign}");
        }
    }
}
