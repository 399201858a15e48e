//! A netlink socket that talks to the kernel in the calling thread's network namespace.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, netlink, recv, send, socket_with, sockopt,
};

use crate::error::{AttributePath, Error, ParseError, Problem, Request};
use crate::message::Requests;
use crate::wire::{Fault, MESSAGE_HEADER_BYTES, Message, Messages, NLMSG_DONE, NLMSG_ERROR};

/// The kernel fills a datagram of a dump with at most 32 KiB (`netlink_dump` in `net/netlink/af_netlink.c`).
pub(crate) const DATAGRAM_BYTES: usize = 64 * 1024;

/// The kernel answers within the call itself; this only keeps a broken one from holding us for ever.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    request: Request,
}

impl Socket {
    pub(crate) fn open(request: Request) -> Result<Self, Error> {
        let open = || -> rustix::io::Result<OwnedFd> {
            let protocol = match request {
                Request::ZoneLimits => Some(netlink::GENERIC),
                // NETLINK_ROUTE is 0.
                Request::Links | Request::Addresses | Request::AttachXdp | Request::DetachXdp => None,
                _ => Some(netlink::NETFILTER),
            };
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
            // Connected to the kernel (port 0), the socket takes messages from nobody else
            // (netlink_getsockbyportid in net/netlink/af_netlink.c).
            connect(&fd, &netlink::SocketAddrNetlink::new(0, 0))?;
            sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE))?;
            Ok(fd)
        };
        match open() {
            Ok(fd) => Ok(Self { fd, request }),
            Err(errno) => Err(Error::Socket { request, answer: errno.into() }),
        }
    }

    /// Opens a socket and sends one request over it.
    pub(crate) fn ask(request: Request, requests: &Requests) -> Result<Self, Error> {
        let socket = Self::open(request)?;
        socket.send(requests)?;
        Ok(socket)
    }

    pub(crate) fn send(&self, requests: &Requests) -> Result<(), Error> {
        send(&self.fd, requests.as_bytes(), SendFlags::empty())
            .map(drop)
            .map_err(|errno| Error::Send { request: self.request, answer: errno.into() })
    }

    /// Receives one datagram.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let (_, datagram_bytes) = rustix::io::retry_on_intr(|| recv(&self.fd, &mut *buffer, RecvFlags::TRUNC))
            .map_err(|errno| Error::Receive { request: self.request, answer: errno.into() })?;
        self.whole(buffer, datagram_bytes)
    }

    /// Receives a datagram that is there already; `None` where there is none.
    pub(crate) fn receive_at_once<'b>(&self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Error> {
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        match rustix::io::retry_on_intr(|| recv(&self.fd, &mut *buffer, flags)) {
            Ok((_, datagram_bytes)) => self.whole(buffer, datagram_bytes).map(Some),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(Error::Receive { request: self.request, answer: errno.into() }),
        }
    }

    /// A datagram of which nothing was cut off.
    fn whole<'b>(&self, buffer: &'b [u8], datagram_bytes: usize) -> Result<&'b [u8], Error> {
        buffer.get(..datagram_bytes).ok_or(Error::DatagramTooLarge {
            request: self.request,
            datagram_bytes,
            buffer_bytes: buffer.len(),
        })
    }

    /// Receives an answer that is one message, and no `NLMSG_DONE` behind it.
    pub(crate) fn receive_one<'b>(&self, buffer: &'b mut [u8]) -> Result<Message<'b>, Error> {
        let nothing = ParseError {
            message_type: 0,
            attribute: AttributePath::default(),
            offset: 0,
            problem: Problem::Truncated { needs: MESSAGE_HEADER_BYTES, has: 0 },
        };
        let first = Messages::of(self.receive(buffer)?).next().unwrap_or(Err(nothing));
        let message = first.map_err(|problem| self.broken(problem))?;
        if self.ends_dump(&message)? {
            return Err(self.broken(message.error(Fault::at(message.payload, Problem::Unexpected))));
        }
        Ok(message)
    }

    /// Receives a dump to its end and hands each of its messages on.
    pub(crate) fn receive_dump(
        &self,
        mut each: impl FnMut(Message<'_>) -> Result<(), ParseError>,
    ) -> Result<(), Error> {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            for message in Messages::of(self.receive(&mut buffer)?) {
                let message = message.map_err(|problem| self.broken(problem))?;
                if self.ends_dump(&message)? {
                    return Ok(());
                }
                each(message).map_err(|problem| self.broken(problem))?;
            }
        }
    }

    /// Whether a message is the end of a dump. A refusal, which ends it too, is an error.
    pub(crate) fn ends_dump(&self, message: &Message<'_>) -> Result<bool, Error> {
        match message.kind {
            NLMSG_DONE | NLMSG_ERROR => match errno_of(message).map_err(|problem| self.broken(problem))? {
                None => Ok(true),
                Some(answer) => Err(Error::Refused { request: self.request, answer }),
            },
            _ => Ok(false),
        }
    }

    pub(crate) fn broken(&self, problem: ParseError) -> Error {
        Error::Answer { request: self.request, problem }
    }

    pub(crate) fn refused(&self, answer: io::Error) -> Error {
        Error::Refused { request: self.request, answer }
    }
}

/// The error that an `NLMSG_ERROR` or `NLMSG_DONE` carries as its first four bytes; `None` for 0.
pub(crate) fn errno_of(message: &Message<'_>) -> Result<Option<io::Error>, ParseError> {
    let Some(code) = message.payload.first_chunk() else {
        let problem = Problem::Truncated { needs: 4, has: message.payload.len() };
        return Err(message.error(Fault::at(message.payload, problem)));
    };
    let code = i32::from_ne_bytes(*code);
    Ok((code != 0).then(|| io::Error::from_raw_os_error(code.saturating_neg())))
}
