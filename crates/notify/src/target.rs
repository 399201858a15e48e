//! Who is told.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use ureq::http::Uri;

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An Alertmanager, by its address (`http://10.0.0.1:9093`); `/api/v2/alerts` is added.
    Alertmanager(String),
    /// An address that a JSON document is posted to for each notice.
    Webhook(String),
    /// A program that is run for each notice, with the document on its standard input. No shell is between.
    Command(Vec<String>),
}

/// Why nobody can be told there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTarget {
    /// The address is none.
    #[error(
        "an address of Alertmanager or of a webhook begins with http:// or https:// and names a host, and a port if any: {0} has none such"
    )]
    Address(Target),
    /// There is no program to run.
    #[error("a command to run for each notice is empty")]
    Command,
}

impl Target {
    /// The same, if it can be tried to tell anybody there.
    pub fn checked(self) -> Result<Self, BadTarget> {
        match &self {
            Self::Alertmanager(url) | Self::Webhook(url) if !is_address(url) => Err(BadTarget::Address(self)),
            Self::Command(words) if words.first().is_none_or(String::is_empty) => Err(BadTarget::Command),
            _ => Ok(self),
        }
    }

    /// What kind it is, in a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Alertmanager(_) => "alertmanager",
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
        }
    }

    /// A name that is the same in every run, for what is kept of it. It shows nothing secret: a key in an address cannot be had back from
    /// a hash.
    pub fn key(&self) -> String {
        let words = match self {
            Self::Alertmanager(url) | Self::Webhook(url) => std::slice::from_ref(url),
            Self::Command(words) => words,
        };
        let mut hasher = SipHasher13::new();
        for word in words {
            hasher.write_usize(word.len());
            hasher.write(word.as_bytes());
        }
        format!("{}-{:016x}", self.kind(), hasher.finish())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alertmanager(url) => write!(f, "Alertmanager at {}", without_password(url)),
            Self::Webhook(url) => write!(f, "webhook {}", without_password(url)),
            Self::Command(words) => write!(f, "command {}", words.first().map_or("", String::as_str)),
        }
    }
}

/// Whether it is an address by HTTP. A port that is none is no error of the parser's.
fn is_address(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    let has_sound_port = authority.port_u16().is_some() || place == authority.host();
    matches!(uri.scheme_str(), Some("http" | "https")) && !authority.host().is_empty() && has_sound_port
}

/// An address without what is secret in it: a user's password, and what follows the host, where webhooks have their keys.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "an address that is none".to_string() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_an_address_are_not_shown() {
        let shown = Target::Webhook("https://u:secret@hooks.example:8443/services/KEY?token=x".to_string()).to_string();
        assert_eq!(shown, "webhook https://hooks.example:8443");
    }

    #[test]
    fn what_is_no_address_is_found_before_it_is_tried() {
        for sound in ["http://x", "https://u:p@x:8443/y?z", "http://[::1]:9093/", "HTTP://10.0.0.1"] {
            Target::Webhook(sound.to_string()).checked().unwrap();
        }
        for none in
            ["", "x", "10.0.0.1:9093", "ftp://x", "http://", "http://[::1", "http://:80", "http://x:99999", "http://x:"]
        {
            let refused = Target::Webhook(none.to_string()).checked().unwrap_err().to_string();
            assert!(refused.contains("begins with http://"), "{none}: {refused}");
        }
        let refused = Target::Alertmanager("http://u:SECRET@[x/SECRET".to_string()).checked().unwrap_err().to_string();
        assert!(!refused.contains("SECRET"), "{refused}");
        for words in [vec![], vec![String::new()]] {
            assert_eq!(Target::Command(words).checked(), Err(BadTarget::Command));
        }
    }

    #[test]
    fn keys_tell_targets_apart() {
        let command = |words: &[&str]| Target::Command(words.iter().map(ToString::to_string).collect());
        let targets = [
            Target::Alertmanager("http://x".to_string()),
            Target::Webhook("http://x".to_string()),
            Target::Webhook("http://x/KEY".to_string()),
            command(&["a", "bc"]),
            command(&["ab", "c"]),
        ];
        let keys: std::collections::BTreeSet<String> = targets.iter().map(Target::key).collect();
        assert_eq!(keys.len(), targets.len());
        assert!(keys.iter().all(|key| !key.contains("KEY")));
    }
}
