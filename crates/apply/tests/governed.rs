//! What a governor has set, undone: whatever of a move was made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_apply::{
    Author, Because, Begun, Change, Current, Event, Ground, JOURNAL_SCHEMA, Journal, Kind, Move, NamespaceKind, Phase,
    Progress, Root, StateDir, Undone, Where, reverts, undo,
};
use plimsoll_model::{Edit, Sysctl};

use support::{Fake, Folder, NOBODY, timeout, undo_now};

/// Nothing is moved yet: the timeout is 120, and may become 15.
fn governed<'a>(folder: &StateDir, fake: &Fake) -> Journal<'a> {
    fake.set(timeout(), 120);
    let changes = vec![Change { edit: Edit::Sysctl { sysctl: timeout(), from: 120, to: 15 }, why: String::new() }];
    let current = Current { sysctls: fake.sysctls.borrow().clone(), ..Current::default() };
    let begun = Begun {
        schema: JOURNAL_SCHEMA.to_string(),
        id: 1,
        kind: Kind::Governed,
        boot_id: "a-boot".to_string(),
        by: Author::default(),
        namespace: Where { name: "host".to_string(), inode: 1, kind: NamespaceKind::Host },
        reverts: reverts(&changes, &current, 1).unwrap(),
        changes,
        soak_ms: 0,
        confirm_within_ms: 0,
        last_deadline_ms: u64::MAX,
        probe: None,
        baseline: None,
    };
    Journal::begin(folder, begun, &NOBODY).unwrap()
}

fn moving(journal: &mut Journal<'_>, to: u32) {
    journal.append(Event::Moving { moves: vec![Move { change: 0, to }] }).unwrap();
}

fn moved(journal: &mut Journal<'_>, fake: &Fake, to: u32) {
    moving(journal, to);
    fake.set(timeout(), to);
    journal.append(Event::Moved).unwrap();
}

#[test]
fn a_move_that_was_announced_is_undone_whether_it_was_made_or_not() {
    let folder = Folder::new();
    // What is found, and what becomes of it.
    for (number, (found, left, result)) in
        [(60, 120, Undone::Restored), (90, 120, Undone::Restored), (120, 120, Undone::NothingToDo)]
            .into_iter()
            .enumerate()
    {
        let fake = Fake::default();
        let state = StateDir::create(&folder.path().join(number.to_string())).unwrap();
        let mut journal = governed(&state, &fake);
        moved(&mut journal, &fake, 90);
        moving(&mut journal, 60);
        assert_eq!(journal.application().ours(0), [60, 90]);
        fake.set(timeout(), found);
        let application = undo_now(&mut journal, &fake);
        assert_eq!((fake.get(timeout()), application.phase), (left, Phase::Ended));
        assert_eq!(application.changes, [Progress::Undone(result)]);
    }
}

#[test]
fn what_is_no_value_of_the_governors_is_left() {
    let (folder, fake) = (Folder::new(), Fake::default());
    let mut journal = governed(&folder.state(), &fake);
    moved(&mut journal, &fake, 90);
    moved(&mut journal, &fake, 60);
    // It was the governor's once.
    fake.set(timeout(), 90);
    let application = undo_now(&mut journal, &fake);
    assert_eq!(fake.get(timeout()), 90);
    assert!(matches!(application.changes[0], Progress::Undone(Undone::Superseded { .. })), "{application:#?}");
}

#[test]
fn an_undo_that_fails_forgets_neither_value() {
    let (folder, fake) = (Folder::new(), Fake::default());
    let mut journal = governed(&folder.state(), &fake);
    moved(&mut journal, &fake, 90);
    moving(&mut journal, 60);
    fake.refuses.set(Some(timeout()));
    assert_eq!(undo_now(&mut journal, &fake).phase, Phase::Undoing);
    fake.refuses.set(None);
    drop(journal);
    let mut journal = Journal::resume(&folder.state(), 1, &NOBODY).unwrap();
    assert_eq!((undo_now(&mut journal, &fake).phase, fake.get(timeout())), (Phase::Ended, 120));
}

#[test]
fn what_was_never_moved_is_not_touched_and_another_boot_has_nothing_of_it() {
    let (folder, fake) = (Folder::new(), Fake::default());
    let mut journal = governed(&folder.state(), &fake);
    assert!(journal.application().ours(0).is_empty() && journal.application().outcome() == "governed");
    fake.set(timeout(), 15);
    assert_eq!((undo_now(&mut journal, &fake).phase, fake.get(timeout())), (Phase::Ended, 15));

    let (folder, fake) = (Folder::new(), Fake::default());
    let mut journal = governed(&folder.state(), &fake);
    moved(&mut journal, &fake, 60);
    undo(&mut journal, &Ground::Gone, &Root::at("/nowhere"), Because::GovernorLost);
    assert_eq!((journal.application().phase, fake.get(timeout())), (Phase::Ended, 60));
    assert_eq!(journal.application().changes, [Progress::Undone(Undone::Gone)]);
}

#[test]
fn moves_of_what_is_not_governed_make_no_sense() {
    let (folder, fake) = (Folder::new(), Fake::default());
    let state = folder.state();
    let mut journal = governed(&state, &fake);
    journal.append(Event::Moving { moves: vec![Move { change: 7, to: 60 }] }).unwrap_err();
    assert!(plimsoll_apply::history(state.path()).unwrap_err().to_string().contains("it has no change 7"));
}

#[test]
fn a_journal_of_before_there_were_governors_is_read_as_ever() {
    let (folder, fake) = (Folder::new(), Fake::default());
    let state = folder.state();
    let sysctl: Sysctl = timeout();
    fake.set(sysctl, 120);
    drop(support::applied(&state, &fake, 1, &[(sysctl, 30)]));
    let text = std::fs::read_to_string(state.journal(1)).unwrap();
    assert!(!text.contains("kind\":\"once"), "it looks as before: {text}");
    assert_eq!(plimsoll_apply::history(state.path()).unwrap()[0].begun.kind, Kind::Once);
}
