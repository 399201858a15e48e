//! Who is told.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

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

impl Target {
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
