//! What is known of a host, as metrics. Their names and labels are promises: docs/monitoring.md lists them, with how many figures
//! there are at most.

mod compat;
mod family;
mod own;
mod process;
mod tables;

pub use family::{Family, Format, Kind, Sample};
pub(crate) use own::VERSION;
pub use own::{Governing, Own, Telling};

use crate::status::Status;

/// Metrics of the host and its tables; with those of `node_exporter`'s names where they are asked for.
pub fn of_tables(status: &Status, names: Names) -> Vec<Family> {
    let mut families = tables::of_host(status);
    families.extend(tables::of_tables(status));
    if names == Names::AndNodeExporters {
        families.extend(compat::of_node_exporter(status));
    }
    families
}

/// Metrics of the daemon itself.
pub fn of_daemon(own: &Own) -> Vec<Family> {
    own::families(own)
}

/// Metrics of the daemon's process, under the names that every exporter has for its own: not for a file that another exporter
/// reads.
pub fn of_process() -> Vec<Family> {
    process::families()
}

/// Under which names figures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Plimsoll's.
    Own,
    /// Plimsoll's, and those that `node_exporter` has for some of them.
    AndNodeExporters,
}

/// A family of gauges.
fn gauge(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
    Family { name, kind: Kind::Gauge, help, samples }
}

/// A family of counters.
fn counter(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
    Family { name, kind: Kind::Counter, help, samples }
}

/// A figure without labels, where it is known.
fn alone(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| Sample { labels: Vec::new(), value }).into_iter().collect()
}
