//! Segments: when they end, which are removed, where a recording may go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::time::Duration;

use plimsoll_archive::{Archive, Error, Event, Limits, Writer};
use plimsoll_recording::{Addresses, Change, Origin, Row};

use support::{BEGAN, Folder, gap, life, origin, reading, setting};

fn begin(folder: &Folder, limits: Limits) -> Writer {
    let (writer, events) = Writer::begin(folder.path(), &origin(), limits).unwrap();
    assert_eq!(events, []);
    writer
}

fn bytes_of(folder: &Folder) -> u64 {
    let tables = ["lives", "gaps", "readings", "changes"];
    let files = tables.iter().flat_map(|table| fs::read_dir(folder.path().join(table)).unwrap());
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_segment_ends_when_it_is_old_enough_and_the_next_begins_with_the_settings() {
    let folder = Folder::new();
    let mut writer = begin(&folder, Limits { segment_lasts: Duration::from_mins(1), ..Limits::default() });
    let _ = writer.write_change(&setting("nf_conntrack_max", 1)).unwrap();
    let _ = writer.write_change(&setting("nf_conntrack_max", 2)).unwrap();
    let _ = writer.write_change(&setting("nf_conntrack_udp_timeout", 30)).unwrap();
    assert_eq!(writer.tick(BEGAN.plus(Duration::from_secs(59))).unwrap(), []);
    let later = BEGAN.plus(Duration::from_mins(1));
    let events = writer.tick(later).unwrap();
    assert!(matches!(events[..], [Event::Closed { segment, .. }] if segment.number == 1), "{events:?}");
    let _ = writer.write(&Row::Reading(reading(61))).unwrap();
    let _ = writer.finish(later).unwrap();
    for table in ["lives", "gaps", "readings", "changes"] {
        let names = ["20261126T020304Z-000001.parquet", "20261126T020404Z-000002.parquet"];
        assert_eq!(folder.names(table), names, "{table}");
    }
    let archive = Archive::open(folder.path()).unwrap();
    let changes: Vec<_> = archive.changes().unwrap().map(Result::unwrap).collect();
    let again = |name, value| Change { at: later, from: None, ..setting(name, value) };
    let second = [again("nf_conntrack_max", 2), again("nf_conntrack_udp_timeout", 30)];
    assert_eq!(changes[3..], second);
    assert_eq!(archive.readings().unwrap().map(Result::unwrap).collect::<Vec<_>>(), [reading(61)]);
}

#[test]
fn a_segment_in_which_nothing_happened_goes_on() {
    let folder = Folder::new();
    let mut writer = begin(&folder, Limits { segment_lasts: Duration::from_mins(1), ..Limits::default() });
    assert_eq!(writer.tick(BEGAN.plus(Duration::from_hours(1))).unwrap(), []);
    assert_eq!(folder.names("lives"), [".000001.open"]);
}

#[test]
fn segments_end_by_size_and_the_oldest_are_removed_to_keep_within_the_space() {
    const TOTAL: u64 = 5_000_000;
    const MORE: u64 = 2_500_000;
    let folder = Folder::new();
    let mut writer = begin(&folder, Limits { segment_bytes: 1, total_bytes: TOTAL, ..Limits::default() });
    let _ = writer.write_change(&setting("nf_conntrack_max", 7)).unwrap();
    let mut events = Vec::new();
    for number in 0..300_000 {
        let told = writer.write_life(&life(number)).unwrap();
        if !told.is_empty() {
            assert!(bytes_of(&folder) <= TOTAL + MORE);
        }
        events.extend(told);
    }
    events.extend(writer.finish(BEGAN).unwrap());
    let closed: Vec<_> = events.iter().filter(|event| matches!(event, Event::Closed { .. })).collect();
    let removed: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Removed { segment, .. } = event { Some(segment) } else { None })
        .collect();
    assert_eq!(closed.len(), 10, "{events:?}");
    assert!((3..9).contains(&removed.len()), "{events:?}");
    assert!(bytes_of(&folder) <= TOTAL);
    assert!(removed.iter().zip(1..).all(|(segment, number)| segment.number == number));
    assert_eq!(folder.names("changes").len(), 10 - removed.len());

    // What is left is the newest, without a hole, and tells its settings.
    let archive = Archive::open(folder.path()).unwrap();
    let first = 32_768 * u32::try_from(removed.len()).unwrap();
    assert!(archive.lives().unwrap().map(Result::unwrap).eq((first..300_000).map(life)));
    let settings = archive.changes().unwrap().map(Result::unwrap).filter(|change| change.to.as_deref() == Some("7"));
    assert_eq!(settings.count(), 10 - removed.len());
}

