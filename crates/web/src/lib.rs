//! A small HTTP server for a daemon: it answers GET and HEAD from memory and can change nothing.
//!
//! What there is to see is a [`Site`]. The server stands between it and whoever connects: it bounds connections, times and
//! sizes, speaks TLS and asks for passwords as Prometheus' web configuration file says ([`Access`]), and drops whoever does
//! not keep up. HTTP/1.1 alone, in one thread.
//!
//! # Who is let in
//!
//! - Over TCP whoever the web configuration file lets in; without one, or without users and client certificates in it,
//!   everybody who reaches the port.
//! - Over a Unix socket whoever may open the file. There is neither TLS nor a password: the file's mode is the lock.
//! - A browser on this host can be made to send requests to a loopback address under a foreign name (DNS rebinding). So over
//!   loopback, without TLS and passwords, a `Host` must be an IP address, `localhost`, this host's name, or one of
//!   [`Access::names`]; anything else is answered with 421. Elsewhere any name is taken, for a scraper may know this host by
//!   any, and could as well have used the address.
//!
//! # What is bounded
//!
//! [`Limits`] has connections, header bytes and times. A request cannot have a body. Passwords are compared one at a time in
//! a thread of their own, with few waiting; one that was right is remembered (as a keyed hash), so that a scrape costs no
//! bcrypt. An event that a subscriber does not take ends its subscription ([`Hub`]).

mod access;
mod error;
mod file;
mod http;
mod hub;
mod limits;
mod listen;
mod places;
mod server;
mod site;
mod users;

pub use access::Access;
pub use bytes::Bytes;
pub use error::Error;
pub use file::Fault;
pub use hub::{Hub, Subscription};
pub use limits::Limits;
pub use listen::{Address, Listen, Listener};
pub use server::Server;
pub use site::{Answer, Cache, Notice, Page, Request, Site};
