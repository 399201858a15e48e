//! What is asked of an upstream with each request: whether the connection is to be kept.

use super::judge::Judge;
use super::pass::{Pass, Protocol};
use super::tree::Directive;
use super::verdict::Verdict;
use crate::{Reason, Rewrite};

pub(super) fn judge(judge: &Judge<'_>, pass: &Pass<'_>, verdict: &mut Verdict) {
    match pass.protocol {
        Protocol::Http | Protocol::Https => http(judge, pass, verdict),
        Protocol::FastCgi => fastcgi(judge, pass, verdict),
        // HTTP/2, and a protocol without a word for it: the upstream's `keepalive` is all.
        Protocol::Grpc | Protocol::Memcached => {}
        Protocol::Uwsgi | Protocol::Scgi => {
            let says = "uwsgi and SCGI close the connection after each answer; let the application speak HTTP instead";
            verdict.by_nature(judge.tree.place(pass.directive).says(says));
        }
    }
}

fn http(judge: &Judge<'_>, pass: &Pass<'_>, verdict: &mut Verdict) {
    // What is to be put in beside the `proxy_pass`.
    let mut lines = Vec::new();
    let mut reasons = Vec::new();
    let place = || judge.tree.place(pass.directive);
    let version = pass.scope.effective("proxy_http_version");
    let is_old = match version.and_then(|directive| Some((directive, directive.argument()?))) {
        Some((directive, word)) if word.text == "1.0" => Some((directive, word)),
        Some(_) => None,
        None => {
            if !judge.keeps_by_default() {
                reasons.push(place().says("requests go on by HTTP/1.0, the default up to NGINX 1.29.6"));
                lines.push("proxy_http_version 1.1;".to_string());
            }
            None
        }
    };
    let header = connection(judge, pass);
    if let Some((directive, word)) = is_old {
        // HTTP/1.0 has connections that are kept, too, where both sides say so.
        if !matches!(header, Header::KeepAlive) {
            let rewrite = judge.tree.source(directive).replace(word.at.clone(), "1.1");
            verdict.not_kept(judge.tree.place(directive).says("requests go on by HTTP/1.0"), [rewrite]);
        }
    } else if matches!(header, Header::KeepAlive) {
        (lines, reasons) = (Vec::new(), Vec::new());
    }
    if !lines.is_empty() || matches!(header, Header::Missing(_)) {
        judge.is_by_default(verdict);
    }
    match header {
        Header::KeepAlive | Header::Kept => {}
        Header::Missing(Missing::Inherited(last)) => {
            let source = judge.tree.source(last);
            let rewrite = source.insert_behind(last.at.start, last.at.end, &[EMPTY.to_string()]);
            verdict.not_kept(place().says(CLOSE), [rewrite]);
            let at = judge.tree.place(last);
            verdict.caution(format!(
                "header fields are set further out ({at}), and are lost where a location sets one of its own; so the new \
                 one is put there, and holds for all that inherit from there"
            ));
        }
        Header::Missing(Missing::Here) => {
            reasons.push(place().says(CLOSE));
            lines.push(EMPTY.to_string());
        }
        Header::Closes(reason, rewrite) => verdict.not_kept(reason, [rewrite]),
        Header::Unknown(reason) => verdict.unknown(reason),
    }
    put_in(judge, pass, verdict, reasons, &lines);
    verdict.caution(PROCESSES.to_string());
    verdict.caution(CLOSED.to_string());
}

const PROCESSES: &str = "a server with a process or thread for each connection serves nobody else by one that holds a kept connection: \
                         what is kept, times the worker processes, must stay well below their number";
const CLOSED: &str = "a request that meets a connection which the server is just closing fails, and where it may not be sent twice (POST) \
                      the client is told 502: the server must keep idle connections for longer than NGINX, which keeps them for 60 s \
                      unless `keepalive_timeout` in the `upstream` says less";
const EMPTY: &str = "proxy_set_header Connection \"\";";
const CLOSE: &str = "requests go on with `Connection: close`, which NGINX sends unless another is set";

fn fastcgi(judge: &Judge<'_>, pass: &Pass<'_>, verdict: &mut Verdict) {
    match pass.scope.effective("fastcgi_keep_conn").and_then(|directive| Some((directive, directive.argument()?))) {
        Some((_, word)) if word.text.eq_ignore_ascii_case("on") => {}
        Some((directive, _)) => {
            let says = "the FastCGI server is told to close each connection";
            verdict.not_kept(judge.tree.place(directive).says(says), []);
        }
        None => {
            let says = "the FastCGI server is told to close each connection, which is the default";
            verdict.not_kept(judge.tree.place(pass.directive).says(says), []);
        }
    }
    verdict.only_by_hand(FASTCGI);
}

