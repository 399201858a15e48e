//! A connection: from its first byte to its end.

mod body;
mod client_certificate;
mod connection;
mod host;
mod patient;
mod respond;

pub(crate) use self::client_certificate::AnyCertificate;
pub(crate) use self::connection::{refuse, serve};
