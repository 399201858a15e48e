//! The kernel's log of full tables, from `/dev/kmsg`.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plimsoll_model::{Inode, KernelLog, LogOccurrences};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, HostFs};

/// What one read of `/dev/kmsg` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    /// A record: `priority,sequence,microseconds,flags[,…];text`, then lines that begin with a space.
    Line(Vec<u8>),
    /// Records were overwritten before they could be read (EPIPE).
    Overwritten,
}

impl HostFs {
    /// What is left in the log of lines that say that a table was full. `now` is `CLOCK_MONOTONIC`. printk's clock
    /// (`local_clock()`) runs beside that one without being steered by NTP, so on a long uptime the ages are off by
    /// some seconds a day. Each reader has a place of its own in the log: reading takes nothing from others.
    ///
    /// EPERM where `kernel.dmesg_restrict` is set and `CAP_SYSLOG` is missing.
    pub fn kernel_log(&self, now: Duration) -> Result<KernelLog, Error> {
        let path = self.path("/dev/kmsg");
        // Containers put other things in this place (a console, /dev/null), that must not be read or would seem an
        // empty log.
        if self.metadata("/dev/kmsg")?.rdev() != rustix::fs::makedev(1, 11) {
            return Err(Error::Malformed { path, line: None, item: Vec::new(), problem: "is not the kernel's log" });
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(file) => scan_records(Records { file, path, buffer: vec![0; MAX_RECORD_BYTES] }.take(MAX_RECORDS), now),
            Err(errno) => Err(Error::System { action: "open", path, source: errno.into() }),
        }
    }
}

/// Finds the lines of full tables among records.
///
/// Only what the kernel itself has logged counts: a record that user space wrote into `/dev/kmsg` has a facility other
/// than 0, which user space cannot claim (`devkmsg_write` in `kernel/printk/printk.c`). And only lines that *begin* with
/// the message: a device may call itself by it.
fn scan_records(records: impl IntoIterator<Item = Result<Record, Error>>, now: Duration) -> Result<KernelLog, Error> {
    let mut log = KernelLog::default();
    let mut named = BTreeMap::new();
    let mut is_first = true;
    for record in records {
        match record? {
            Record::Overwritten => log.truncated = true,
            Record::Line(bytes) => {
                let line = parse(&bytes).ok_or_else(|| malformed(&bytes))?;
                // Sequence numbers begin with 0 at boot.
                log.truncated |= is_first && line.sequence > 0;
                let secs_ago = now.saturating_sub(line.at).as_secs();
                match line.full_table() {
                    Some(FullTable::Unnamed) => note(&mut log.unnamed, secs_ago),
                    Some(FullTable::Named(inode)) => note(named.entry(inode).or_insert(None), secs_ago),
                    None => {}
                }
            }
        }
        is_first = false;
    }
    log.named = named.into_iter().filter_map(|(inode, seen)| Some((inode, seen?))).collect();
    Ok(log)
}

fn note(seen: &mut Option<LogOccurrences>, secs_ago: u64) {
    let before = seen.unwrap_or(LogOccurrences { first_secs_ago: secs_ago, last_secs_ago: secs_ago, lines: 0 });
    *seen = Some(LogOccurrences { last_secs_ago: secs_ago, lines: before.lines.saturating_add(1), ..before });
}

/// What can be told from a record.
struct Line<'a> {
    facility: u64,
    sequence: u64,
    at: Duration,
    text: &'a [u8],
}

enum FullTable {
    Unnamed,
    Named(Inode),
}

/// `Documentation/ABI/testing/dev-kmsg`.
fn parse(record: &[u8]) -> Option<Line<'_>> {
    let end = record.iter().position(|byte| *byte == b';')?;
    let (prefix, text) = (record.get(..end)?, record.get(end + 1..)?);
    let mut fields = std::str::from_utf8(prefix).ok()?.split(',');
    let priority: u64 = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let microseconds = fields.next()?.parse().ok()?;
    Some(Line {
        facility: priority >> 3,
        sequence,
        at: Duration::from_micros(microseconds),
        text: text.split(|byte| *byte == b'\n').next()?,
    })
}

impl Line<'_> {
    /// `__nf_conntrack_alloc` in `nf_conntrack_core.c`. The prefix is there once or twice: by `pr_fmt`, and in the
    /// message.
    fn full_table(&self) -> Option<FullTable> {
        if self.facility != 0 {
            return None;
        }
        let once = self.text.strip_prefix(PREFIX)?;
        let rest = once.strip_prefix(PREFIX).unwrap_or(once).strip_prefix(b"table full")?;
        Some(named_in(rest).map_or(FullTable::Unnamed, FullTable::Named))
    }
}

const PREFIX: &[u8] = b"nf_conntrack: ";

fn named_in(rest: &[u8]) -> Option<Inode> {
    let number = rest.strip_prefix(b" in netns ")?.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(number).ok()?.parse().ok().map(Inode)
}

fn malformed(record: &[u8]) -> Error {
    Error::Malformed {
        path: PathBuf::from("/dev/kmsg"),
        line: None,
        item: record.iter().take(80).copied().collect(),
        problem: "is not a record",
    }
}

