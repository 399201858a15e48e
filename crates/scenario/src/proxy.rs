//! A reverse proxy: requests that come in by few connections and go on by others.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::Size;
use crate::time::Number;

/// A reverse proxy between clients and a backend, with TCP stacks at all ends.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawProxy")]
pub struct Proxy {
    requests_per_sec: f64,
    /// Connections that clients hold open to the proxy, and send their requests by in turn.
    pub client_connections: NonZeroU32,
    /// Connections from the proxy to its backend.
    pub backend_connections: BackendConnections,
}

/// How a proxy reaches its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendConnections {
    /// By a connection of its own for each request, closed after the answer.
    OneARequest,
    /// By connections that are kept and used again.
    Kept,
}

impl Proxy {
    /// Requests a second at a size.
    pub fn requests_per_sec(&self, size: Size) -> f64 {
        self.requests_per_sec * size.factor()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProxy {
    requests_per_sec: Number,
    client_connections: NonZeroU32,
    backend_connections: BackendConnections,
}

impl TryFrom<RawProxy> for Proxy {
    type Error = String;

    fn try_from(raw: RawProxy) -> Result<Self, String> {
        let RawProxy { requests_per_sec, client_connections, backend_connections } = raw;
        let requests_per_sec = requests_per_sec.value();
        if !(requests_per_sec > 0.0 && requests_per_sec <= 1e5) {
            return Err("`requests_per_sec` must be above 0 and at most 100,000".to_string());
        }
        if client_connections.get() > 1000 {
            return Err("`client_connections` must be at most 1,000".to_string());
        }
        Ok(Self { requests_per_sec, client_connections, backend_connections })
    }
}
