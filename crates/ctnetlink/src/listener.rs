//! A socket that the kernel sends events to.
//!
//! **Subscribing changes what is listened to.** As long as anybody on the host listens, in whatever namespace, each new entry is
//! made with room for its events (`nf_conntrack_events` at 2, the default; `nf_ct_ecache_ext_add`). Of entries that were made
//! while nobody listened nothing is ever told, their end neither.
//!
//! **Each event takes 1,280 bytes of the receive buffer**, whatever its size: 1,024 for the message and the rest for
//! `struct sk_buff`. A buffer of 16 MiB holds 13,107 events.
//!
//! **What is lost is lost in a row.** From the first event that does not fit on the kernel drops all of them, though there were
//! room again, until the queue was emptied (`netlink_overrun`, `netlink_rcv_wake`). It says so once for each row, before the
//! events that came before it: [`Received::Lost`]. [`Listener::dropped`] counts them.
//!
//! **Rest between batches.** A receiver that waits for each event anew is woken for every other one. At 30,000 new flows a
//! second it took 2.5 µs an event that way, and 0.6 to 0.9 when it slept 1 to 5 ms after each batch that was not full. Receiving one
//! event a call costs 2.8 µs, batches of 8 to 64 all 0.5 to 0.6, of 256 a third more: they no longer fit the caches. Parsing is
//! about 0.05 µs of it (`examples/listen.rs`).

use std::array;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, netlink, socket_with, sockopt};
use socket2::SockRef;

use crate::drops::{self, SocketName};
use crate::error::{Error, Request};
use crate::events::EventBatch;
use crate::sampling::SampleShare;

/// Room for a datagram: several times what an event takes. One that is longer is an error of its own.
const ROOM_BYTES: usize = 2048;

/// `NFNLGRP_CONNTRACK_NEW`, `_UPDATE` and `_DESTROY` are groups 1 to 3.
const GROUPS: u32 = 0b111;

/// Listens to the events of entries, in the network namespace of the thread that subscribed.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    buffer_bytes: usize,
    rooms: Vec<u8>,
    lengths: Vec<usize>,
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    /// Events, in the order in which the kernel sent them.
    Events(EventBatch<'a>),
    /// The kernel dropped events, for the receive buffer was full.
    Lost,
    /// Nothing within the time, or before a signal came.
    Nothing,
}

/// How a receipt ended that waits for nothing.
enum Arrival {
    Datagrams,
    Overflow,
    Nothing,
}

impl Listener {
    /// Datagrams received at once, at most.
    pub const BATCH: usize = 32;

