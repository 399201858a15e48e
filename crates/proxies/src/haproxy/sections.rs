//! `HAProxy`'s sections, and what each inherits.

use std::collections::BTreeMap;

use super::lines::{Fault, Line, lines};
use crate::budget::Budget;
use crate::rewrite::Source;
use crate::{Error, Place};

/// What a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Defaults,
    Frontend,
    Backend,
    Listen,
    /// Anything that passes nothing on.
    Other,
}

/// A section.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    /// The line that begins it.
    pub(super) head: Line,
    pub(super) lines: Vec<Line>,
    /// The defaults that hold for it, by their place in the list.
    pub(super) defaults: Option<usize>,
    /// What is wrong with where it inherits from.
    pub(super) unknown_defaults: bool,
}

impl Section {
    /// Its name; empty where it has none.
    pub(super) fn name(&self) -> &str {
        match self.head.word(1) {
            "from" => "",
            name => name,
        }
    }

    pub(super) fn has_frontend(&self) -> bool {
        matches!(self.kind, Kind::Frontend | Kind::Listen)
    }

    pub(super) fn has_backend(&self) -> bool {
        matches!(self.kind, Kind::Backend | Kind::Listen)
    }
}

/// All sections, in their order over all files.
#[derive(Debug)]
pub(super) struct Sections {
    pub(super) list: Vec<Section>,
}

impl Sections {
    pub(super) fn read(sources: &[Source], budget: &mut Budget<'_>) -> Result<Self, Error> {
        let mut list: Vec<Section> = Vec::new();
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        let mut last_defaults = None;
        for (number, source) in sources.iter().enumerate() {
            let syntax = |fault: Fault| Error::syntax(Place::new(&source.path, fault.line), fault.problem);
            let lines =
                lines(&source.bytes, number, budget).map_err(|stop| Error::stopped(stop, &source.path, syntax))?;
            for line in lines {
                let Some(kind) = kind(line.word(0)) else {
                    match list.last_mut() {
                        Some(section) => section.lines.push(line),
                        // Directives for the preprocessor may stand before everything.
                        None if line.word(0).starts_with('.') => {}
                        None => {
                            let place = Place::new(&source.path, line.number);
                            return Err(Error::syntax(place, "a line outside of any section"));
                        }
                    }
                    continue;
                };
                let from =
                    line.words.iter().position(|word| word.text == "from").map(|at| line.word(at + 1).to_string());
                let found = from.as_deref().map(|name| named.get(name).copied());
                let defaults = match (kind, found) {
                    (_, Some(found)) => found,
                    // Defaults begin anew.
                    (Kind::Defaults, None) => None,
                    (_, None) => last_defaults,
                };
                let unknown_defaults = found.is_some_and(|found| found.is_none());
                let section = Section { kind, head: line, lines: Vec::new(), defaults, unknown_defaults };
                if kind == Kind::Defaults {
                    last_defaults = Some(list.len());
                    if !section.name().is_empty() {
                        named.insert(section.name().to_string(), list.len());
                    }
                }
                list.push(section);
            }
        }
        Ok(Self { list })
    }
}

/// What a word begins, if it begins a section.
fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "defaults" => Kind::Defaults,
        "frontend" => Kind::Frontend,
        "backend" => Kind::Backend,
        "listen" => Kind::Listen,
        "global" | "peers" | "resolvers" | "cache" | "userlist" | "mailers" | "program" | "ring" | "fcgi-app"
        | "http-errors" | "log-forward" | "log-profile" | "traces" | "crt-store" | "acme" => Kind::Other,
        _ => return None,
    })
}
