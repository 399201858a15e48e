//! NGINX: its configuration language, and what it does by it.

mod judge;
mod literal;
mod lua;
mod pass;
mod request;
mod scope;
mod tree;
mod verdict;
mod words;

use std::path::Path;

use crate::{Bounded, Configuration, Error, Version};

/// Reads a configuration from its first file, and the files that it includes. Those are named relative to the first one's folder.
///
/// The version decides what holds where nothing is said: since 1.29.7 connections to upstreams are kept by default. Without
/// it the older defaults are taken, what is written holds for both, and it says so (`cautions`).
///
/// # Errors
/// If the first file cannot be read, if the files are more than the limits or take longer than they may, or if NGINX would not start with them.
pub fn read(first: &Path, files: &mut Bounded<'_>, version: Option<Version>) -> Result<Configuration, Error> {
    let tree = tree::Tree::read(first, files)?;
    judge::judged(&tree, version, &files.budget).map_err(|short| short.at(first))
}
