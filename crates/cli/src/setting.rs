//! A sysctl by name and its value, as they are written on the command line.

use plimsoll_model::{Sysctl, Untrusted};

use crate::nearest::nearest;

/// The sysctl of a name, in full or without `net.netfilter.`, among some; an error that says what it was to be, and names the
/// nearest of them.
pub(crate) fn sysctl_named(text: &str, what: &str, among: impl Fn(Sysctl) -> bool) -> Result<Sysctl, String> {
    let known = text.parse().ok().filter(|known| among(*known));
    known.ok_or_else(|| {
        let full = if text.starts_with("nf_conntrack_") { format!("net.netfilter.{text}") } else { text.to_string() };
        let names = Sysctl::all().filter(|known| among(*known)).map(|known| known.to_string());
        let near = nearest(&full, names).unwrap_or_default();
        format!("{what} \"{}\"; the nearest is {near}", Untrusted::from(text))
    })
}

/// A name and what stands behind its `=`.
pub(crate) fn name_and_value<'a>(text: &'a str, wanted: &str) -> Result<(&'a str, &'a str), String> {
    let (name, value) = text.split_once('=').ok_or(format!("must be {wanted}"))?;
    Ok((name.trim(), value.trim()))
}

/// A whole number for a sysctl.
pub(crate) fn whole_number(sysctl: Sysctl, text: &str) -> Result<u32, String> {
    let text = text.trim();
    text.parse().map_err(|_| format!("\"{}\" is no value for {sysctl}: write a whole number", Untrusted::from(text)))
}
