//! `plimsoll relieve` on a table that is really full. Needs root. The limit is the machine's, so it is never raised here: a share
//! of memory is given that bears no more. `guest_relieve.rs` raises it, in a guest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::UdpSocket;
use std::path::PathBuf;

use plimsoll_ctnetlink::NewEntry;
use plimsoll_host::HostFs;
use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::{Sysctl, TcpState};
use support::{Run, plimsoll_in};

/// A share of RAM that bears no entry more.
const NO_ROOM: [&str; 2] = ["--memory-share", "0.001%"];

/// Where journals and evidence are.
fn state_dir(lab: &LabNamespace) -> PathBuf {
    lab.folder().unwrap().join("state")
}

fn relieve(lab: &LabNamespace, arguments: &[&str]) -> Run {
    let state_dir = state_dir(lab);
    let folder = ["--state-dir", state_dir.to_str().unwrap()];
    plimsoll_in(lab, &[&["relieve", "--netns", "this"][..], &NO_ROOM, &folder, arguments].concat())
}

fn limit() -> u32 {
    HostFs::new().sysctl(Sysctl::CAPACITY).unwrap()
}

fn count(lab: &LabNamespace) -> u32 {
    lab.enter(|| HostFs::new().occupancy()).unwrap().unwrap().0
}

fn with_left(kind: Kind, count: u32, timeout_secs: u32) -> impl Iterator<Item = NewEntry> {
    entries(kind, 0, count).map(move |entry| NewEntry { timeout_secs, ..entry })
}

/// A full table: connections that are over, and silent for more than a minute; others that are open.
fn full() -> (LabNamespace, u32) {
    let lab = LabNamespace::tracking().unwrap();
    let open = limit() / 4;
    lab.fill(with_left(Kind::AssuredTcp(TcpState::Established), open, 400_000)).unwrap();
    lab.fill(with_left(Kind::AssuredTcp(TcpState::TimeWait), limit() - open, 50)).unwrap();
    (lab, open)
}

fn sends(lab: &LabNamespace) -> bool {
    lab.enter(|| UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"?", "127.0.0.1:9").is_ok()).unwrap()
}

#[test]
fn a_full_table_has_room_again_and_open_connections_are_all_there() {
    let (lab, open) = full();
    assert!(!sends(&lab), "the table is full");
    let mut relieved = relieve(&lab, &["--yes"]);
    // On a machine that is very busy it may take a second run to come through the table.
    if relieved.stdout.contains("the time was up") && relieved.code != 0 {
        relieved = relieve(&lab, &["--yes"]);
    }
    assert!(relieved.code == 0 && relieved.stdout.contains(" was relieved."), "{relieved:?}");
    assert!((open..open + 100).contains(&count(&lab)), "{} entries, {open} of them open", count(&lab));
    let open_left = lab.run(&["conntrack", "-L", "-p", "tcp", "--state", "ESTABLISHED"]).unwrap().lines().count();
    assert_eq!(open_left, usize::try_from(open).unwrap());
    assert!(sends(&lab), "new flows pass");
    assert!(
        relieved.stdout.contains("How long it will hold:") && relieved.stdout.contains("the limit stays:"),
        "{relieved:?}"
    );
    // What was seen before is there for afterwards.
    let evidence = std::fs::read_dir(state_dir(&lab).join("evidence")).unwrap().next().unwrap().unwrap().path();
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(evidence).unwrap()).unwrap();
    assert_eq!(support::namespace(&document, lab.name())["occupancy"], limit());
    let again = relieve(&lab, &["--yes"]);
    assert!(again.code == 0 && again.stdout.starts_with("Nothing to relieve"), "{again:?}");
}

#[test]
fn a_dry_run_and_nobody_who_says_yes_change_nothing() {
    let (lab, _) = full();
    for arguments in [&["--dry-run"][..], &[]] {
        let run = relieve(&lab, arguments);
        assert!(run.code == 1 && run.stdout.contains("Nothing was changed."), "{run:?}");
        assert!(run.stdout.contains("entries in TIME_WAIT that have been silent for over 15 s, at once"), "{run:?}");
    }
    assert_eq!(count(&lab), limit());
    assert!(!state_dir(&lab).exists());
}

#[test]
fn half_open_and_closing_ones_go_each_in_its_way() {
    let lab = LabNamespace::tracking().unwrap();
    let part = limit() / 20;
    lab.fill(with_left(Kind::AssuredTcp(TcpState::Established), 14 * part, 400_000)).unwrap();
    lab.fill(with_left(Kind::Tcp(TcpState::SynSent), part, 60)).unwrap();
    lab.fill(with_left(Kind::Tcp(TcpState::SynRecv), part, 20)).unwrap();
    lab.fill(with_left(Kind::AssuredTcp(TcpState::CloseWait), part, 15)).unwrap();
    // Silent for too short a time.
    lab.fill(with_left(Kind::Tcp(TcpState::Close), part, 9)).unwrap();
    let document = relieve(&lab, &["--yes", "--json"]).json();
    let trimmed = &document["done"]["trimmed_by_state"];
    assert_eq!(trimmed["tcp SYN_SENT"], part, "{document:#}");
    assert_eq!(trimmed["tcp SYN_RECV"], part);
    assert_eq!(trimmed["tcp CLOSE_WAIT"], part);
    assert_eq!(document["needed"], true);
    let described = include_str!("../../../docs/relieve.md");
    for key in document.as_object().unwrap().keys().chain(document["done"].as_object().unwrap().keys()) {
        assert!(described.contains(&format!("`{key}`")), "docs/relieve.md does not describe {key}");
    }
}

#[test]
fn what_is_wrong_is_named_and_a_folder_that_cannot_be_written_keeps_nobody_from_relief() {
    let missing = support::plimsoll(&["relieve", "--netns", "nowhere", "--yes"]);
    assert!(missing.code == 3 && missing.stderr.contains("no network namespace \"nowhere\""), "{missing:?}");
    let (lab, open) = full();
    let run = plimsoll_in(
        &lab,
        &[&["relieve", "--netns", "this", "--yes", "--state-dir", "/proc/nowhere"][..], &NO_ROOM].concat(),
    );
    assert!(run.code == 0 && run.stdout.contains("could not be kept: /proc/nowhere"), "{run:?}");
    assert!((open..open + 100).contains(&count(&lab)), "{}", count(&lab));
}
