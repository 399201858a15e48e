//! The kernel's statistics of one namespace.

use serde::{Serialize, Serializer};

/// A counter of `struct ip_conntrack_stat`. The four that the kernel no longer counts (`new`, `ignore`, `delete`,
/// `searched`) are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Counter {
    /// Clashes of a NAT tuple that was found in use.
    Found,
    /// Packets that could not be tracked.
    Invalid,
    /// Entries made through ctnetlink; those that packets make are not counted here.
    Insert,
    /// Entries that could not be inserted: clashes that could not be resolved, chains too long.
    InsertFailed,
    /// Packets dropped because an entry could not be had.
    Drop,
    /// Entries killed to make room when the table was full.
    EarlyDrop,
    /// ICMP errors that could not be tracked.
    IcmpError,
    /// Expectations that were fulfilled.
    ExpectNew,
    /// Expectations made.
    ExpectCreate,
    /// Expectations removed.
    ExpectDelete,
    /// Look-ups begun anew because the table was resized meanwhile.
    SearchRestart,
    /// Clashes resolved by merging.
    ClashResolved,
    /// Inserts refused because a chain was too long.
    ChainTooLong,
}

impl Counter {
    /// Every counter.
    pub const ALL: [Self; 13] = [
        Self::Found,
        Self::Invalid,
        Self::Insert,
        Self::InsertFailed,
        Self::Drop,
        Self::EarlyDrop,
        Self::IcmpError,
        Self::ExpectNew,
        Self::ExpectCreate,
        Self::ExpectDelete,
        Self::SearchRestart,
        Self::ClashResolved,
        Self::ChainTooLong,
    ];

    /// The word that heads the counter's column in `/proc/net/stat/nf_conntrack`. The kernel reused the columns of
    /// counters that it dropped, so only the header tells what a column is; `chainlength` counts chains too long.
    pub fn from_proc_header(word: &str) -> Option<Self> {
        Some(match word {
            "found" => Self::Found,
            "invalid" => Self::Invalid,
            "insert" => Self::Insert,
            "insert_failed" => Self::InsertFailed,
            "drop" => Self::Drop,
            "early_drop" => Self::EarlyDrop,
            "icmp_error" => Self::IcmpError,
            "expect_new" => Self::ExpectNew,
            "expect_create" => Self::ExpectCreate,
            "expect_delete" => Self::ExpectDelete,
            "search_restart" => Self::SearchRestart,
            "clashres" => Self::ClashResolved,
            "chainlength" => Self::ChainTooLong,
            _ => return None,
        })
    }

    /// Name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Invalid => "invalid",
            Self::Insert => "insert",
            Self::InsertFailed => "insert_failed",
            Self::Drop => "drop",
            Self::EarlyDrop => "early_drop",
            Self::IcmpError => "icmp_error",
            Self::ExpectNew => "expect_new",
            Self::ExpectCreate => "expect_create",
            Self::ExpectDelete => "expect_delete",
            Self::SearchRestart => "search_restart",
            Self::ClashResolved => "clash_resolved",
            Self::ChainTooLong => "chain_too_long",
        }
    }
}

/// One CPU's counters: 32 bits each that wrap; `None` where the kernel does not show one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters([Option<u32>; Counter::ALL.len()]);

impl CpuCounters {
    /// A counter's value.
    pub const fn get(&self, counter: Counter) -> Option<u32> {
        self.0[counter as usize]
    }

    /// Notes a counter's value.
    pub const fn set(&mut self, counter: Counter, value: u32) {
        self.0[counter as usize] = Some(value);
    }
}

/// All CPUs' counters at one moment, in the order of the CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterReading {
    /// One element a CPU.
    pub cpus: Vec<CpuCounters>,
}

impl CounterReading {
    /// The sum over all CPUs since boot (or since a CPU's counter last wrapped); `None` if the kernel does not show it.
    pub fn total(&self, counter: Counter) -> Option<u64> {
        self.sum(|cpu| self.cpus.get(cpu)?.get(counter).map(u64::from))
    }

    /// Packets dropped because the table was full, approximately, since boot; as [`CounterChange::full_table_drops`].
    pub fn full_table_drops(&self) -> Option<u64> {
        full_table_drops(|counter| self.total(counter))
    }

    /// What was counted since an earlier reading; each CPU's counter may have wrapped once.
    pub fn since(&self, earlier: &Self) -> CounterChange {
        CounterChange(Counter::ALL.map(|counter| {
            self.sum(|cpu| {
                let now = self.cpus.get(cpu)?.get(counter)?;
                let before = earlier.cpus.get(cpu)?.get(counter)?;
                Some(u64::from(now.wrapping_sub(before)))
            })
        }))
    }

