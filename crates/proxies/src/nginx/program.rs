//! The version that is in NGINX's program file.

use std::io::Read;

use crate::Version;

/// The version that a program file of NGINX or `OpenResty` tells of itself: it has `nginx/1.22.1` in it, for the field `Server`. Nothing
/// where there is none in its first 64 MiB.
pub fn version_in(program: impl Read) -> Option<Version> {
    const MOST_BYTES: u64 = 64 << 20;
    /// More than a name and a version have.
    const LONGEST: usize = 64;
    let mut program = program.take(MOST_BYTES);
    let mut window = Vec::new();
    loop {
        let read = program.by_ref().take(64 << 10).read_to_end(&mut window).ok()?;
        if let Some(version) = first(&window) {
            return Some(version);
        }
        if read == 0 {
            return None;
        }
        // One that was cut is whole with what follows.
        window.drain(..window.len().saturating_sub(LONGEST));
    }
}

fn first(bytes: &[u8]) -> Option<Version> {
    const NAMES: [&[u8]; 2] = [b"nginx/", b"openresty/"];
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
    let mut versions = slashes.filter_map(|at| {
        let (before, behind) = bytes.split_at_checked(at)?;
        NAMES.iter().find(|name| before.ends_with(name))?;
        let length = behind.iter().position(|byte| *byte != b'.' && !byte.is_ascii_digit())?;
        str::from_utf8(behind.get(..length)?).ok()?.parse().ok()
    });
    versions.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_wherever_it_is() {
        for before in [0, 1, 65_530, 65_536, 131_060, 200_000] {
            let program = [&vec![b'/'; before], b"/etc/nginx/x\0nginx/1.29.7\0 nginx/1.2.3\0".as_slice()].concat();
            assert_eq!(version_in(program.as_slice()), Some(Version(1, 29, 7)), "{before}");
        }
        assert_eq!(version_in(b"openresty/1.25.3.1\0".as_slice()), Some(Version(1, 25, 3)));
        assert_eq!(version_in(b"nginx/conf nginx/ 1.2.3 mynginx".as_slice()), None);
    }
}
