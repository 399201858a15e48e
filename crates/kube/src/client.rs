//! Questions to the API, bounded in time and size.

use std::io::Read;
use std::time::Instant;

use plimsoll_model::Untrusted;
use serde::de::DeserializeOwned;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::access::{Access, Credential, Trust};
use crate::api::{List, Resource, Status};
use crate::secret::Secret;
use crate::{Error, Problem};

/// Objects that are asked for at once. From its memory the API server gives all of them, whatever is asked for.
const PAGE: &str = "500";

/// So much is read, in MiB, of all answers together. A pod is some 10 KiB, a service 2.
const MOST_READ_MIB: u64 = 32;

/// Of an error so many characters are shown.
const MOST_SHOWN: usize = 300;

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    server: String,
    token: Option<Secret>,
    deadline: Instant,
    /// Bytes that may still be read.
    left: u64,
}

/// A list as far as it was told, and why no further.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    items: Vec<T>,
    error: Option<Error>,
}

impl<T> Listed<T> {
    /// Takes it into others; `None` where asking on has no sense.
    pub(crate) fn into_list(self, list: &mut Vec<T>, errors: &mut Vec<Error>) -> Option<()> {
        list.extend(self.items);
        let goes_on = !self.error.as_ref().is_some_and(Error::is_final);
        errors.extend(self.error);
        goes_on.then_some(())
    }
}

impl Client {
    pub(crate) fn new(access: Access, deadline: Instant) -> Result<Self, Error> {
        let server = access.server.trim_end_matches('/').to_string();
        // A token is shown to nobody on the way.
        if !is_private(&server) {
            let tried = format!("ask the server that {} names", access.from);
            return Err(Error::new(tried, Problem::NotFollowed("a server without https://")));
        }
        let root_certs = match &access.trust {
            Trust::Authorities(authorities) => RootCerts::new_with_certs(authorities),
            Trust::Host => RootCerts::PlatformVerifier,
        };
        let (token, certificate) = match access.credential {
            Credential::Token(token) => (Some(token), None),
            Credential::Certificate(certificate) => (None, Some(certificate)),
        };
        let tls = TlsConfig::builder().root_certs(root_certs).client_cert(certificate).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")));
        let agent = config.build().new_agent();
        Ok(Self { agent, server, token, deadline, left: MOST_READ_MIB << 20 })
    }

    /// A list, page by page.
    pub(crate) fn list<T: DeserializeOwned>(&mut self, resource: Resource, only: &[(&str, String)]) -> Listed<T> {
        let mut items = Vec::new();
        let mut next = String::new();
        let error = loop {
            // A page after the first one is of the first one's version.
            let place = if next.is_empty() { ("resourceVersion", "0") } else { ("continue", next.as_str()) };
            let query: Vec<_> =
                only.iter().map(|(key, value)| (*key, value.as_str())).chain([("limit", PAGE), place]).collect();
            match self.ask::<List<T>>(resource, &query) {
                Ok(Some(List { metadata, items: Some(more) })) => {
                    // No list has an empty page and goes on.
                    let is_last = metadata.next.is_empty() || more.is_empty();
                    items.extend(more);
                    next = metadata.next;
                    if is_last {
                        break None;
                    }
                }
                Ok(Some(_)) => break Some(self.error(resource, Problem::Garbage("it is no list".into()))),
                Ok(None) => {
                    let answer = "there is nothing".into();
                    break Some(self.error(resource, Problem::Refused { status: 404, answer }));
                }
                Err(error) => break Some(error),
            }
        };
        Listed { items, error }
    }

    /// One object; `None` where there is none.
    pub(crate) fn get<T: DeserializeOwned>(&mut self, resource: Resource) -> Result<Option<T>, Error> {
        self.ask(resource, &[("resourceVersion", "0")])
    }

    fn ask<T: DeserializeOwned>(&mut self, resource: Resource, query: &[(&str, &str)]) -> Result<Option<T>, Error> {
        let patience = self.deadline.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(self.error(resource, Problem::TooSlow));
        }
        let mut request =
            self.agent.get(format!("{}{}", self.server, resource.path())).header("accept", "application/json");
        for (key, value) in query {
            request = request.query(*key, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.reveal()));
        }
        let request = request.config().timeout_global(Some(patience)).build();
        let answer = request.call().map_err(|error| self.error(resource, failed(&error)))?;
        let status = answer.status().as_u16();
        let bytes = self.read(answer.into_body(), resource)?;
        match status {
            200 => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                let text = shown(&error.to_string());
                self.error(resource, Problem::Garbage(text))
            }),
            404 => Ok(None),
            _ => Err(self.error(resource, refused(status, &bytes, resource))),
        }
    }

    fn read(&mut self, body: Body, resource: Resource) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        // One more than may be, to tell whether there is more.
        let read = body.into_with_config().limit(u64::MAX).reader().take(self.left + 1).read_to_end(&mut bytes);
        if let Err(answered) = read {
            let timed_out = answered.kind() == std::io::ErrorKind::TimedOut
                || answered.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()).is_some_and(is_timeout)
                || Instant::now() >= self.deadline;
            let problem = if timed_out { Problem::TooSlow } else { Problem::Unreachable(shown(&answered.to_string())) };
            return Err(self.error(resource, problem));
        }
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.unwrap_or(0);
        if left.is_none() {
            return Err(self.error(resource, Problem::TooLong(MOST_READ_MIB)));
        }
        Ok(bytes)
    }

    fn error(&self, resource: Resource, problem: Problem) -> Error {
        Error::new(format!("{} of the Kubernetes API at {}", resource.what(), self.server), problem)
    }
}

/// Whether nobody on the way may read along. Tests talk to themselves.
fn is_private(server: &str) -> bool {
    let Ok(uri) = server.parse::<Uri>() else { return false };
    // What is before an @ would be shown with the address.
    let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    is_plain && (uri.scheme_str() == Some("https") || (cfg!(test) && server.starts_with("http://127.0.0.1:")))
}

fn is_timeout(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Timeout(_))
}

fn failed(error: &ureq::Error) -> Problem {
    if is_timeout(error) { Problem::TooSlow } else { Problem::Unreachable(shown(&error.to_string())) }
}

fn refused(status: u16, body: &[u8], resource: Resource) -> Problem {
    let said = serde_json::from_slice::<Status>(body).unwrap_or_default().message;
    let said = if said.is_empty() { String::from_utf8_lossy(body).into_owned() } else { said };
    let answer = shown(&said);
    match status {
        401 => Problem::Unauthorized(answer),
        403 => Problem::Forbidden { answer, rule: resource.rule() },
        _ => Problem::Refused { status, answer },
    }
}

fn shown(text: &str) -> Untrusted {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MOST_SHOWN).collect::<String>().as_str().into()
}