    /// Whether this can be a later reading of the same namespace's counters: none rose by half its range. A namespace that has
    /// taken over the inode of one that is gone counts from 0.
    pub fn can_follow(&self, earlier: &Self) -> bool {
        let rose = |counter| {
            self.cpus.iter().zip(&earlier.cpus).map(move |(now, before)| (now.get(counter), before.get(counter)))
        };
        let is_small = |(now, before): (Option<u32>, Option<u32>)| {
            now.zip(before).is_none_or(|(now, before)| now.wrapping_sub(before) < u32::MAX / 2)
        };
        self.cpus.len() == earlier.cpus.len() && Counter::ALL.into_iter().flat_map(rose).all(is_small)
    }

    fn sum(&self, of_cpu: impl Fn(usize) -> Option<u64>) -> Option<u64> {
        if self.cpus.is_empty() {
            return None;
        }
        (0..self.cpus.len()).map(of_cpu).sum()
    }
}

impl Serialize for CounterReading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Counter::ALL.iter().filter_map(|c| self.total(*c).map(|total| (c.name(), total))))
    }
}

/// What was counted between two readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterChange([Option<u64>; Counter::ALL.len()]);

impl CounterChange {
    /// How much a counter rose.
    pub const fn get(&self, counter: Counter) -> Option<u64> {
        self.0[counter as usize]
    }

    /// Packets dropped because the table was full, approximately. A drop for a failed insert raises `drop` too, a
    /// chain too long raises only `insert_failed`, so: `drop − (insert_failed − chain_too_long)`.
    pub fn full_table_drops(&self) -> Option<u64> {
        full_table_drops(|counter| self.get(counter))
    }
}

fn full_table_drops(count: impl Fn(Counter) -> Option<u64>) -> Option<u64> {
    // Kernels before 5.15 have no chain cap and do not show the counter.
    let chain_too_long = count(Counter::ChainTooLong).unwrap_or(0);
    Some(count(Counter::Drop)?.saturating_sub(count(Counter::InsertFailed)?.saturating_sub(chain_too_long)))
}

impl Serialize for CounterChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Counter::ALL.iter().filter_map(|c| self.get(*c).map(|change| (c.name(), change))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(values: &[(Counter, &[u32])]) -> CounterReading {
        let cpus = values.first().map_or(0, |(_, v)| v.len());
        let mut reading = CounterReading { cpus: vec![CpuCounters::default(); cpus] };
        for (counter, per_cpu) in values {
            for (cpu, value) in per_cpu.iter().enumerate() {
                reading.cpus[cpu].set(*counter, *value);
            }
        }
        reading
    }

    #[test]
    fn a_counter_that_wraps_on_one_cpu_is_still_a_small_change() {
        let before = reading(&[(Counter::Drop, &[u32::MAX - 1, 10])]);
        let after = reading(&[(Counter::Drop, &[3, 12])]);
        assert_eq!(after.since(&before).get(Counter::Drop), Some(7));
    }

    #[test]
    fn counters_that_fell_are_of_another_namespace() {
        let old = reading(&[(Counter::Drop, &[10, 700]), (Counter::Found, &[1, 1])]);
        assert!(old.can_follow(&old));
        assert!(reading(&[(Counter::Drop, &[10, 900]), (Counter::Found, &[1, 1])]).can_follow(&old));
        assert!(!reading(&[(Counter::Drop, &[900, 0]), (Counter::Found, &[1, 1])]).can_follow(&old));
        assert!(!reading(&[(Counter::Drop, &[900])]).can_follow(&old));
        let wraps = reading(&[(Counter::Drop, &[u32::MAX - 1])]);
        assert!(reading(&[(Counter::Drop, &[3])]).can_follow(&wraps));
    }

    #[test]
    fn a_counter_that_is_not_shown_is_unknown_and_not_zero() {
        let before = reading(&[(Counter::Drop, &[1])]);
        assert_eq!(before.total(Counter::EarlyDrop), None);
        assert_eq!(before.since(&before).get(Counter::EarlyDrop), None);
        assert_eq!(CounterReading::default().total(Counter::Drop), None);
    }

    #[test]
    fn clashes_and_long_chains_are_not_drops_of_a_full_table() {
        let zero = reading(&[(Counter::Drop, &[0]), (Counter::InsertFailed, &[0]), (Counter::ChainTooLong, &[0])]);
        // 5 clashes raise both, 7 long chains raise insert_failed alone, 30 packets met a full table.
        let after = reading(&[(Counter::Drop, &[35]), (Counter::InsertFailed, &[12]), (Counter::ChainTooLong, &[7])]);
        assert_eq!(after.since(&zero).full_table_drops(), Some(30));
    }
}