    /// Subscribes to the events of the calling thread's network namespace.
    ///
    /// `buffer_bytes` are asked for as the socket's receive buffer: without the right to set any size
    /// (`SO_RCVBUFFORCE` takes `CAP_NET_ADMIN`) no more than `net.core.rmem_max` is had.
    /// [`Listener::buffer_bytes`] tells what was granted.
    ///
    /// # Errors
    /// [`Error::Subscribe`] where the right to listen is missing.
    pub fn subscribe(buffer_bytes: usize) -> Result<Self, Error> {
        let request = Request::Events;
        let opened = |answer: rustix::io::Errno| Error::Socket { request, answer: answer.into() };
        let option = |answer: rustix::io::Errno| Error::Option { request, option: "SO_RCVBUF", answer: answer.into() };
        let protocol = Some(netlink::NETFILTER);
        let fd =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol).map_err(opened)?;
        // Before the first event can come.
        sockopt::set_socket_recv_buffer_size_force(&fd, buffer_bytes)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&fd, buffer_bytes))
            .map_err(option)?;
        let granted = sockopt::socket_recv_buffer_size(&fd).map_err(option)?;
        bind(&fd, &netlink::SocketAddrNetlink::new(0, GROUPS))
            .map_err(|answer| Error::Subscribe { request, answer: answer.into() })?;
        // Connected to the kernel (port 0), the socket takes messages for itself alone from nobody else.
        connect(&fd, &netlink::SocketAddrNetlink::new(0, 0)).map_err(opened)?;
        let (rooms, lengths) = (vec![0; Self::BATCH * ROOM_BYTES], Vec::with_capacity(Self::BATCH));
        Ok(Self { fd, buffer_bytes: granted, rooms, lengths })
    }

    /// The receive buffer that was granted, as the kernel accounts it: twice what was asked for (`__sock_set_rcvbuf`).
    pub const fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Keeps the events of a share of the entries from now on, in the kernel, in place of the share before. Those that are
    /// in the receive buffer already are not chosen anew: [`SampleShare::keeps`] does so.
    ///
    /// The kernel writes each message before it is chosen (`do_one_broadcast`): a share spares time and buffer of the receiver,
    /// not time of the packets.
    pub fn sample(&self, share: SampleShare) -> Result<(), Error> {
        SockRef::from(&self.fd).attach_filter(&share.program()).map_err(|answer| Error::Option {
            request: Request::Events,
            option: "SO_ATTACH_FILTER",
            answer,
        })
    }

    /// Receives what is there, up to a batch; where nothing is, waits so long for it.
    pub fn receive(&mut self, wait: Duration) -> Result<Received<'_>, Error> {
        let mut arrival = self.receive_at_once()?;
        if matches!(arrival, Arrival::Nothing) && !wait.is_zero() && self.comes_within(wait)? {
            arrival = self.receive_at_once()?;
        }
        Ok(match arrival {
            Arrival::Datagrams => Received::Events(EventBatch::new(&self.rooms, ROOM_BYTES, &self.lengths)),
            Arrival::Overflow => Received::Lost,
            Arrival::Nothing => Received::Nothing,
        })
    }

    /// Messages that the kernel dropped since this subscribed, because the receive buffer was full; what sampling leaves out
    /// is not counted. `None` where there is no `/proc` to read it from, or where the calling thread is in another network
    /// namespace than the one that subscribed.
    pub fn dropped(&self) -> Result<Option<u64>, Error> {
        let request = Request::Events;
        let in_file = |answer| Error::File { request, path: drops::FILE, answer };
        let name = self.name().map_err(|answer| Error::Socket { request, answer })?;
        drops::dropped(name).map_err(in_file)
    }

    fn name(&self) -> io::Result<SocketName> {
        let address = netlink::SocketAddrNetlink::try_from(getsockname(&self.fd)?)?;
        let protocol = netlink::NETFILTER.as_raw().get();
        Ok(SocketName { protocol, port: address.pid(), inode: rustix::fs::fstat(&self.fd)?.st_ino })
    }

    fn receive_at_once(&mut self) -> Result<Arrival, Error> {
        self.lengths.clear();
        let mut rooms = self.rooms.chunks_exact_mut(ROOM_BYTES);
        let mut slices: [_; Self::BATCH] = array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        // Made anew each time, for they hold pointers and would keep a listener from moving to another thread.
        let mut headers = MultiHeaders::<()>::preallocate(Self::BATCH, None);
        match recvmmsg(self.fd.as_raw_fd(), &mut headers, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
            Ok(received) => {
                // One that was cut off is told by its own length.
                self.lengths.extend(received.map(|message| message.bytes.min(ROOM_BYTES)));
                Ok(if self.lengths.is_empty() { Arrival::Nothing } else { Arrival::Datagrams })
            }
            Err(nix::Error::ENOBUFS) => Ok(Arrival::Overflow),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => Ok(Arrival::Nothing),
            Err(errno) => Err(Error::Receive { request: Request::Events, answer: errno.into() }),
        }
    }

    /// Whether something comes within a time.
    fn comes_within(&self, wait: Duration) -> Result<bool, Error> {
        let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
        // A time that is too long to be told is no end.
        match poll(&mut polled, Timespec::try_from(wait).ok().as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(errno) => Err(Error::Receive { request: Request::Events, answer: errno.into() }),
        }
    }
}

/// To be waited for among others: readable where [`Listener::receive`] has something to tell.
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