/// The kernel gives whole records or EINVAL; none is longer (`PRINTKRB_RECORD_MAX`, before `CONSOLE_EXT_LOG_MAX`).
const MAX_RECORD_BYTES: usize = 8192;

/// Ends a reading that would never catch up with what is being written. The largest log has fewer.
const MAX_RECORDS: usize = 1 << 22;

struct Records {
    file: OwnedFd,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl Iterator for Records {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return match rustix::io::read(&self.file, &mut self.buffer) {
                Ok(0) | Err(Errno::AGAIN) => None,
                Ok(length) => Some(Ok(Record::Line(self.buffer.iter().take(length).copied().collect()))),
                Err(Errno::PIPE) => Some(Ok(Record::Overwritten)),
                Err(Errno::INTR) => continue,
                Err(errno) => Some(Err(unreadable(&self.path, errno))),
            };
        }
    }
}

fn unreadable(path: &Path, errno: Errno) -> Error {
    Error::System { action: "read", path: path.to_owned(), source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    const NOW: Duration = Duration::from_secs(1000);

    fn scan(records: &[&str]) -> Result<KernelLog, Error> {
        scan_records(records.iter().map(|record| Ok(Record::Line(record.as_bytes().to_vec()))), NOW)
    }

    #[test]
    fn both_forms_are_counted_apart_with_the_times_of_the_first_and_the_last() {
        let log = scan(&[
            "5,0,0,-;Linux version 6.18.44\n",
            "4,1,100000000,-;nf_conntrack: nf_conntrack: table full, dropping packet\n",
            "4,2,200000000,-,caller=T12;nf_conntrack: table full, dropping packet.\n SUBSYSTEM=x\n",
            "4,3,300500000,-;nf_conntrack: nf_conntrack: table full in netns 4026532219, dropping packet\n",
            "4,4,900000000,c;nf_conntrack: table full in netns 4026532219, dropping packet\n",
            "4,5,999999999,-;nf_conntrack: nf_conntrack: table full in netns 7, dropping packet\n",
        ])
        .unwrap();
        assert_eq!(log.unnamed, Some(LogOccurrences { first_secs_ago: 900, last_secs_ago: 800, lines: 2 }));
        assert_eq!(
            log.named,
            [
                (Inode(7), LogOccurrences { first_secs_ago: 0, last_secs_ago: 0, lines: 1 }),
                (Inode(4_026_532_219), LogOccurrences { first_secs_ago: 699, last_secs_ago: 100, lines: 2 }),
            ]
        );
        assert!(!log.truncated);
    }

    #[test]
    fn a_line_that_anybody_could_have_written_does_not_count() {
        let log = scan(&[
            "12,0,1,-;nf_conntrack: nf_conntrack: table full, dropping packet\n",
            "30,1,1,-;nf_conntrack: nf_conntrack: table full in netns 1, dropping packet\n",
            "6,2,1,-;usb 1-1: Product: nf_conntrack: table full, dropping packet\n",
            "6,3,1,-;nf_conntrack: expectation table full\n",
            "6,4,1,-;x\nnf_conntrack: table full, dropping packet\n",
        ]);
        assert_eq!(log.unwrap(), KernelLog::default());
    }

    #[test]
    fn overwritten_records_are_noticed_at_the_beginning_and_in_between() {
        assert!(scan(&["6,17,1,-;x\n"]).unwrap().truncated);
        assert!(!scan(&["6,0,1,-;x\n", "6,17,1,-;x\n"]).unwrap().truncated);
        let line = |text: &str| Ok(Record::Line(text.as_bytes().to_vec()));
        let full = "4,9,1,-;nf_conntrack: table full, dropping packet";
        let log = scan_records([line("6,0,1,-;x"), Ok(Record::Overwritten), line(full)], NOW).unwrap();
        assert!(log.truncated);
        assert_eq!(log.unnamed.map(|seen| seen.lines), Some(1));
    }

    #[test]
    fn a_namespace_that_is_no_number_and_a_time_to_come_do_no_harm() {
        let log = scan(&["4,0,18446744073709551615,-;nf_conntrack: table full in netns 99999999999999999999, x\n"]);
        assert_eq!(log.unwrap().unnamed, Some(LogOccurrences { first_secs_ago: 0, last_secs_ago: 0, lines: 1 }));
    }

    #[test]
    fn hostile_records_are_errors() {
        for hostile in ["", ";", "4;x", "4,1;x", "a,1,1,-;x", "4,1,-1,-;x", "4,1,1,-", "4,99999999999999999999,1,-;x"] {
            assert!(matches!(scan(&[hostile]), Err(Error::Malformed { .. })), "{hostile:?}");
        }
        let bytes = [Ok(Record::Line(b"4,\xff,1,-;x".to_vec()))];
        assert!(scan_records(bytes, NOW).is_err());
    }

    #[test]
    fn what_stands_in_the_place_of_the_log_is_not_read() {
        let tree = Tree::new();
        tree.link("dev/kmsg", "/dev/null");
        assert!(matches!(tree.host().kernel_log(NOW), Err(Error::Malformed { .. })));
    }
}
