//! Recordings as Parquet files in a directory, written and read.
//!
//! A directory has a folder for each [`Table`]: `lives`, `gaps`, `readings`, `changes`. A segment is a stretch of time, and
//! one file of the same name in each folder, `20261126T020304Z-000001.parquet`: when it began, and its number. So
//! `SELECT … FROM 'DIR/lives/*.parquet'` is all that `DuckDB` needs. While a segment is open its files are called
//! `.000001.open`, which no such pattern matches; closing writes their footers, brings them to the disk and renames them.
//!
//! What a crash leaves open is lost, and what was closed is whole. [`Writer`] bounds the space; [`Archive`] reads while a
//! recorder writes. [`columns`] lists what each table holds.
//!
//! ```
//! use plimsoll_archive::{Archive, Limits, Writer};
//! use plimsoll_recording::{Addresses, Change, ChangeKind, Origin, Row, Sources, UnixMicros};
//!
//! # let whole = tempfile::tempdir().unwrap();
//! # let folder = whole.path().join("web.rec");
//! let origin = Origin {
//!     written_by: "0.1.0".to_string(),
//!     kernel: "6.12.0".to_string(),
//!     host: None,
//!     namespace: "host".to_string(),
//!     began_at: UnixMicros(1_795_658_584_000_000),
//!     sources: Sources::Looks,
//!     addresses: Addresses::Plain,
//! };
//! let began = Change { at: origin.began_at, kind: ChangeKind::Began, what: "recording".to_string(), from: None, to: None };
//! let (mut writer, _) = Writer::begin(&folder, &origin, Limits::default())?;
//! writer.write(&Row::Change(began.clone()))?;
//! writer.finish(origin.began_at)?;
//!
//! let archive = Archive::open(&folder)?;
//! assert_eq!(archive.origins(), [origin]);
//! let changes = archive.changes()?.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(changes, [began]);
//! # Ok::<(), plimsoll_archive::Error>(())
//! ```

mod column;
mod directory;
mod error;
mod footer;
mod kind;
mod read;
mod segment;
mod tables;
mod word;
mod write;

pub use column::{Cells, Column, Shape, Table, columns};
pub use error::{Error, Problem};
pub use footer::VERSION;
pub use read::{Archive, Rows};
pub use segment::Segment;
pub use write::{Event, Limits, Writer};
