//! Files that make settings last, and those of others that are in the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;

use plimsoll_apply::{NewFile, Root, Undone, Written, edit, restore, write};

use support::Folder;

#[test]
fn files_are_restored_unless_somebody_has_changed_them() {
    let folder = Folder::new("files");
    let root = Root::at(&folder.0);
    let file =
        |contents: &str| NewFile { path: "/etc/sysctl.d/90-plimsoll.conf".into(), contents: contents.to_string() };
    let path = folder.0.join("etc/sysctl.d/90-plimsoll.conf");

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
    fs::write(folder.0.join("elsewhere"), "x").unwrap();
    std::os::unix::fs::symlink(folder.0.join("elsewhere"), &path).unwrap();
    assert!(edit(&root, &file("c = 3\n")).is_err());
    assert_eq!(fs::read_to_string(folder.0.join("elsewhere")).unwrap(), "x");
}
