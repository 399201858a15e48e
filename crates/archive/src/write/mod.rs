//! Rows into files.

mod cells;
mod event;
mod limits;
mod schema;
mod segment;
mod settings;
mod writer;

pub(crate) use cells::{GroupWriter, List, Optional, Required};
pub use event::Event;
pub use limits::Limits;
pub use writer::Writer;
