//! The version that is in a program's file.

use std::io::Read;

use crate::{Program, Version};

/// The version that a program's file tells of itself. Nothing is executed: it is text that is in the file anyway.
///
/// NGINX and `OpenResty` have `nginx/1.22.1` there, for the field `Server`; `HAProxy` has ` version 2.6.12, released ` for its page of statistics, unless it
/// was built without. Nothing where there is none in the first 64 MiB, where the time is over, and for Envoy, whose defaults are the same in all versions that are read.
pub fn version_in(program: Program, file: impl Read, is_late: &dyn Fn() -> bool) -> Option<Version> {
    const MOST_BYTES: u64 = 64 << 20;
    const AT_ONCE: u64 = 64 << 10;
    /// More than a version with what is around it has.
    const LONGEST: usize = 128;
    let first = match program {
        Program::Nginx => of_nginx,
        Program::Haproxy => of_haproxy,
        Program::Envoy => return None,
    };
    let mut file = file.take(MOST_BYTES);
    let mut window = Vec::new();
    while !is_late() {
        let read = file.by_ref().take(AT_ONCE).read_to_end(&mut window).ok()?;
        if let Some(version) = first(&window) {
            return Some(version);
        }
        if read == 0 {
            return None;
        }
        // One that was cut is whole with what follows.
        window.drain(..window.len().saturating_sub(LONGEST));
    }
    None
}

fn of_nginx(bytes: &[u8]) -> Option<Version> {
    const NAMES: [&[u8]; 2] = [b"nginx/", b"openresty/"];
    behind_each(bytes, b'/').find_map(|(before, behind)| {
        NAMES.iter().find(|name| before.ends_with(name))?;
        let length = behind.iter().position(|byte| *byte != b'.' && !byte.is_ascii_digit())?;
        version(behind.get(..length)?)
    })
}

/// `STATS_VERSION_STRING` in `HAProxy`'s `include/haproxy/defaults.h`.
fn of_haproxy(bytes: &[u8]) -> Option<Version> {
    const RELEASED: &[u8] = b", released ";
    behind_each(bytes, b' ').find_map(|(before, behind)| {
        before.ends_with(b" version ").then_some(())?;
        let length = behind.iter().position(|byte| *byte == b',' || !byte.is_ascii_graphic())?;
        behind.get(length..)?.starts_with(RELEASED).then_some(())?;
        version(behind.get(..length)?)
    })
}

/// What is before, with it, and what is behind each such byte.
fn behind_each(bytes: &[u8], mark: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    let marks = bytes.iter().enumerate().filter(move |(_, byte)| **byte == mark);
    marks.filter_map(|(at, _)| bytes.split_at_checked(at + 1))
}

fn version(text: &[u8]) -> Option<Version> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: Program, file: &[u8]) -> Option<Version> {
        version_in(program, file, &|| false)
    }

    #[test]
    fn a_version_is_found_wherever_it_is() {
        for before in [0, 1, 65_500, 65_530, 65_536, 131_060, 200_000] {
            for (program, mark, text) in [
                (Program::Nginx, b'/', "/etc/nginx/x\0nginx/1.29.7\0 nginx/1.2.3\0"),
                (Program::Haproxy, b' ', "\0 version 2.9\0 version 1.29.7-1~deb, released 2026/10/17\0"),
            ] {
                let file = [&vec![mark; before], text.as_bytes()].concat();
                assert_eq!(of(program, &file), Some(Version(1, 29, 7)), "{program:?} {before}");
            }
        }
        assert_eq!(of(Program::Nginx, b"openresty/1.25.3.1\0"), Some(Version(1, 25, 3)));
    }

    #[test]
    fn what_is_no_version_tells_of_none() {
        assert_eq!(of(Program::Nginx, b"nginx/conf nginx/ 1.2.3 mynginx"), None);
        for text in [
            "HAProxy version 2.6.12 2026/10/17",
            " version , released ",
            " version x, released 2026",
            " version 2.6.12, releas",
            " version 99999999999.1, released 2026",
        ] {
            assert_eq!(of(Program::Haproxy, text.as_bytes()), None, "{text}");
        }
        let file = [&[b' '; 4096], b" version 2.6.12, released 2026".as_slice()].concat();
        assert_eq!(of(Program::Haproxy, &file), Some(Version(2, 6, 12)));
        assert_eq!(version_in(Program::Haproxy, file.as_slice(), &|| true), None, "there is no time");
        assert_eq!(of(Program::Haproxy, &vec![b' '; 1 << 16]), None);
    }

    #[test]
    fn a_file_without_end_is_cut() {
        struct Endless(u64);
        impl Read for &mut Endless {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                buffer.fill(b' ');
                self.0 += buffer.len() as u64;
                Ok(buffer.len())
            }
        }
        let mut endless = Endless(0);
        assert_eq!(version_in(Program::Nginx, &mut endless, &|| false), None);
        assert!(endless.0 <= 64 << 20, "{}", endless.0);
    }
}
