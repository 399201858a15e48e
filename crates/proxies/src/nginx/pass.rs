//! The directives that pass requests on.

use std::ops::Range;

use super::scope::Scope;
use super::tree::{Directive, Tree};
use super::words::Word;
use crate::Gap;

/// A directive that passes requests on.
pub(super) struct Pass<'t> {
    pub(super) directive: &'t Directive,
    pub(super) scope: Scope<'t>,
    pub(super) protocol: Protocol,
    /// An upstream's name, or an address, with its port where it has one.
    pub(super) host: String,
    /// Where the host stands in its file; nothing where quotes or escapes hide it.
    pub(super) host_at: Option<Range<usize>>,
    /// What follows the host.
    pub(super) uri: String,
}

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Http,
    Https,
    FastCgi,
    Grpc,
    Memcached,
    Uwsgi,
    Scgi,
}

impl Protocol {
    pub(super) const fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http | Self::Grpc => Some(80),
            Self::FastCgi | Self::Memcached | Self::Uwsgi | Self::Scgi => None,
        }
    }
}

/// All of them within a block.
pub(super) fn passes<'t>(tree: &'t Tree, http: &'t Directive, gaps: &mut Vec<Gap>) -> Vec<Pass<'t>> {
    let mut passes = Vec::new();
    collect(tree, &Scope::default().inside(http), http, &mut passes, gaps);
    passes
}

fn collect<'t>(
    tree: &'t Tree,
    scope: &Scope<'t>,
    block: &'t Directive,
    passes: &mut Vec<Pass<'t>>,
    gaps: &mut Vec<Gap>,
) {
    for directive in block.inside() {
        match directive.name() {
            "server" | "location" | "if" | "limit_except" if directive.block.is_some() => {
                collect(tree, &scope.inside(directive), directive, passes, gaps);
            }
            name => {
                let (Some(protocol), Some(word)) = (protocol(name), directive.argument()) else { continue };
                if let Some((protocol, host, uri)) = read(protocol, word) {
                    let host_at = find(tree, directive, word, &host);
                    passes.push(Pass { directive, scope: scope.clone(), protocol, host, host_at, uri });
                } else {
                    let what = format!("where {} leads is told only when a request comes", word.shown());
                    gaps.push(tree.place(directive).gap(what));
                }
            }
        }
    }
}

fn protocol(directive: &str) -> Option<Protocol> {
    Some(match directive {
        "proxy_pass" => Protocol::Http,
        "fastcgi_pass" => Protocol::FastCgi,
        "grpc_pass" => Protocol::Grpc,
        "memcached_pass" => Protocol::Memcached,
        "uwsgi_pass" => Protocol::Uwsgi,
        "scgi_pass" => Protocol::Scgi,
        _ => return None,
    })
}

/// The protocol, the host with its port, and what follows; nothing where a variable names the host.
fn read(protocol: Protocol, word: &Word) -> Option<(Protocol, String, String)> {
    let (protocol, rest) = match word.text.split_once("://") {
        Some((scheme, rest)) => match (protocol, scheme.to_ascii_lowercase().as_str()) {
            (Protocol::Http, "https") => (Protocol::Https, rest),
            _ => (protocol, rest),
        },
        None => (protocol, word.text.as_str()),
    };
    let (host, uri) = if rest.starts_with("unix:") { (rest, "") } else { rest.split_at_checked(host_end(rest))? };
    (!host.is_empty() && !host.contains('$')).then(|| (protocol, host.to_string(), uri.to_string()))
}

/// Where a host ends: at what follows it, or at a variable that begins with a slash.
fn host_end(rest: &str) -> usize {
    let by_variable = ["$request_uri", "$uri", "$document_uri"].iter().filter_map(|variable| rest.find(variable));
    rest.find(['/', '?']).into_iter().chain(by_variable).min().unwrap_or(rest.len())
}

fn find(tree: &Tree, directive: &Directive, word: &Word, host: &str) -> Option<Range<usize>> {
    const SCHEME_ENDS: &[u8] = b"://";
    let raw = tree.source(directive).bytes.get(word.at.clone())?;
    let scheme = raw.windows(SCHEME_ENDS.len()).position(|window| window == SCHEME_ENDS);
    // The scheme may hold the same letters, and so may the URI: the host is the first behind the one and before the other.
    let behind_scheme = scheme.map_or(0, |at| at + SCHEME_ENDS.len());
    let mut hosts = raw.get(behind_scheme..)?.windows(host.len());
    let begin = word.at.start + behind_scheme + hosts.position(|window| window == host.as_bytes())?;
    Some(begin..begin + host.len())
}
