//! Envoy: its bootstrap in YAML or JSON, and what its admin interface tells (`/config_dump`).

mod document;
mod judge;

use std::path::Path;

use crate::rewrite::Source;
use crate::{Bounded, Configuration, Error};

/// Reads a bootstrap, or a dump of the configuration in force: `/config_dump?include_eds` of the admin interface. Which one
/// it is, the file tells.
///
/// # Errors
/// If the file cannot be read, if it is more than the limits ([`crate::Limits::DUMP`] suits a dump) or takes longer than it may, or if it is neither YAML nor JSON.
pub fn read(path: &Path, files: &mut Bounded<'_>) -> Result<Configuration, Error> {
    let source = Source::new(path, files.read_needed(path)?);
    let top = document::parse(&source, &mut files.budget)?;
    judge::judged(&source, &top, &files.budget).map_err(|short| short.at(path))
}