#[test]
fn a_recording_goes_on_where_it_ended_and_each_beginning_is_told() {
    let folder = Folder::new();
    let mut writer = begin(&folder, Limits::default());
    let _ = writer.write_gap(&gap(1)).unwrap();
    let _ = writer.finish(BEGAN).unwrap();
    let again = Origin { began_at: BEGAN.plus(Duration::from_hours(24)), kernel: "6.18.0".to_string(), ..origin() };
    let (mut writer, events) = Writer::begin(folder.path(), &again, Limits::default()).unwrap();
    assert_eq!(events, []);
    let _ = writer.write_gap(&gap(2)).unwrap();
    // What is closed is read while the other is open.
    assert_eq!(Archive::open(folder.path()).unwrap().gaps().unwrap().map(Result::unwrap).collect::<Vec<_>>(), [gap(1)]);
    let _ = writer.finish(again.began_at).unwrap();
    assert_eq!(folder.names("gaps"), ["20261126T020304Z-000001.parquet", "20261127T020304Z-000002.parquet"]);
    let archive = Archive::open(folder.path()).unwrap();
    assert_eq!(archive.origins(), [origin(), again]);
    assert_eq!(archive.gaps().unwrap().map(Result::unwrap).collect::<Vec<_>>(), [gap(1), gap(2)]);
}

#[test]
fn no_recording_goes_on_as_another_and_none_is_laid_into_what_is_not_its_own() {
    let folder = Folder::new();
    let _ = begin(&folder, Limits::default()).finish(BEGAN).unwrap();
    let others = [
        (Origin { host: None, ..origin() }, "whose host is gateway, and this one's is not told"),
        (Origin { namespace: "pod".to_string(), ..origin() }, "whose network namespace is host"),
        (Origin { addresses: Addresses::Hidden, ..origin() }, "whose kind of addresses is plain"),
    ];
    for (other, message) in others {
        let error = Writer::begin(folder.path(), &other, Limits::default()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    for name in ["notes.txt", "lives/notes.txt", "lives/x.parquet"] {
        let path = folder.path().join(name);
        fs::write(&path, "").unwrap();
        let error = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap_err();
        assert!(matches!(&error, Error::Occupied { found, .. } if *found == path), "{error}");
        fs::remove_file(path).unwrap();
    }
    assert!(Writer::begin(folder.path(), &origin(), Limits::default()).is_ok());
}

#[test]
fn two_do_not_record_into_one_directory() {
    let folder = Folder::new();
    let writer = begin(&folder, Limits::default());
    let error = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    drop(writer);
    assert_eq!(folder.names("lives"), [""; 0]);
    assert!(Writer::begin(folder.path(), &origin(), Limits::default()).is_ok());
}

#[test]
fn others_cannot_read_what_is_recorded() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let _ = begin(&folder, Limits::default()).finish(BEGAN).unwrap();
    let file = folder.path().join("lives/20261126T020304Z-000001.parquet");
    assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
}

/// All four files were whole when a crash came between the first and the last of their names.
#[test]
fn a_segment_that_has_some_of_its_names_gets_the_rest() {
    let folder = Folder::new();
    let mut writer = begin(&folder, Limits::default());
    let _ = writer.write_gap(&gap(1)).unwrap();
    let _ = writer.finish(BEGAN).unwrap();
    for table in ["gaps", "readings", "changes"] {
        let name = folder.path().join(table).join("20261126T020304Z-000001.parquet");
        fs::rename(name, folder.path().join(table).join(".000001.open")).unwrap();
    }
    let (writer, events) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
    assert!(matches!(events[..], [Event::LeftoverClosed { segment }] if segment.number == 1), "{events:?}");
    drop(writer);
    assert_eq!(Archive::open(folder.path()).unwrap().gaps().unwrap().count(), 1);
}
