//! Requests that go on to an address without an upstream's block: nothing keeps their connections.

use std::fmt::Write as _;

use plimsoll_model::Untrusted;

use super::judge::{Judge, KEPT};
use super::pass::{Pass, Protocol};
use super::request;
use super::verdict::Verdict;
use crate::{Address, Keeping, Rewrite, Target};

pub(super) fn keeping(judge: &Judge<'_>, passes: &[Pass<'_>]) -> Keeping {
    let mut verdict = Verdict::default();
    for pass in passes {
        request::judge(judge, pass, &mut verdict);
    }
    let mut is_made = false;
    for pass in passes {
        let says = "the address stands here itself; only the servers of an `upstream` block are kept";
        let reason = judge.tree.place(pass.directive).says(says);
        if let Some(rewrites) = rewrites(judge, pass, &mut is_made) {
            verdict.not_kept(reason, rewrites);
        } else {
            let host = Untrusted::from(pass.host.as_str());
            verdict
                .by_hand(reason, format!("make an `upstream` block with `server {host};` and `{KEPT}`, and name it"));
        }
    }
    verdict.caution(
        "the name of an upstream takes the place of the address in $proxy_host: what uses that (a log, a cache's key) \
         shows the name"
            .to_string(),
    );
    verdict.keeping(judge.new_pool())
}

/// The block, the name instead of the address, and what else the address gave.
fn rewrites(judge: &Judge<'_>, pass: &Pass<'_>, is_made: &mut bool) -> Option<Vec<Rewrite>> {
    let target = Target::parse(&pass.host, pass.protocol.default_port())?;
    // Without a port it would be 80, which is none of these protocols'.
    if target.port.is_none() && !matches!(target.address, Address::Local(_)) {
        return None;
    }
    // What is written again must be one word of the language.
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.:/[]".contains(c);
    if !pass.host.chars().all(is_word) {
        return None;
    }
    let name = name(pass.protocol, &target);
    if !*is_made && judge.http.inside().iter().any(|inner| inner.argument().is_some_and(|word| word.text == name)) {
        return None;
    }
    let host_at = pass.host_at.clone()?;
    let (server, source) = (pass.scope.server()?, judge.tree.source(pass.directive));
    let is_http = matches!(pass.protocol, Protocol::Http | Protocol::Https);
    // A name in $proxy_host, and by it in the header and in TLS, would be another one for the server.
    if matches!(pass.protocol, Protocol::Https) && pass.scope.effective("proxy_ssl_name").is_none() {
        return None;
    }
    let mut rewrites = vec![source.replace(host_at, name.as_str())];
    if !*is_made {
        let server_line = match &target.address {
            Address::Local(_) => format!("    server {};", pass.host),
            _ => format!("    server {};", with_port(&pass.host, &target)),
        };
        let block = [format!("upstream {name} {{"), server_line, format!("    {KEPT}"), "}".to_string(), String::new()];
        rewrites.push(judge.tree.source(server).insert_before(server.at.start, "", &block));
        *is_made = true;
    }
    if is_http {
        let headers = pass.scope.headers();
        let sets_host = |set: &&super::tree::Directive| {
            set.argument().is_some_and(|header| header.text.eq_ignore_ascii_case("host"))
        };
        if !headers.set.iter().any(sets_host) {
            // Beside others that are inherited it would take their place.
            if headers.are_inherited || pass.scope.is_in_condition() {
                return None;
            }
            let mut lines = vec![format!("proxy_set_header Host {};", pass.host)];
            lines.extend(redirect(pass));
            let directive = pass.directive;
            rewrites.push(source.insert_behind(directive.at.start, directive.at.end, &lines));
        }
    }
    Some(rewrites)
}

/// What the default of `proxy_redirect` does with the address, as the server goes on to see it as its own.
fn redirect(pass: &Pass<'_>) -> Option<String> {
    if pass.scope.effective("proxy_redirect").is_some() || pass.uri.contains('$') {
        return None;
    }
    let location = pass.scope.location()?;
    let scheme = if pass.protocol == Protocol::Https { "https" } else { "http" };
    let host = &pass.host;
    Some(match (pass.uri.as_str(), location.arguments()) {
        ("", _) => format!("proxy_redirect {scheme}://{host}/ /;"),
        (uri, [prefix]) if !prefix.text.contains(['"', '\'', '\\', '$', ' ', ';', '{']) => {
            format!("proxy_redirect {scheme}://{host}{uri} {};", prefix.text)
        }
        _ => return None,
    })
}

/// A name that is none of a host's, and another one for each protocol.
fn name(protocol: Protocol, target: &Target) -> String {
    let mut name = match protocol {
        Protocol::Http => "kept".to_string(),
        other => format!("kept_{other:?}").to_ascii_lowercase(),
    };
    for part in target.to_string().split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        // Writing to a string does not fail.
        let _ = write!(name, "_{part}");
    }
    name
}

/// In a block the default is port 80 for every protocol.
fn with_port(host: &str, target: &Target) -> String {
    match target.port {
        Some(port) if !host.ends_with(&format!(":{port}")) => format!("{host}:{port}"),
        _ => host.to_string(),
    }
}
