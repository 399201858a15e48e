//! Who is told.

use std::fmt;

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
}
