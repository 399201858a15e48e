//! Connections that are opened beforehand and kept.

use std::io::Read;
use std::time::{Duration, SystemTime};

use plimsoll_model::Untrusted;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::{Error, KEPT_EVERY};

/// Of an answer no more is read than this; the connection of one that is longer is not used again.
const MOST_READ: u64 = 64 << 10;

/// Of an answer so many characters are shown.
const MOST_SHOWN: usize = 200;

/// A connection to one address.
#[derive(Debug)]
pub(crate) struct Connection {
    agent: Agent,
    url: String,
}

impl Connection {
    /// An answer is waited for no longer than this.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

    pub(crate) fn new(url: String) -> Self {
        // What the host trusts, its own authorities too.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(Self::PATIENCE))
            .max_idle_age(KEPT_EVERY * 4)
            .max_idle_connections_per_host(1)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().new_agent(), url }
    }

    /// Posts a document, and waits so long for the answer.
    pub(crate) fn post(&self, json: &str, patience: Duration) -> Result<(), Error> {
        let request = self.agent.post(&self.url).config().timeout_global(Some(patience)).build();
        let answer = request.content_type("application/json").send(json).map_err(|error| self.failed(&error))?;
        let status = answer.status().as_u16();
        let wait = answer.headers().get("retry-after").and_then(|value| waiting_time(value.to_str().ok()?));
        let answer = read(answer.into_body());
        match status {
            200..=299 => Ok(()),
            // RFC 9110, sections 15.5.9 and 15.6; RFC 8470, section 5.2; RFC 6585, section 4.
            408 | 425 | 429 | 500..=599 => Err(Error::Later { status, wait }),
            300..=399 => Err(Error::Elsewhere { status }),
            _ => Err(Error::Refused { status, answer: beginning(&String::from_utf8_lossy(&answer), &self.url) }),
        }
    }

    /// Opens the connection, or keeps it open: asks for what is there without fetching it. Any answer will do.
    pub(crate) fn keep_open(&self) -> Result<(), Error> {
        let answer = self.agent.head(&self.url).call().map_err(|error| self.failed(&error))?;
        read(answer.into_body());
        Ok(())
    }

    /// What is wrong with an address is said with the whole of it.
    fn failed(&self, error: &ureq::Error) -> Error {
        Error::Http(beginning(&error.to_string(), &self.url))
    }
}

/// What an answer says, as far as it is read. The connection is free again only when it is read to its end.
fn read(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    // The status has said what there is to know: one that breaks off shows what has come.
    let _ = body.as_reader().take(MOST_READ).read_to_end(&mut bytes);
    bytes
}

/// A text's first characters, without what is secret in the address: it may repeat that.
fn beginning(text: &str, url: &str) -> Untrusted {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = secrets(url).iter().fold(line, |text, secret| text.replace(secret, "…"));
    Untrusted::from(text.chars().take(MOST_SHOWN).collect::<String>().as_str())
}

/// What follows the host, where webhooks have their keys, and what comes before it; all of an address that is none.
fn secrets(url: &str) -> Vec<&str> {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", url),
    };
    let password = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let parts = path.split(['/', '?', '&', '#', '=']).chain([path, password]);
    let mut secrets: Vec<&str> = parts.filter(|part| part.len() > 1).collect();
    // The longest first: a part of one is no more to be found once the whole is gone.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// How long a receiver asks to wait: seconds, or until a date (RFC 9110, section 10.2.3).
fn waiting_time(retry_after: &str) -> Option<Duration> {
    let text = retry_after.trim();
    if let Ok(secs) = text.parse() {
        return Some(Duration::from_secs(secs));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_seconds_or_a_date() {
        assert_eq!(waiting_time(" 120 "), Some(Duration::from_mins(2)));
        let until = SystemTime::now() + Duration::from_hours(1);
        let wait = waiting_time(&httpdate::fmt_http_date(until)).unwrap_or_default();
        assert!(wait > Duration::from_mins(50) && wait <= Duration::from_hours(1), "{wait:?}");
        assert_eq!(waiting_time("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(waiting_time("soon"), None);
    }

    #[test]
    fn the_beginning_of_an_answer_repeats_no_secret_and_does_no_harm() {
        let url = "https://me:word@hooks.example/services/KEY?token=abc";
        let shown = beginning(" no /services/KEY?token=abc,\n  nor KEY of me:word \x1b[2J\n", url);
        assert_eq!(shown.as_str(), "no …, nor … of … \\u{1b}[2J");
        assert_eq!(beginning(&"x".repeat(5000), url).as_str().len(), MOST_SHOWN);
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_secrets() {
        let connection = Connection::new("/services/KEY".to_string());
        for failed in [connection.post("{}", Connection::PATIENCE), connection.keep_open()] {
            let said = failed.unwrap_err().to_string();
            assert!(said.starts_with("bad uri: … is missing scheme"), "{said}");
        }
    }
}
