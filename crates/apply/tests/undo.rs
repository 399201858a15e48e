//! What is undone, what is left, what is held: against settings that no kernel has, and a journal in a folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::Write;

use plimsoll_apply::{
    Author, Because, Error, Ground, Journal, Persistence, Phase, Progress, Root, StateDir, Undone, Which, confirm,
    history, holds, pending, rollback, undo,
};
use plimsoll_model::{Occupancy, Sysctl};

use support::{Fake, Folder, NOBODY, applied, shielded, timeout, undo_now};

#[test]
fn what_is_still_ours_is_restored_and_what_is_not_is_left() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    fake.set(Sysctl::BUCKETS, 65_536);
    let mut journal = applied(&folder.state(), &fake, 1, &[(timeout(), 30), (Sysctl::BUCKETS, 100_000)]);
    assert_eq!(fake.get(Sysctl::BUCKETS), 100_352, "whole pages");
    fake.set(timeout(), 45);
    let application = undo_now(&mut journal, &fake);
    assert_eq!((fake.get(timeout()), fake.get(Sysctl::BUCKETS)), (45, 65_536));
    assert_eq!(application.phase, Phase::Ended);
    assert!(matches!(application.changes[0], Progress::Undone(Undone::Superseded { .. })));
    assert_eq!(application.changes[1], Progress::Undone(Undone::Restored));
}

#[test]
fn capacity_stays_above_the_entries_until_they_are_fewer() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(Sysctl::CAPACITY, 1000);
    fake.set(timeout(), 120);
    let state = folder.state();
    let mut journal = applied(&state, &fake, 1, &[(Sysctl::CAPACITY, 5000), (timeout(), 30)]);
    let mut length = None;
    for fullest in [None, Some(910), Some(4000)] {
        fake.fullest.set(fullest);
        let application = undo_now(&mut journal, &fake);
        assert_eq!((application.phase, fake.get(Sysctl::CAPACITY)), (Phase::Undoing, 5000), "{fullest:?}");
        assert_eq!(fake.get(timeout()), 120, "what can be undone is");
        let fresh = fullest.map_or("not known".to_string(), |entries| format!("has {entries} entries"));
        assert!(matches!(application.remaining()[..], [Undone::Held { reason }] if reason.contains(&fresh)));
        let grown = length.replace(fs::metadata(state.journal(1)).unwrap().len());
        assert!(grown.is_none() || grown == length, "a journal does not grow by trying again, though the table does");
    }
    assert!(pending(state.path()).unwrap()[0].contains("HELD"));
    fake.fullest.set(Some(909));
    assert_eq!(undo_now(&mut journal, &fake).phase, Phase::Ended);
    assert_eq!(fake.get(Sysctl::CAPACITY), 1000);
}

#[test]
fn a_shield_is_removed_if_it_is_that_one_and_what_was_not_enforced_is_not_undone() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(Sysctl::TCP_LOOSE, 1);
    let mut journal = shielded(&folder.state(), &fake, 1);
    // Somebody else's wish: in shadow nothing was written.
    fake.set(Sysctl::TCP_LOOSE, 0);
    let application = undo_now(&mut journal, &fake);
    assert_eq!((fake.shield.get(), fake.get(Sysctl::TCP_LOOSE), application.phase), (None, 0, Phase::Ended));
    let restored = Progress::Undone(Undone::Restored);
    assert_eq!(application.changes, [Progress::Untouched, restored.clone(), restored]);
    assert_eq!(*fake.stage.borrow(), None);

    fake.set(Sysctl::TCP_LOOSE, 1);
    let mut journal = shielded(&folder.state(), &fake, 2);
    fake.shield.set(Some(3));
    let others = fake.stage.take().map(|(stage, _)| (stage, 3));
    fake.stage.replace(others.clone());
    let application = undo_now(&mut journal, &fake);
    let nothing = Progress::Undone(Undone::NothingToDo);
    assert_eq!((fake.shield.get(), &application.changes[1..]), (Some(3), &[nothing.clone(), nothing][..]));
    assert_eq!(*fake.stage.borrow(), others);
}

#[test]
fn a_tenth_of_room_is_the_least_and_0_is_no_limit() {
    for (capacity, fullest, expected) in
        [(110, 100, true), (109, 100, false), (0, u32::MAX, true), (u32::MAX, u32::MAX, false), (1, 0, true)]
    {
        assert_eq!(holds(capacity, Occupancy(fullest)), expected, "{capacity} {fullest}");
    }
}

