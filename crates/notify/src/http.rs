//! Connections that are opened beforehand and kept.

use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::{Error, KEPT_EVERY};

/// An answer is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a connection had to be used to be kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was used a moment ago.
    Fresh,
    /// It was tried.
    Tried,
}

/// A connection to one address.
#[derive(Debug)]
pub(crate) struct Connection {
    agent: Agent,
    url: String,
    used: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(url: String) -> Self {
        // What the host trusts, its own authorities too.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(PATIENCE))
            .max_idle_age(KEPT_EVERY * 4)
            .max_idle_connections_per_host(1)
            .max_redirects(0)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().new_agent(), url, used: None }
    }

    /// Posts a document.
    pub(crate) fn post(&mut self, json: &str) -> Result<(), Error> {
        self.used = Some(Instant::now());
        let answer = self.agent.post(&self.url).content_type("application/json").send(json)?;
        let status = answer.status();
        // The connection is free again only when the answer is read.
        answer.into_body().read_to_vec()?;
        if status.is_success() { Ok(()) } else { Err(Error::NotTaken { status: status.as_u16() }) }
    }

    /// Opens the connection, or keeps it open: asks for what is there without fetching it. Any answer will do.
    pub(crate) fn keep_open(&mut self) -> Result<Kept, Error> {
        if self.used.is_some_and(|used| used.elapsed() < KEPT_EVERY) {
            return Ok(Kept::Fresh);
        }
        self.used = Some(Instant::now());
        let answer = self.agent.head(&self.url).config().http_status_as_error(false).build().call()?;
        answer.into_body().read_to_vec()?;
        Ok(Kept::Tried)
    }
}
