//! Making evidence and remedies, and figures that more than one finding rests on.

use plimsoll_model::{Evidence, NamespaceSnapshot, Range, Remedy, Slab, Snapshot};

use crate::thresholds::{EXTENSION_BYTES, OBJECT_BYTES};
use crate::words::{bytes, grouped};

pub(crate) fn number(key: &'static str, value: f64, text: String) -> Evidence {
    Evidence { key, value: Some(value), text }
}

pub(crate) fn fact(key: &'static str, text: String) -> Evidence {
    Evidence { key, value: None, text }
}

pub(crate) fn advice(action: impl Into<String>) -> Remedy {
    Remedy { action: action.into(), command: None }
}

pub(crate) fn command(action: impl Into<String>, command: impl Into<String>) -> Remedy {
    Remedy { action: action.into(), command: Some(command.into()) }
}

/// Bytes that an entry takes: the slab's object, and extensions as far as the entries that were read show them. What a
/// dump does not show (event cache, policies, masquerading) is in the upper bound.
pub(crate) fn bytes_per_entry(slab: Option<Slab>, ns: &NamespaceSnapshot) -> Range {
    let object = slab.map_or(Range { low: *OBJECT_BYTES.start(), high: *OBJECT_BYTES.end() }, |slab| {
        Range::exact(slab.object_bytes)
    });
    let visible =
        ns.census.as_ref().is_some_and(|census| census.extensions.iter().any(|group| group.count.share.low > 0.5));
    // The smallest block of extensions is 128 bytes (NF_CT_EXT_PREALLOC).
    let least = if visible { 128 } else { *EXTENSION_BYTES.start() };
    Range { low: object.low + least, high: object.high + EXTENSION_BYTES.end() }
}

/// The remedy that a full table asks for first, with its price.
pub(crate) fn raise_capacity(snapshot: &Snapshot, ns: &NamespaceSnapshot, to_entries: u64) -> Remedy {
    let per_entry = bytes_per_entry(snapshot.slab, ns);
    let (least, most) = (to_entries * per_entry.low, to_entries * per_entry.high);
    let price = format!(
        "{} entries take {} to {} of memory when the table is full",
        grouped(to_entries),
        bytes(least),
        bytes(most)
    );
    let fits = match snapshot.host.available_bytes {
        Some(available) if most > available => {
            return advice(format!(
                "Raising the limit to {} is no way out: {price}, and {} are available. Free memory, or reduce the \
                 entries.",
                grouped(to_entries),
                bytes(available)
            ));
        }
        Some(available) => format!("{price}; {} are available", bytes(available)),
        None => format!("{price}; how much is available could not be read"),
    };
    command(
        format!(
            "Raise the limit, at once and without a reboot ({fits}). It is one value for all namespaces, set in the \
             host's own; leave the buckets alone for now, a resize rehashes everything."
        ),
        format!("sysctl -w net.netfilter.nf_conntrack_max={to_entries}"),
    )
}

/// The limit that holds in a namespace.
pub(crate) fn limit(ns: &NamespaceSnapshot) -> Option<u32> {
    ns.capacity.and_then(plimsoll_model::Capacity::limit)
}
