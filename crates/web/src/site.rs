//! What the server shows: the daemon's side.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use crate::Error;
use crate::hub::Subscription;

/// What there is to see. It is asked in the server's only thread, so it answers from memory.
pub trait Site: Send + Sync + 'static {
    /// The answer to a request.
    fn answer(&self, request: &Request<'_>) -> Answer;

    /// Told when something happens that the daemon's log should have.
    fn notice(&self, _notice: Notice<'_>) {}
}

/// A GET or HEAD request of somebody who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The path as it came, such as `/metrics`: not decoded.
    pub path: &'a str,
    /// What follows the question mark, as it came; empty if nothing does.
    pub query: &'a str,
    /// The `Accept` header; empty if there is none.
    pub accept: &'a str,
}

impl<'a> Request<'a> {
    /// The first value of a parameter of the query, decoded; what is not UTF-8 in it has become U+FFFD.
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// What is answered.
#[derive(Debug)]
pub enum Answer {
    /// 200 with a page.
    Page(Page),
    /// 503 with a page that says what is wrong.
    Unavailable(Page),
    /// 404.
    NotFound,
    /// Server-sent events until either side ends them.
    Events(Subscription),
}

/// A page from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its MIME type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Bytes,
    /// How long it may be kept by who asked.
    pub cache: Cache,
}

/// How long a page may be kept by who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Not at all: it tells of now.
    Never,
    /// For so long (in whole seconds), by the browser alone.
    For(Duration),
}

/// Something that happened to the server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The web configuration or a file that it names has changed, and what is in it is in force.
    Reloaded,
    /// It has changed and cannot be used; what was in force before still is.
    NotReloaded(&'a Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let request = Request { path: "/", query: "a=1&netns=net%3A%5B1%5D+x&netns=second&bad=%ff&none", accept: "" };
        assert_eq!(request.parameter("netns").as_deref(), Some("net:[1] x"));
        assert_eq!(request.parameter("bad").as_deref(), Some("\u{fffd}"));
        assert_eq!(request.parameter("none").as_deref(), Some(""));
        assert_eq!(request.parameter("b"), None);
    }
}
