//! `plimsoll record` on other kernels, Debian's 6.1 and 6.12 in QEMU: what is the whole host's, and so cannot be tried in a namespace.
//! The hash is resized, the clock is set, the table is full. Needs what scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use plimsoll_archive::Archive;
use plimsoll_guest::{Guest, Stock, Transcript};
use plimsoll_model::{Protocol, Status};
use plimsoll_recording::{Began, ChangeKind, End, GapEnd, Life, Sight, State};
use support::guest::{entries, guest, run};
use support::recording::{Folder, Rows};

/// Entries that are in the table before anything is recorded.
const ENTRIES: u32 = 1500;
/// Of which so many are looked at.
const LOOKED_AT: usize = 200;

const RECORDING: &str = r#"
await_listener() (
    set +x
    until awk '$2 == 12 && $4 ~ /7$/ { found = 1 } END { exit !found }' /proc/net/netlink; do :; done
)

# Records until it is told to stop, and listens already.
record() {
    name=$1
    shift
    plimsoll record --to "/rec/$name" --quiet "$@" &
    recorder=$!
    await_listener
}
stop_recording() {
    kill -TERM "$recorder"
    step "$1" wait "$recorder"
}
"#;

/// Runs a script, and lays what it recorded into a folder.
fn recorded(guest: Guest, script: &str) -> (Transcript, Folder) {
    let guest = guest.file("/entries", entries(0..ENTRIES, "ESTABLISHED"));
    let script = format!("{RECORDING}\nmodprobe nf_conntrack_netlink\ntrack\nmkdir /rec\n{script}\nkeep /rec");
    let transcript = run(&guest, &script);
    let folder = Folder::new();
    for (path, contents) in transcript.kept() {
        let path = folder.path().join(path.strip_prefix("/rec").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    (transcript, folder)
}

/// What passes here is time: looks, and what may be told too late.
const SCRIPT: &str = r#"
    echo 3600 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established
    conntrack --load-file /entries
    buckets=$(cat /proc/sys/net/netfilter/nf_conntrack_buckets)
    record resized --look-at 200 --look-every 1s --read-every 6s
    sleep 4
    set_buckets $((buckets * 2))
    sleep 8
    stop_recording resized

    echo 3 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
    record stepped --look-every 1s --read-every 1s
    send-udp 127.0.0.2 1 50
    sleep 1
    date -s "@$(($(date +%s) + 3600))"
    send-udp 127.0.0.3 1 50
    sleep 2
    date -s "@$(($(date +%s) - 3600))"
    send-udp 127.0.0.4 1 50
    sleep 7
    stop_recording stepped

    conntrack -F
    echo 3600 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
    set_buckets 1024
    set_max 300
    record evicted
    step refused send-udp 127.0.0.5 1 1000
    step left count
    stop_recording evicted
"#;

fn number(transcript: &Transcript, step: &str) -> usize {
    transcript.step(step).unwrap().output.trim().parse().unwrap()
}

#[test]
fn on_6_1_a_resize_a_clock_that_is_set_and_a_full_table_are_told_for_what_they_are() {
    are_told_for_what_they_are(guest());
}

#[test]
fn on_6_12_a_resize_a_clock_that_is_set_and_a_full_table_are_told_for_what_they_are() {
    are_told_for_what_they_are(guest().on(Stock::Linux6_12));
}

fn are_told_for_what_they_are(guest: Guest) {
    let (transcript, folder) = recorded(guest, SCRIPT);
    for name in ["resized", "stepped", "evicted"] {
        assert_eq!(transcript.step(name).unwrap().exit_code, 0);
    }
    a_resize_ends_nothing(&folder.path().join("resized"));
    a_step_moves_nothing(&folder.path().join("stepped"));
    evictions(&folder.path().join("evicted"), number(&transcript, "refused"), number(&transcript, "left"));
}

fn a_resize_ends_nothing(recording: &Path) {
    let rows = Rows::of(recording);
    let [resized] = rows.changes_of(ChangeKind::Resized)[..] else { panic!("{:#?}", rows.changes) };
    let buckets = |text: &Option<String>| text.as_deref().unwrap().parse::<u32>().unwrap();
    assert_eq!(buckets(&resized.to), buckets(&resized.from) * 2, "{resized:#?}");

    // Each of those that were looked at is silent still, before it and after it. What is written down of silences that go on is told again when they end.
    let gaps: Vec<_> = rows.gaps.iter().filter(|gap| gap.end != GapEnd::GoesOn).collect();
    assert_eq!(gaps.len(), 2 * LOOKED_AT, "{:#?}", gaps.first());
    for gap in gaps {
        assert_eq!((gap.end, gap.at_most), (GapEnd::StillSilent, None), "{gap:#?}");
        assert!(gap.longer_than < Duration::from_mins(1), "{gap:#?}");
    }
    assert_eq!(rows.lives.len(), LOOKED_AT);
    for life in &rows.lives {
        assert_eq!((life.end, life.sight), (End::Open, Sight::Looks), "{life:#?}");
        assert!(life.ended_at <= resized.at, "{life:#?} {resized:#?}");
    }
    let weighted: f64 = rows.lives.iter().map(|life| life.weight).sum();
    assert!((weighted - f64::from(ENTRIES)).abs() < 1.0, "{weighted}");
}

fn began(life: &Life) -> plimsoll_recording::UnixMicros {
    let Began::At(began) = life.began else { panic!("{life:#?}") };
    began
}

fn a_step_moves_nothing(recording: &Path) {
    let rows = Rows::of(recording);
    let steps: Vec<f64> = rows
        .changes_of(ChangeKind::ClockStepped)
        .iter()
        .map(|change| change.to.as_deref().unwrap().strip_suffix(" s").unwrap().parse().unwrap())
        .collect();
    let [forth, back] = steps[..] else { panic!("{:#?}", rows.changes) };
    assert!((forth - 3600.0).abs() < 2.0 && (back + 3600.0).abs() < 2.0, "{forth} {back}");

    assert!(rows.changes.windows(2).all(|pair| pair[0].at <= pair[1].at), "{:#?}", rows.changes);
    let readings: Vec<_> = Archive::open(recording).unwrap().readings().unwrap().map(Result::unwrap).collect();
    assert!(readings.len() >= 8, "{}", readings.len());
    for pair in readings.windows(2) {
        assert!(pair[0].at <= pair[1].at && pair[1].at.since(pair[0].at) < Duration::from_secs(30), "{pair:#?}");
    }
    assert!(rows.lives.windows(2).all(|pair| pair[0].ended_at <= pair[1].ended_at || pair[1].sight == Sight::Looks));

    let lives: Vec<&Life> = rows.lives.iter().filter(|life| life.original.protocol == Protocol::UDP).collect();
    assert_eq!(lives.len(), 150);
    let first = lives.iter().map(|life| began(life)).min().unwrap();
    for life in lives {
        assert_eq!((life.end, life.sight), (End::Expired, Sight::Whole), "{life:#?}");
        let lasted = life.ended_at.since(began(life));
        // Three seconds, but for how late a slow machine takes the event of its beginning, and how late the entry is reaped.
        assert!((Duration::from_secs(2)..Duration::from_secs(12)).contains(&lasted), "{lasted:?}: {life:#?}");
        assert!(began(life).since(first) < Duration::from_mins(1), "{life:#?}");
    }
    let told: Vec<_> = rows.gaps.iter().filter(|gap| gap.longer_than > Duration::from_mins(5)).collect();
    assert!(told.is_empty(), "{told:#?}");
}

fn evictions(recording: &Path, refused: usize, left: usize) {
    let rows = Rows::of(recording);
    let of = |end| rows.lives.iter().filter(|life| life.end == end).count();
    assert_eq!(rows.lives.len(), 1000 - refused);
    // Above 95 % of the limit gc goes on making room.
    assert!(of(End::Open) <= left, "{} of {left}", of(End::Open));
    assert!(of(End::Evicted) > 500, "{}", of(End::Evicted));
    assert_eq!(of(End::Evicted) + of(End::Open), rows.lives.len());
    for life in &rows.lives {
        let states: Vec<State> = life.steps.iter().map(|step| step.state).collect();
        assert_eq!((states, life.sight), (vec![State::Unreplied], Sight::Whole), "{life:#?}");
        assert!(!life.status.has(Status::ASSURED));
    }
}
