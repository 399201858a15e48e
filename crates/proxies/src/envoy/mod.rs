//! Envoy: its bootstrap in YAML or JSON, and what its admin interface tells (`/config_dump`).

mod document;
mod judge;

use std::path::Path;

use crate::files::{Bounded, MOST_DUMPED_BYTES};
use crate::rewrite::Source;
use crate::{Configuration, Error, Files};

/// Reads a bootstrap, or a dump of the configuration in force: `/config_dump?include_eds` of the admin interface. Which one
/// it is, the file tells.
///
/// # Errors
/// If the file cannot be read, if it is larger than the bounds, or if it is neither YAML nor JSON.
pub fn read(path: &Path, files: &dyn Files) -> Result<Configuration, Error> {
    let source = Source::new(path, Bounded::new(files, MOST_DUMPED_BYTES).read_needed(path)?);
    let top = document::parse(&source)?;
    Ok(judge::judged(&source, &top))
}
