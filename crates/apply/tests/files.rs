//! Files that make settings last, and those of others that are in the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;

use plimsoll_apply::{
    Author, Confirmed, Event, Lasting, NewFile, Persistence, Phase, Root, StateDir, Undone, Written, confirm, edit,
    restore, write,
};
use plimsoll_model::Sysctl;

use support::{Fake, Folder, NOBODY, applied};

/// A confirmed application of which a file cannot be written, since a file is in the place of its folder.
fn confirmed_and_not_written(folder: &Folder, root: &Root) -> StateDir {
    let (state, fake) = (folder.state(), Fake::default());
    fake.set(Sysctl::TCP_LOOSE, 1);
    let mut journal = applied(&state, &fake, 1, &[(Sysctl::TCP_LOOSE, 0)]);
    let file = NewFile { path: "/etc/sysctl.d/90-plimsoll.conf".into(), contents: "a = 1\n".to_string() };
    let files = vec![edit(root, &file).unwrap()];
    journal.append(Event::Confirmed { by: Author::default(), files }).unwrap();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    fs::write(folder.path().join("etc/sysctl.d"), "").unwrap();
    state
}

fn confirm_again(state: &StateDir, persistence: &Persistence) -> Confirmed {
    confirm(state.path(), persistence, Author::default(), &NOBODY).unwrap()
}

#[test]
fn what_cannot_be_written_is_confirmed_all_the_same_and_written_later() {
    let folder = Folder::new();
    let root = Root::at(folder.path());
    let state = confirmed_and_not_written(&folder, &root);
    let files = Persistence::Files(root);
    let refused = confirm_again(&state, &files);
    assert!(refused.not_lasting[0].contains("tries again"), "{:?}", refused.not_lasting);
    assert_eq!(refused.application.phase, Phase::Confirmed(Lasting::ToBeWritten));
    fs::remove_file(folder.path().join("etc/sysctl.d")).unwrap();
    let written = confirm_again(&state, &files);
    assert_eq!((written.not_lasting.len(), written.application.phase), (0, Phase::Confirmed(Lasting::Written)));
    assert!(folder.path().join("etc/sysctl.d/90-plimsoll.conf").is_file());
}

#[test]
fn who_wants_no_files_any_more_is_not_asked_again() {
    let folder = Folder::new();
    let state = confirmed_and_not_written(&folder, &Root::at(folder.path()));
    let confirmed = confirm_again(&state, &Persistence::RuntimeOnly);
    assert_eq!(confirmed.application.phase, Phase::Confirmed(Lasting::Written));
    assert!(confirm(state.path(), &Persistence::RuntimeOnly, Author::default(), &NOBODY).is_err());
}

#[test]
fn files_are_restored_unless_somebody_has_changed_them() {
    let folder = Folder::new();
    let root = Root::at(folder.path());
    let file =
        |contents: &str| NewFile { path: "/etc/sysctl.d/90-plimsoll.conf".into(), contents: contents.to_string() };
    let path = folder.path().join("etc/sysctl.d/90-plimsoll.conf");

    let first = edit(&root, &file("a = 1\n")).unwrap();
    write(&root, &first).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# Written by plimsoll") && text.ends_with("\na = 1\n"), "{text}");
    let second = edit(&root, &file("a = 1\nb = 2\n")).unwrap();
    write(&root, &second).unwrap();
    write(&root, &second).unwrap();
    assert_eq!(restore(&root, &second), Undone::Restored);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(restore(&root, &first), Undone::Restored);
    assert_eq!(restore(&root, &first), Undone::NothingToDo);
    assert!(!path.exists());

    // One letter of somebody's, and it is theirs.
    write(&root, &first).unwrap();
    let theirs = text.replace("a = 1", "a = 7");
    fs::write(&path, &theirs).unwrap();
    assert!(matches!(restore(&root, &first), Undone::Superseded { .. }));
    assert!(edit(&root, &file("c = 3\n")).is_err());
    assert_eq!(write(&root, &first).unwrap(), Written::Theirs);
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);

    // So is a link, wherever it leads.
    fs::remove_file(&path).unwrap();
    fs::write(folder.path().join("elsewhere"), "x").unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    assert!(edit(&root, &file("c = 3\n")).is_err());
    assert_eq!(fs::read_to_string(folder.path().join("elsewhere")).unwrap(), "x");
}
