//! Requests that go on to an address without an upstream's block: nothing keeps their connections.

use std::fmt::Write as _;

use plimsoll_model::Untrusted;

use super::judge::{Judge, KEPT};
use super::pass::{Pass, Protocol};
use super::request;
use super::tree::Directive;
use super::verdict::Verdict;
use super::words::Word;
use crate::budget::Short;
use crate::{Address, Keeping, Rewrite, Target};

pub(super) fn keeping(judge: &Judge<'_>, passes: &[Pass<'_>]) -> Result<Keeping, Short> {
    let mut verdict = Verdict::default();
    for pass in passes {
        judge.budget.look()?;
        request::judge(judge, pass, &mut verdict);
    }
    let mut is_made = false;
    for pass in passes {
        judge.budget.look()?;
        let says = "the address stands here itself; only the servers of an `upstream` block are kept";
        let reason = judge.tree.place(pass.directive).says(says);
        if let Some(rewrites) = rewrites(judge, pass, &mut is_made) {
            verdict.not_kept(reason, rewrites);
        } else {
            let host = Untrusted::from(pass.host.as_str());
            let mut words = format!("make an `upstream` block with `server {host};` and `{KEPT}`, and name it");
            if matches!(pass.protocol, Protocol::Http | Protocol::Https | Protocol::Grpc) {
                words += "; where the address was sent or compared (the field `Host`, the name in TLS, redirects, \
                          $proxy_host) the name takes its place, so write the address there";
                if let Some(user) = judge.uses_address {
                    words += &format!(": {}", judge.tree.place(user));
                }
            }
            verdict.by_hand(reason, words);
        }
    }
    verdict.caution(
        "what a log or a cache's key takes of the address by $proxy_host is the upstream's name then".to_string(),
    );
    Ok(verdict.keeping(judge.new_pool()))
}

/// The first directive whose words take the address of a `proxy_pass` by a variable: an upstream's name would change what it does.
/// Logs and keys of caches may change.
pub(super) fn user_of_address(http: &Directive) -> Option<&Directive> {
    const VARIABLES: [&str; 4] = ["$proxy_host", "${proxy_host}", "$proxy_port", "${proxy_port}"];
    http.inside().iter().find_map(|inner| {
        let is_harmless = matches!(inner.name(), "log_format" | "proxy_cache_key");
        let takes = |word: &Word| VARIABLES.iter().any(|variable| word.text.contains(variable));
        if !is_harmless && inner.words.iter().any(takes) { Some(inner) } else { user_of_address(inner) }
    })
}

/// The block, the name instead of the address, and what else the address gave; nothing where a person has to see what it gave.
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
    let beside = match pass.protocol {
        Protocol::Http | Protocol::Https => beside(judge, pass)?,
        // `:authority` is the address, and would be the name.
        Protocol::Grpc => return None,
        _ => Vec::new(),
    };
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
    if !beside.is_empty() {
        let directive = pass.directive;
        rewrites.push(source.insert_behind(directive.at.start, directive.at.end, &beside));
    }
    Some(rewrites)
}

/// The lines that say what the address said by default, to be put in beside a `proxy_pass`; nothing where they cannot be.
fn beside(judge: &Judge<'_>, pass: &Pass<'_>) -> Option<Vec<String>> {
    // The name in TLS is the address by default.
    let is_tls = matches!(pass.protocol, Protocol::Https);
    if judge.uses_address.is_some() || (is_tls && pass.scope.effective("proxy_ssl_name").is_none()) {
        return None;
    }
    let headers = pass.scope.headers();
    let is_host = |set: &&Directive| set.argument().is_some_and(|header| header.text.eq_ignore_ascii_case("host"));
    let mut lines = Vec::new();
    if !headers.set.iter().any(is_host) {
        // Beside others that are inherited it would take their place.
        if headers.are_inherited {
            return None;
        }
        lines.push(format!("proxy_set_header Host {};", pass.host));
    }
    lines.extend(redirect(pass)?);
    (lines.is_empty() || !pass.scope.is_in_condition()).then_some(lines)
}

/// What the default of `proxy_redirect` does with the address, as lines, where it is in force (`ngx_http_proxy_module`); nothing where
/// that cannot be said.
fn redirect(pass: &Pass<'_>) -> Option<Vec<String>> {
    let set = pass.scope.all_effective("proxy_redirect");
    let is_default = |set: &&Directive| set.argument().is_some_and(|word| word.text == "default");
    if set.iter().any(is_default) {
        return None;
    }
    // With variables there is no default.
    if !set.is_empty() || pass.uri.contains('$') {
        return Some(Vec::new());
    }
    let (scheme, host) = (if pass.protocol == Protocol::Https { "https" } else { "http" }, &pass.host);
    if pass.uri.is_empty() {
        return Some(vec![format!("proxy_redirect {scheme}://{host}/ /;")]);
    }
    let prefix = match pass.scope.location()?.arguments() {
        [prefix] if !prefix.text.starts_with(['=', '^', '~', '@']) => &prefix.text,
        [modifier, prefix] if matches!(modifier.text.as_str(), "=" | "^~") => &prefix.text,
        _ => return None,
    };
    let is_word = |text: &str| !text.contains(['"', '\'', '\\', '$', ' ', ';', '{']);
    let line = format!("proxy_redirect {scheme}://{host}{} {prefix};", pass.uri);
    (is_word(prefix) && is_word(&pass.uri)).then(|| vec![line])
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
