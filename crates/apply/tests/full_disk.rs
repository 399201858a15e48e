//! A journal that cannot be written. In a program of its own: the limit that stands for a full disk is the whole process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;

use plimsoll_apply::{Because, Ground, Journal, Phase, Progress, Root, Undone, undo};

use support::{Fake, Folder, NOBODY, applied, timeout, undo_now};

/// `SIGXFSZ` (`signal(7)`).
const SIGXFSZ: i32 = 25;

#[test]
fn a_journal_that_cannot_be_written_stops_no_undo() {
    let (folder, fake) = (Folder::new(), Fake::default());
    fake.set(timeout(), 120);
    let state = folder.state();
    drop(applied(&state, &fake, 1, &[(timeout(), 30)]));
    // Writes past the limit of a file's size fail as those to a full disk do, once its signal (SIGXFSZ) is taken.
    let mut journal = Journal::resume(&state, 1, &NOBODY).unwrap();
    let length = fs::metadata(state.journal(1)).unwrap().len();
    let old = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    let _ignored = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default()).unwrap();
    let limited = rustix::process::Rlimit { current: Some(length), ..old };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limited).unwrap();
    let unwritten = undo(&mut journal, &Ground::There(&fake), &Root::at("/nowhere"), Because::NotConfirmed);
    rustix::process::setrlimit(rustix::process::Resource::Fsize, old).unwrap();
    assert_eq!(fake.get(timeout()), 120);
    assert_eq!(unwritten.len(), 3, "undoing, undone, ended: {unwritten:?}");
    assert_eq!(journal.application().phase, Phase::Ended);
    // Whoever reads the journal tries again, and finds that nothing is to be done.
    let mut journal = Journal::resume(&state, 1, &NOBODY).unwrap();
    let application = undo_now(&mut journal, &fake);
    assert_eq!(application.changes, [Progress::Undone(Undone::NothingToDo)]);
}
