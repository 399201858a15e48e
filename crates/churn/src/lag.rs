//! Expired entries that are still counted.

use plimsoll_model::Interval;

/// How long an expired entry stays in the count: until gc comes by (`gc_worker` in `nf_conntrack_core.c`: each 1 to 60 s
/// since 5.15, by the mean time left of all namespaces' entries), a dump passes, or a look-up in its bucket.
pub(crate) const LAG_SECS: Interval = Interval { low: 0.0, value: 20.0, high: 60.0 };
