//! What `plimsoll record` does not do, and what it says then. Needs root, `ip`, `nft` and `setpriv`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use plimsoll_lab::LabNamespace;
use support::recording::{Folder, Recorder, Rows};
use support::{Run, as_nobody, plimsoll};

fn assert_refused(run: &Run, said: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    for said in said {
        assert!(run.stderr.contains(said), "{said:?}: {}", run.stderr);
    }
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
}

#[test]
fn what_it_cannot_make_sense_of_is_named() {
    let folder = Folder::new();
    let to = &folder.of("web.rec");
    for (arguments, said) in [
        (&["record"][..], "--to <DIR>"),
        (&["record", "--to", to, "--netns", "no-such\u{1b}[31m"], "there is no network namespace"),
        (&["record", "--to", to, "--anonymize-key", to], "--anonymize"),
        (&["record", "--to", to, "--look-at", "0"], "--look-at"),
        (&["record", "--to", to, "--look-every", "0"], "--look-every"),
        (&["record", "--to", to, "--duration", "soon"], "--duration"),
        (&["record", "--to", to, "--max-disk", "much"], "--max-disk"),
    ] {
        assert_refused(&plimsoll(arguments), &[said]);
    }
    assert!(
        !folder.path().join("web.rec").exists(),
        "nothing is made before it is known that there is something to record"
    );
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let (namespace, folder) = (LabNamespace::tracking().unwrap(), Folder::new());
    fs::write(folder.path().join("thesis.txt"), "all of it").unwrap();
    let run = plimsoll(&["record", "--to", folder.path().to_str().unwrap(), "--netns", namespace.name()]);
    assert_refused(&run, &["is not a recording's: it holds", "thesis.txt", "choose an empty or new directory"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let file = folder.of("thesis.txt");
    assert_refused(&plimsoll(&["record", "--to", &file, "--netns", namespace.name()]), &["thesis.txt"]);
    assert_eq!(fs::read_to_string(file).unwrap(), "all of it");
}

#[test]
fn two_do_not_record_into_one_directory() {
    let (namespace, folder) = (LabNamespace::tracking().unwrap(), Folder::new());
    let to = folder.of("web.rec");
    let first = Recorder::listening(&namespace, &to, &[]);
    let second = plimsoll(&["record", "--to", &to, "--netns", namespace.name()]);
    assert_refused(&second, &["another process records into", "web.rec", "choose another directory"]);
    assert_eq!(first.interrupt().code, 0);
    Rows::of(&to);
}

#[test]
fn another_namespace_or_kind_of_recording_does_not_go_into_the_same_directory() {
    let (one, other, folder) = (LabNamespace::tracking().unwrap(), LabNamespace::tracking().unwrap(), Folder::new());
    let to = folder.of("web.rec");
    let record = |namespace: &LabNamespace, more: &[&str]| {
        let arguments = ["record", "--to", &to, "--netns", namespace.name(), "--duration", "1s"];
        plimsoll(&arguments.iter().chain(more).copied().collect::<Vec<_>>())
    };
    assert_eq!(record(&one, &[]).code, 0);
    assert_refused(&record(&other, &[]), &["network namespace", one.name(), other.name()]);
    assert_refused(&record(&one, &["--no-events"]), &["source", "events_and_looks"]);
    assert_refused(&record(&one, &["--anonymize"]), &["host"]);
    assert_eq!(record(&one, &[]).code, 0, "the same goes on");
}

#[test]
fn events_that_are_switched_off_are_said_to_be_and_nothing_is_left_in_the_way() {
    let (namespace, folder) = (LabNamespace::tracking().unwrap(), Folder::new());
    let to = folder.of("web.rec");
    namespace.set("net/netfilter/nf_conntrack_events", 0).unwrap();
    let run = plimsoll(&["record", "--to", &to, "--netns", namespace.name(), "--quiet"]);
    let said =
        "net.netfilter.nf_conntrack_events is 0: the kernel sends no events. Set it to 2, or record with --no-events";
    assert_refused(&run, &[said]);
    // What it said helps.
    let run = plimsoll(&["record", "--to", &to, "--netns", namespace.name(), "--no-events", "--duration", "1s"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(Rows::of(&to).lives.is_empty());
}

#[test]
fn without_the_right_it_says_which() {
    let (namespace, folder) = (LabNamespace::tracking().unwrap(), Folder::new());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let to = folder.of("web.rec");
    let here = as_nobody(&["record", "--to", &to, "--quiet"]);
    assert_refused(&here, &["it takes root, or CAP_NET_ADMIN"]);
    let here = as_nobody(&["record", "--to", &to, "--quiet", "--no-events"]);
    assert_refused(&here, &["it takes root, or CAP_NET_ADMIN"]);
    let there = as_nobody(&["record", "--to", &to, "--quiet", "--netns", namespace.name()]);
    assert_eq!((there.code, there.stdout.as_str()), (3, ""), "{there:?}");
    assert!(
        there.stderr.contains("root, or CAP_SYS_ADMIN") || there.stderr.contains("there is no network namespace"),
        "{there:?}"
    );

    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let elsewhere = as_nobody(&["record", "--to", &folder.of("other.rec"), "--quiet"]);
    assert_refused(
        &elsewhere,
        &["other.rec", "Permission denied", "it takes the rights of whom it belongs to, or root"],
    );
}
