//! Making evidence and remedies, and figures that more than one finding rests on.

use plimsoll_model::{Evidence, NamedBy, Namespace, NamespaceSnapshot, Range, Relation, Remedy, Slab, Snapshot};

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

/// Bytes that an entry of this namespace takes: the slab's object, and extensions as far as the entries that were read
/// show them. What a dump does not show (event cache, policies, masquerading) is in the upper bound.
pub fn bytes_per_entry(slab: Option<Slab>, ns: &NamespaceSnapshot) -> Range {
    /// The smallest block of extensions (`NF_CT_EXT_PREALLOC` in `nf_conntrack_extend.c`).
    const SMALLEST_BLOCK_BYTES: f64 = 128.0;
    let unread = Range { low: *OBJECT_BYTES.start(), high: *OBJECT_BYTES.end() };
    let object = slab.map_or(unread, |slab| Range::exact(slab.object_bytes));
    let extended = ns.census.as_ref().map_or(0.0, |census| {
        census.extensions.iter().map(|group| group.count.share.low).fold(*EXTENSION_BYTES.start() as f64, f64::max)
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 128")]
    let least = (extended * SMALLEST_BLOCK_BYTES) as u64;
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

/// What filters a flood or a scan before it is tracked.
pub(crate) fn shield(ns: &NamespaceSnapshot) -> Remedy {
    Remedy {
        action: "Have that done for a while: what is too many is counted first, and dropped once you have seen whom it hits."
            .to_string(),
        command: in_namespace(ns, "plimsoll shield"),
    }
}

/// A command, run where the entries are. Only by a name that stays what it is in a shell, and that still means the
/// same namespace when the command is run: a process's number may be another's by then.
pub(crate) fn in_namespace(ns: &NamespaceSnapshot, command: &str) -> Option<String> {
    let Namespace { name, named_by, relation, .. } = &ns.namespace;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match relation {
        Relation::Own => Some(command.to_string()),
        Relation::Other => {
            let is_safe = name.as_str().chars().all(is_plain) && !name.as_str().starts_with('-');
            (*named_by == NamedBy::Given && is_safe).then(|| format!("ip netns exec {name} {command}"))
        }
    }
}
