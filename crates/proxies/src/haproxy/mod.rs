//! `HAProxy`: its configuration language, and what it does by it.

mod judge;
mod lines;
mod sections;
mod settings;

use std::path::Path;

use crate::rewrite::Source;
use crate::{Bounded, Configuration, Error, Version};

/// Reads a configuration of several files, in the order in which `HAProxy` is given them.
///
/// The version decides the default of `http-reuse`: `safe` since 2.0, `never` before; before 1.6 there is none. Without it all are told, and
/// what is written is what those since 1.6 take.
///
/// # Errors
/// If a file cannot be read, if the files are more than the limits or take longer than they may, or if `HAProxy` would not start with them.
pub fn read<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    files: &mut Bounded<'_>,
    version: Option<Version>,
) -> Result<Configuration, Error> {
    let mut sources = Vec::new();
    for path in paths {
        sources.push(Source::new(path, files.read_needed(path)?));
    }
    let all = sections::Sections::read(&sources, &mut files.budget)?;
    let first = sources.first().map_or(Path::new(""), |source| &source.path);
    judge::judged(&sources, &all, version, &files.budget).map_err(|short| short.at(first))
}
