//! BPF maps by name, through bpf(2).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::Error;

/// A BPF map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) id: u32,
    /// At most 15 bytes: the kernel has room for no more.
    pub(crate) name: Vec<u8>,
    pub(crate) max_entries: u32,
}

/// Every map of the host whose name begins with one of these. A map that goes away meanwhile is passed over. EPERM
/// where `CAP_SYS_ADMIN` is missing; no maps on a kernel without bpf(2).
pub(crate) fn maps_named(prefixes: &[&str]) -> Result<Vec<Map>, Error> {
    list(prefixes).map_err(|source| Error::System { action: "list the", path: "BPF maps".into(), source })
}

fn list(prefixes: &[&str]) -> io::Result<Vec<Map>> {
    let mut found = Vec::new();
    let mut id = 0;
    while let Some(next) = next_id(id)? {
        id = next;
        let Some(map) = open(id)?.map(|file| describe(&file, id)).transpose()? else { continue };
        if prefixes.iter().any(|prefix| map.name.starts_with(prefix.as_bytes())) {
            found.push(map);
        }
    }
    Ok(found)
}

// The commands and their attributes are of include/uapi/linux/bpf.h.
const BPF_MAP_GET_NEXT_ID: libc::c_int = 12;
const BPF_MAP_GET_FD_BY_ID: libc::c_int = 14;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_F_RDONLY: u32 = 1 << 3;

/// The id after this one, and `None` after the last.
fn next_id(start_id: u32) -> io::Result<Option<u32>> {
    #[repr(C)]
    struct GetNextId {
        start_id: u32,
        next_id: u32,
        open_flags: u32,
    }
    let mut attributes = GetNextId { start_id, next_id: 0, open_flags: 0 };
    match bpf(BPF_MAP_GET_NEXT_ID, &mut attributes) {
        Ok(_) => Ok(Some(attributes.next_id)),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::NOSYS)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a map for reading; `None` if it is gone.
fn open(map_id: u32) -> io::Result<Option<OwnedFd>> {
    #[repr(C)]
    struct GetFdById {
        map_id: u32,
        next_id: u32,
        open_flags: u32,
    }
    match bpf(BPF_MAP_GET_FD_BY_ID, &mut GetFdById { map_id, next_id: 0, open_flags: BPF_F_RDONLY }) {
        Ok(file) => Ok(Some(own(file))),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn describe(file: &OwnedFd, id: u32) -> io::Result<Map> {
    /// The beginning of `struct bpf_map_info`: the kernel fills as much as it is given room for.
    #[repr(C)]
    #[derive(Default)]
    struct MapInfo {
        kind: u32,
        id: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        name: [u8; 16],
    }
    #[repr(C)]
    struct GetInfo {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    let mut info = MapInfo::default();
    let mut attributes = GetInfo {
        bpf_fd: file.as_raw_fd().cast_unsigned(),
        info_len: u32::try_from(size_of::<MapInfo>()).unwrap_or(0),
        info: (&raw mut info).expose_provenance() as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes)?;
    let name = info.name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Ok(Map { id, name, max_entries: info.max_entries })
}

/// The system call; what it returns is not negative.
///
/// Private to this file, and every caller gives a `#[repr(C)]` struct that is laid out as the command's part of
/// `union bpf_attr`, without padding.
#[allow(unsafe_code)]
fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<RawFd> {
    // SAFETY: `attributes` is valid for reads and writes of its size, and initialised without padding. The one pointer
    // that a command takes, `GetInfo::info`, points to a `MapInfo` that outlives the call and has `info_len` bytes, any
    // content of which is valid.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    match RawFd::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

#[allow(unsafe_code)]
fn own(file: RawFd) -> OwnedFd {
    // SAFETY: bpf(2) has just returned it for a command that opens a file, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(file) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostFs;
    use plimsoll_model::{Elsewhere, Untrusted};

    /// Makes a hash map, which is gone when it is closed.
    fn create(name: &str, max_entries: u32) -> OwnedFd {
        #[repr(C)]
        struct Create {
            map_type: u32,
            key_size: u32,
            value_size: u32,
            max_entries: u32,
            map_flags: u32,
            inner_map_fd: u32,
            numa_node: u32,
            map_name: [u8; 16],
        }
        let mut map_name = [0; 16];
        map_name.iter_mut().zip(name.bytes().take(15)).for_each(|(to, from)| *to = from);
        let (map_flags, inner_map_fd, numa_node) = (0, 0, 0);
        let mut attributes = Create {
            map_type: 1,
            key_size: 4,
            value_size: 4,
            max_entries,
            map_flags,
            inner_map_fd,
            numa_node,
            map_name,
        };
        own(bpf(0, &mut attributes).expect("tests of BPF maps need root"))
    }

    #[test]
    fn maps_are_found_by_the_beginning_of_their_name_and_are_gone_when_closed() {
        let cilium = create("cilium_ct4_global", 4711);
        let calls = create("cilium_calls_1", 4712);
        let found = maps_named(&["cilium_ct"]).unwrap();
        let map = found.iter().find(|map| map.max_entries == 4711).unwrap();
        assert_eq!(map.name, b"cilium_ct4_glob");
        assert!(found.iter().all(|map| map.max_entries != 4712), "{found:?}");

        let trackers = HostFs::new().elsewhere().found;
        let name = Untrusted::from("cilium_ct4_glob");
        assert!(trackers.contains(&Elsewhere::BpfMap { id: map.id, name, max_entries: 4711 }), "{trackers:?}");

        drop((cilium, calls));
        // The kernel frees a map some time after its last file is closed.
        let deadline = crate::monotonic_now() + std::time::Duration::from_secs(10);
        while maps_named(&["cilium_ct"]).unwrap().contains(map) {
            assert!(crate::monotonic_now() < deadline, "the map is still there");
            std::thread::yield_now();
        }
    }
}
