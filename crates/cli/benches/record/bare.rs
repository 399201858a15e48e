//! A bare receive loop: what it takes to be handed the events, and nothing more. Nothing is parsed and nothing is kept.

use std::array;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink, socket_with, sockopt};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

/// Datagrams received at once, as many as the recorder's.
const BATCH: usize = 32;
const ROOM_BYTES: usize = 2048;
/// The recorder's default.
const BUFFER_BYTES: usize = 64 << 20;
/// `NFNLGRP_CONNTRACK_NEW`, `_UPDATE` and `_DESTROY`.
const GROUPS: u32 = 0b111;
/// Whether to stop is asked so often, at least.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// Receives until SIGINT, and writes how many datagrams there were.
pub(crate) fn receive(rest: Duration) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    flag::register(SIGINT, Arc::clone(&stop))?;
    let socket = socket()?;
    let mut rooms = vec![0; BATCH * ROOM_BYTES];
    let mut datagrams = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut rooms = rooms.chunks_exact_mut(ROOM_BYTES);
        let mut slices: [_; BATCH] = array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, MsgFlags::MSG_DONTWAIT, None);
        match received.map(Iterator::count) {
            Ok(count) => {
                datagrams += count;
                if count < BATCH && !rest.is_zero() {
                    std::thread::sleep(rest);
                }
            }
            Err(nix::Error::EAGAIN) => {
                // Interrupted by the signal, or not.
                let _ = poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&PATIENCE));
            }
            // Events were lost, which the bench reads from elsewhere.
            Err(nix::Error::ENOBUFS | nix::Error::EINTR) => {}
            Err(error) => return Err(error).context("receive"),
        }
    }
    println!("{datagrams}");
    Ok(())
}

fn socket() -> rustix::io::Result<OwnedFd> {
    let protocol = Some(netlink::NETFILTER);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES)?;
    bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUPS))?;
    Ok(socket)
}
