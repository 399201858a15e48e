//! Expired entries that are still counted.
//!
//! An expired entry stays in the count until gc comes by, a dump passes, or a look-up in its bucket. `gc_worker` in
//! `nf_conntrack_core.c` walks the whole hash, within two seconds or so (262,144 buckets, on Linux 6.18), and then waits for
//! as long as the entries that it saw had left on the average, between 1 and 60 s (since 5.15); each counts for at most
//! 300 s.

use plimsoll_model::Census;
use plimsoll_model::Interval;

const MOST_SECS: f64 = 60.0;

/// How long an expired entry stays in the count. Its value is half of what gc waits where all namespaces are like this
/// one; at its ends nothing of that is assumed, for gc sees all namespaces, and a long wait may date from before.
pub(crate) fn lag_secs(census: &Census) -> Interval {
    const ENTRY_MOST_SECS: u32 = 300;
    let left = census.drawn.iter().filter_map(|drawn| drawn.entry.remaining_secs);
    let (count, sum) =
        left.fold((0.0, 0.0), |(count, sum), secs| (count + 1.0, sum + f64::from(secs.clamp(1, ENTRY_MOST_SECS))));
    let waits_secs = if count == 0.0 { MOST_SECS } else { (sum / count).clamp(1.0, MOST_SECS) };
    Interval { low: 0.0, value: waits_secs / 2.0, high: MOST_SECS }
}
