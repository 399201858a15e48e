//! From connections that a proxy opens anew for each request to the line of its configuration.
//!
//! [`nginx::read`], [`haproxy::read`] and [`envoy::read`] turn a program's files into a [`Configuration`]: its upstreams, and of each
//! whether connections to it are kept, why not, and what to write. [`advise`] picks those that a [`Churn`] is about, and
//! reckons what keeping would save. [`configuration_of`] says which files a running process has read, [`version_in`] which version it is.
//!
//! Nothing here does I/O or has a clock: files come through [`Files`], within the [`Limits`] and the time of [`Bounded`]. What is not understood is kept as a [`Gap`], never guessed.

mod advice;
mod budget;
mod configuration;
pub mod envoy;
mod error;
mod files;
pub mod haproxy;
pub mod nginx;
mod program_file;
mod rewrite;
mod running;
mod target;
mod version;

pub use advice::{Advice, Churn, ClientAdvice, Match, ProxyAdvice, Saving, advise};
pub use budget::{Counted, Limits};
pub use configuration::{Configuration, Gap, Keeping, Opens, Place, Pool, Program, Reason, Remedy, Upstream, Write};
pub use error::Error;
pub use files::{Bounded, Files};
pub use program_file::version_in;
pub use rewrite::{Rewrite, Stale, rewritten};
pub use running::{CommandLine, NotTold, Running, configuration_of};
pub use target::{Address, Target};
pub use version::{NoVersion, Version};