#[test]
fn an_undo_that_fails_says_what_remains_and_can_be_done_again() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    fake.set(Sysctl::TCP_LOOSE, 1);
    let state = folder.state();
    let mut journal = applied(&state, &fake, 1, &[(timeout(), 30), (Sysctl::TCP_LOOSE, 0)]);
    fake.refuses.set(Some(Sysctl::TCP_LOOSE));
    let application = undo_now(&mut journal, &fake);
    assert_eq!((fake.get(timeout()), fake.get(Sysctl::TCP_LOOSE)), (120, 0));
    assert!(matches!(application.remaining()[..], [Undone::Failed { .. }]), "{application:#?}");
    fake.refuses.set(None);
    drop(journal);
    let mut journal = Journal::resume(&state, 1, &NOBODY).unwrap();
    assert_eq!(undo_now(&mut journal, &fake).phase, Phase::Ended);
    assert_eq!(fake.get(Sysctl::TCP_LOOSE), 1);
}

#[test]
fn a_limit_of_the_hosts_outlives_the_namespace_beside_which_it_was_set() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    fake.set(Sysctl::CAPACITY, 1000);
    fake.fullest.set(Some(0));
    let mut journal = applied(&folder.state(), &fake, 1, &[(timeout(), 30), (Sysctl::CAPACITY, 5000)]);
    fake.namespace_is_gone.set(true);
    let application = undo_now(&mut journal, &fake);
    assert_eq!((fake.get(timeout()), fake.get(Sysctl::CAPACITY)), (30, 1000));
    assert_eq!(application.changes, [Progress::Undone(Undone::Gone), Progress::Undone(Undone::Restored)]);
}

#[test]
fn after_another_boot_nothing_is_written() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    let mut journal = applied(&folder.state(), &fake, 1, &[(timeout(), 30)]);
    undo(&mut journal, &Ground::Gone, &Root::at("/nowhere"), Because::ApplierLost);
    assert_eq!((journal.application().phase, fake.get(timeout())), (Phase::Ended, 30));
    assert_eq!(journal.application().changes, [Progress::Undone(Undone::Gone)]);
}

#[test]
fn half_a_record_announces_nothing() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    let state = folder.state();
    drop(applied(&state, &fake, 1, &[(timeout(), 30)]));
    let path = state.journal(1);
    let whole = fs::read(&path).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"unix_secs\":1,\"boot").unwrap();
    assert!(matches!(history(state.path()).unwrap()[0].phase, Phase::Awaiting { .. }));
    let mut journal = Journal::resume(&state, 1, &NOBODY).unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert_eq!(undo_now(&mut journal, &fake).phase, Phase::Ended);

    // Whole lines that make no sense are no journal; nothing is guessed.
    for nonsense in ["\n", "{}\n", "{\"unix_secs\":1,\"boottime_ms\":1,\"record\":\"ended\"}\n"] {
        fs::write(&path, nonsense).unwrap();
        assert!(matches!(history(state.path()), Err(Error::Journal { .. })), "{nonsense:?}");
    }
}

/// A journal that makes no sense keeps nobody from undoing, or keeping, what another one tells, nor from being told of it.
#[test]
fn a_broken_journal_hides_no_other() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    let state = folder.state();
    fs::write(state.journal(1), "{}\n").unwrap();
    drop(applied(&state, &fake, 2, &[(timeout(), 30)]));
    let told = pending(state.path()).unwrap();
    assert!(told[0].contains("000001.jsonl") && told[1].contains("application 2"), "{told:?}");
    // It is of another boot.
    let late = confirm(state.path(), &Persistence::RuntimeOnly, Author::default(), &NOBODY).unwrap_err();
    assert!(late.to_string().contains("too late: application 2"), "{late}");
    for which in [Which::IfUnconfirmed(2), Which::Last, Which::Since(2)] {
        let rolled_back = rollback(state.path(), &Root::at("/nowhere"), which, &NOBODY);
        assert!(rolled_back.is_ok() || which == Which::Last, "{which:?}: {rolled_back:?}");
    }
    let phases = pending(state.path()).unwrap();
    assert_eq!(phases.len(), 1, "application 2 is undone: {phases:?}");
    assert!(rollback(state.path(), &Root::at("/nowhere"), Which::Since(1), &NOBODY).is_err(), "it is not passed over");
}

#[test]
fn who_looks_for_a_watchdog_makes_no_file() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    let state = folder.state();
    drop(applied(&state, &fake, 1, &[(timeout(), 30)]));
    let names = || fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let before = names();
    assert!(!state.watchdog_lives(1));
    pending(state.path()).unwrap();
    assert_eq!(names(), before);
}

#[test]
fn a_folder_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.state().path().to_owned();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(StateDir::open(&path), Err(Error::Unsafe { .. })));
}
