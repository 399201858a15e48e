//! Network namespaces with tables full of entries, on the real kernel, for tests and benches.
//!
//! Everything happens in namespaces of the lab's own, which are removed when they are dropped; what a killed run left
//! behind is swept by the next one. Global settings are never touched: what needs them runs in a [`guest`].

mod fill;
pub mod guest;
mod namespace;

pub use fill::{Kind, entries, mixed_entries};
pub use namespace::{Error, LabNamespace};
