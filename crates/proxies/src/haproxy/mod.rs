//! `HAProxy`: its configuration language, and what it does by it.

mod judge;
mod lines;
mod sections;
mod settings;

use std::path::Path;

use crate::files::{Bounded, MOST_WRITTEN_BYTES};
use crate::rewrite::Source;
use crate::{Configuration, Error, Files, Version};

/// Reads a configuration of several files, in the order in which `HAProxy` is given them.
///
/// The version decides the default of `http-reuse`: `safe` since 2.0, which is taken where no version is given.
///
/// # Errors
/// If a file cannot be read, if the files are more than the bounds, or if `HAProxy` would not start with them.
pub fn read<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    files: &dyn Files,
    version: Option<Version>,
) -> Result<Configuration, Error> {
    let mut bounded = Bounded::new(files, MOST_WRITTEN_BYTES);
    let mut sources = Vec::new();
    for path in paths {
        sources.push(Source::new(path, bounded.read_needed(path)?));
    }
    let all = sections::Sections::read(&sources)?;
    Ok(judge::judged(&sources, &all, version))
}
