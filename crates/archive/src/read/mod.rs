//! Files into rows.
//!
//! The footer is parsed by the crate `parquet`; pages are not, because its decoders panic on damaged ones (a data page
//! that asks for a dictionary where there is none, for instance), and a recording may come from anybody. What is read
//! here is what this crate writes, and what the usual programs write when they have rewritten a file: pages of both
//! versions, plain, by dictionary or as differences, not compressed or with snappy.

mod archive;
mod cells;
mod delta;
mod file;
mod hybrid;
mod input;
mod page;
mod thrift;
mod values;

pub use archive::{Archive, Rows};
pub(crate) use cells::{List, Optional, Required};
pub(crate) use file::{Group, RecordingFile};
