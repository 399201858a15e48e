//! A stateful filter in user space: whoever is inside may open flows, and from outside comes only what belongs to them.
//!
//! It stands between two TUN devices, and the twin is its table. To try it, as root, with a namespace for each side:
//!
//!     ip netns add in && ip netns add out
//!     cargo run --release -p plimsoll-twin --example filter -- inside outside &
//!     ip link set inside netns in && ip -n in addr add 10.9.0.1/24 dev inside && ip -n in link set inside up
//!     ip link set outside netns out && ip -n out addr add 10.9.0.2/24 dev outside && ip -n out link set outside up
//!     ip netns exec in ping -c 3 10.9.0.2     # is answered
//!     ip netns exec out ping -c 3 10.9.0.1    # is not
//!
//! Fragments are dropped: the kernel puts them together before it tracks, and this does not.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Capabilities, HostSettings, NamespaceId, NoRules, Settings, Tracked, Twin, Verdict};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

#[allow(dead_code, reason = "a test calls the filter itself")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [inside, outside] = names.as_slice() else { return Err("name two devices: filter INSIDE OUTSIDE".into()) };
    Ok(filter(&tun(inside)?, &tun(outside)?)?)
}

/// Where a packet comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Inside,
    Outside,
}

/// The filter's table, and since when it counts time.
struct Table {
    twin: Twin,
    namespace: NamespaceId,
    start: Instant,
}

/// Passes packets on between two devices until one of them is gone.
///
/// # Errors
/// Reading failed: the device is gone.
pub(crate) fn filter(inside: &File, outside: &File) -> io::Result<()> {
    let mut twin = Twin::new(HostSettings::stock(Capabilities::LINUX_6_18, seed()));
    let namespace = twin.add_namespace(Settings::default());
    let table = Mutex::new(Table { twin, namespace, start: Instant::now() });
    thread::scope(|scope| {
        let outwards = scope.spawn(|| carry(Side::Inside, inside, outside, &table));
        carry(Side::Outside, outside, inside, &table)?;
        outwards.join().unwrap_or(Ok(()))
    })
}

/// Reads packets from one side, and writes those that may pass to the other.
fn carry(side: Side, mut from: &File, mut to: &File, table: &Mutex<Table>) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let length = from.read(&mut buffer)?;
        let packet = buffer.get(..length).unwrap_or_default();
        if table.lock().unwrap_or_else(PoisonError::into_inner).may_pass(side, packet) {
            // A device that is down loses it.
            let _ = to.write(packet);
        }
    }
}

impl Table {
    fn may_pass(&mut self, side: Side, packet: &[u8]) -> bool {
        let now = self.start.elapsed();
        let packet = parse::packet(packet, Checksums::Verified, self.twin.capabilities());
        let verdict = match (self.twin.track(now, self.namespace.into(), &packet), side) {
            (Tracked::Done(verdict), _) => verdict,
            (Tracked::New(flow), Side::Inside) => self.twin.complete(now, flow, &mut NoRules),
            (Tracked::New(flow), Side::Outside) => {
                self.twin.abandon(flow);
                return false;
            }
        };
        matches!(verdict, Verdict::Passed { .. })
    }
}

/// Where an entry lies in the hash must not be for outsiders to know.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

/// Makes a TUN device of this name, or takes hold of one that is there.
///
/// # Errors
/// `/dev/net/tun` is not there, or `CAP_NET_ADMIN` is missing.
pub(crate) fn tun(name: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    // The last byte stays 0.
    request.name.iter_mut().take(15).zip(name.bytes()).for_each(|(to, from)| *to = from);
    attach(&file, &mut request)?;
    Ok(file)
}

// Written here, as in the lab's devices, because an example is read and taken by itself, and the twin depends on nothing that does I/O.
/// `struct ifreq` of `linux/if.h`, with its union read as `ifr_flags`.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

// linux/if_tun.h.
const IFF_TUN: u16 = 0x0001;
const IFF_NO_PI: u16 = 0x1000;
const TUNSETIFF: Opcode = opcode::write::<std::ffi::c_int>(b'T', 202);

#[allow(unsafe_code)]
fn attach(file: &File, request: &mut InterfaceRequest) -> io::Result<()> {
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq` of 40 bytes at most (`__tun_chr_ioctl` in drivers/net/tun.c). The
    // request has 40, initialised, and any content of it is valid.
    unsafe { ioctl(file, Updater::<TUNSETIFF, InterfaceRequest>::new(request)) }?;
    Ok(())
}
