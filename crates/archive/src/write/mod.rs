//! Rows into files.

mod cells;
mod schema;
mod segment;
mod settings;
mod writer;

pub(crate) use cells::{GroupWriter, List, Optional, Required};
pub use writer::{Event, Limits, Writer};