const FASTCGI: &str = "a process of a FastCGI server serves the connection that it holds until that is closed, and no other: with more \
                       kept connections than processes, requests wait until they fail (504). Only where `keepalive` times the worker \
                       processes stays well below the number of its processes (PHP-FPM: pm.max_children): `fastcgi_keep_conn on;` beside \
                       the `fastcgi_pass`, and an `upstream` with so small a `keepalive`. Else leave it as it is; a local socket makes no entries";

/// Puts lines in where they hold for this directive.
pub(super) fn put_in(
    judge: &Judge<'_>,
    pass: &Pass<'_>,
    verdict: &mut Verdict,
    reasons: Vec<Reason>,
    lines: &[String],
) {
    if lines.is_empty() {
        return;
    }
    let rewrite = place_for(judge, pass, lines);
    for reason in reasons {
        verdict.not_kept(reason, rewrite.clone());
    }
}

fn place_for(judge: &Judge<'_>, pass: &Pass<'_>, lines: &[String]) -> Option<Rewrite> {
    if !pass.scope.is_in_condition() {
        let directive = pass.directive;
        return Some(judge.tree.source(directive).insert_behind(directive.at.start, directive.at.end, lines));
    }
    let block = pass.scope.innermost_settable()?;
    Some(judge.tree.source(block).insert_before(block.block.as_ref()?.close, "    ", lines))
}

/// What is sent as `Connection`.
enum Header<'t> {
    /// The default.
    Missing(Missing<'t>),
    /// Nothing, or something that closes nothing.
    Kept,
    /// The word with which HTTP/1.0 keeps connections.
    KeepAlive,
    Closes(Reason, Rewrite),
    Unknown(Reason),
}

/// Where it would be set.
enum Missing<'t> {
    /// Beside the directive.
    Here,
    /// Behind the last one of a level further out.
    Inherited(&'t Directive),
}

fn connection<'t>(judge: &Judge<'t>, pass: &Pass<'t>) -> Header<'t> {
    let headers = pass.scope.headers();
    let set = headers
        .set
        .iter()
        .rfind(|directive| directive.argument().is_some_and(|name| name.text.eq_ignore_ascii_case("connection")));
    let Some(set) = set.copied() else {
        return match headers.set.last() {
            _ if judge.keeps_by_default() => Header::Kept,
            Some(last) if headers.are_inherited => Header::Missing(Missing::Inherited(last)),
            _ => Header::Missing(Missing::Here),
        };
    };
    let place = judge.tree.place(set);
    let source = judge.tree.source(set);
    let Some(value) = set.words.get(2) else {
        return Header::Unknown(place.says("`Connection` is set to nothing at all"));
    };
    match value.text.to_ascii_lowercase().as_str() {
        "" | "upgrade" => Header::Kept,
        "keep-alive" => Header::KeepAlive,
        "close" => Header::Closes(place.says("`Connection: close` is set"), source.replace(value.at.clone(), "\"\"")),
        "$http_connection" => Header::Closes(
            place.says("the client's own `Connection` goes on, and closes where the client's closes"),
            source.replace(value.at.clone(), "\"\""),
        ),
        variable if variable.starts_with('$') => by_map(judge, value.text.as_str(), set),
        _ => Header::Unknown(place.says(format!("what `Connection: {}` does is not known", value.shown()))),
    }
}

/// The value of a variable that a `map` gives for a request that asks for no other protocol, as is usual for `WebSocket`s.
fn by_map<'t>(judge: &Judge<'t>, variable: &str, set: &Directive) -> Header<'t> {
    let unknown = |what: &str| {
        let name = plimsoll_model::Untrusted::from(variable);
        Header::Unknown(judge.tree.place(set).says(format!("`Connection` is {name}, {what}")))
    };
    let maps = judge.http.inside().iter().filter(|inner| inner.name() == "map" && inner.block.is_some());
    let Some(map) = { maps }.rfind(|map| map.arguments().get(1).is_some_and(|name| name.text == variable)) else {
        return unknown("and no `map` gives it");
    };
    if !map.argument().is_some_and(|from| from.text.eq_ignore_ascii_case("$http_upgrade")) {
        return unknown("by a `map` of something else than $http_upgrade");
    }
    let by_key = |key: &str| map.inside().iter().rfind(|entry| entry.name() == key);
    let Some((entry, value)) = by_key("").or(by_key("default")).and_then(|entry| Some((entry, entry.argument()?)))
    else {
        // Without a default it is empty.
        return Header::Kept;
    };
    match value.text.to_ascii_lowercase().as_str() {
        "" | "upgrade" => Header::Kept,
        "keep-alive" => Header::KeepAlive,
        "close" => Header::Closes(
            judge.tree.place(entry).says("`Connection: close` is set for requests that ask for no other protocol"),
            judge.tree.source(entry).replace(value.at.clone(), "''"),
        ),
        _ => unknown("by a `map` whose value for it is not understood"),
    }
}
