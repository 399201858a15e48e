//! `/proc/<pid>/net/stat/nf_conntrack`: the counters of a network namespace.

use plimsoll_model::{Counter, CounterReading, CpuCounters, Occupancy, Untrusted};

use crate::columns::{Columns, Row};
use crate::text::Text;
use crate::{Error, HostFs, NetFiles};

/// What the file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// One element a line: a line for each possible CPU.
    pub counters: CounterReading,
    /// The namespace's entries, which each line repeats; `None` if no column is headed `entries`.
    pub occupancy: Option<Occupancy>,
    /// Columns whose meaning is not known.
    pub unknown: Vec<Untrusted>,
}

impl HostFs {
    /// The counters, 32 bits each that wrap, by the words of their header. Some distribution kernels have no such
    /// file (`CONFIG_NF_CONNTRACK_PROCFS`): then [`Error::is_absent`].
    pub fn statistics(&self, from: NetFiles) -> Result<Statistics, Error> {
        parse(&self.read_net(from, "stat/nf_conntrack")?)
    }
}

/// Columns that the kernel heads so but counts nothing in, and `entries`, which is no counter (`ct_cpu_seq_show` in
/// `nf_conntrack_standalone.c`, as it was and as it is).
const NO_COUNTERS: [&str; 6] = ["entries", "searched", "new", "ignore", "delete", "delete_list"];

fn parse(text: &Text) -> Result<Statistics, Error> {
    let mut lines = text.lines();
    let header = lines.next().ok_or_else(|| text.error("has no header"))?;
    let columns = Columns::new(header.words());
    let mut statistics =
        Statistics { counters: CounterReading::default(), occupancy: None, unknown: unknown(header.words()) };
    for line in lines {
        let row = columns.row(line)?;
        if header.words().any(|word| word == b"entries") {
            statistics.occupancy = Some(Occupancy(hex(&row, row.get("entries")?)?));
        }
        statistics.counters.cpus.push(cpu(&row)?);
    }
    if statistics.counters.cpus.is_empty() {
        return Err(text.error("has a header and no line"));
    }
    Ok(statistics)
}

fn cpu(row: &Row<'_>) -> Result<CpuCounters, Error> {
    let mut counters = CpuCounters::default();
    for (word, value) in row.cells() {
        let Some(counter) = counter(word) else { continue };
        if counters.get(counter).is_some() {
            return Err(row.line().error(word, "heads more than one column"));
        }
        counters.set(counter, hex(row, value)?);
    }
    Ok(counters)
}

fn counter(word: &[u8]) -> Option<Counter> {
    Counter::from_proc_header(std::str::from_utf8(word).ok()?)
}

fn unknown<'a>(header: impl Iterator<Item = &'a [u8]>) -> Vec<Untrusted> {
    let is_known = |word: &[u8]| counter(word).is_some() || NO_COUNTERS.iter().any(|known| known.as_bytes() == word);
    header.filter(|word| !is_known(word)).map(Untrusted::from_bytes).collect()
}

fn hex(row: &Row<'_>, word: &[u8]) -> Result<u32, Error> {
    std::str::from_utf8(word)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| row.line().error(word, "is not a hexadecimal number of 32 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    const FILE: &str = "proc/thread-self/net/stat/nf_conntrack";

    fn parsed(content: impl AsRef<[u8]>) -> Result<Statistics, Error> {
        let tree = Tree::new();
        tree.write(FILE, content);
        tree.host().statistics(NetFiles::OfThread)
    }

    #[test]
    fn counters_of_6_18_are_read_by_name() {
        let statistics = fixture("kernel-6.18").statistics(NetFiles::OfThread).unwrap();
        assert_eq!(statistics.occupancy, Some(Occupancy(87)));
        assert_eq!(statistics.counters.cpus.len(), 2);
        assert_eq!(statistics.counters.total(Counter::Drop), Some(0x1f + 2));
        assert_eq!(statistics.counters.total(Counter::ClashResolved), Some(1));
        assert_eq!(statistics.counters.total(Counter::ChainTooLong), Some(7));
        assert!(statistics.unknown.is_empty(), "{:?}", statistics.unknown);
    }

    #[test]
    fn the_same_columns_of_5_4_are_other_counters_and_are_not_taken_for_them() {
        let statistics = fixture("kernel-5.4").statistics(NetFiles::OfThread).unwrap();
        assert_eq!(statistics.occupancy, Some(Occupancy(0x100)));
        assert_eq!(statistics.counters.total(Counter::ClashResolved), None);
        assert_eq!(statistics.counters.total(Counter::ChainTooLong), None);
        assert_eq!(statistics.counters.total(Counter::Found), Some(2));
        assert_eq!(statistics.counters.total(Counter::Drop), Some(0x20));
        assert_eq!(statistics.counters.total(Counter::SearchRestart), Some(0xffff_fffe));
        assert!(statistics.unknown.is_empty(), "{:?}", statistics.unknown);
    }

    #[test]
    fn columns_in_another_order_or_unknown_change_nothing() {
        let statistics = parsed("drop sparkles entries\n0000000a 5 00000003\n").unwrap();
        assert_eq!(statistics.counters.total(Counter::Drop), Some(10));
        assert_eq!(statistics.occupancy, Some(Occupancy(3)));
        assert_eq!(statistics.unknown, [Untrusted::from("sparkles")]);
    }

    #[test]
    fn a_line_with_more_or_fewer_values_than_the_header_is_an_error_that_names_it() {
        for short in ["entries drop\n1 2\n3\n", "entries drop\n1 2\n3 4 5\n"] {
            assert!(matches!(parsed(short), Err(Error::Malformed { line: Some(3), .. })), "{short:?}");
        }
    }

    #[test]
    fn hostile_content_is_an_error() {
        for hostile in [
            b"".as_slice(),
            b"\n\n",
            b"entries drop\n",
            b"entries drop\n1 123456789\n",
            b"entries drop\n1 +2\n",
            b"entries drop\n1 -2\n",
            b"entries drop\n1 \xff\xff\n",
            b"drop drop\n1 2\n",
            b"entries entries\n1 2\n",
            b"\xff\xfe\n",
        ] {
            assert!(parsed(hostile).is_err(), "{hostile:?}");
        }
    }
}
