//! `kill -9` of `plimsoll record` at random moments, and a disk that is full: what was closed can be read, and it goes on.
//! Needs root, `ip`, `nft`, `mount` and `unshare`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_archive::{Archive, Error};
use plimsoll_draw::Draw;
use plimsoll_lab::ByHand;
use plimsoll_recording::{ChangeKind, End};
use support::packets::{Connection, client};
use support::recording::{Folder, Recorder, Rows, files, open_files};
use support::{PLIMSOLL, Run};

/// Connections that are refused one after the other, each of another client.
#[derive(Debug, Default)]
struct Traffic {
    number: AtomicU32,
    /// When each was over.
    over: Mutex<BTreeMap<IpAddr, Instant>>,
    stop: AtomicBool,
}

impl Traffic {
    /// Goes on while something is done.
    fn meanwhile<T>(router: &ByHand, pause: Duration, what: impl FnOnce(&Self) -> T) -> T {
        struct Ending<'a>(&'a Traffic);
        impl Drop for Ending<'_> {
            fn drop(&mut self) {
                self.0.stop.store(true, Ordering::SeqCst);
            }
        }
        let traffic = Self::default();
        thread::scope(|scope| {
            let ending = Ending(&traffic);
            scope.spawn(|| {
                while !traffic.stop.load(Ordering::SeqCst) {
                    let number = traffic.number.fetch_add(1, Ordering::SeqCst);
                    Connection::of(number).be_refused(router);
                    traffic.over.lock().unwrap().insert(client(number), Instant::now());
                    thread::sleep(pause);
                }
            });
            let done = what(&traffic);
            drop(ending);
            done
        })
    }

    /// Clients of the flows that were over between two moments.
    fn over(&self, from: Instant, to: Instant) -> BTreeSet<IpAddr> {
        let over = self.over.lock().unwrap();
        over.iter().filter(|(_, at)| (from..to).contains(*at)).map(|(client, _)| *client).collect()
    }
}

/// Who has a life in a recording; nobody, where no segment was closed.
fn recorded(to: &str) -> BTreeSet<IpAddr> {
    match Archive::open(to.as_ref()) {
        Err(Error::NoRecording { .. }) => BTreeSet::new(),
        Err(error) => panic!("{error}"),
        Ok(_) => {
            let lives = Rows::of(to).lives;
            let clients: BTreeSet<IpAddr> = lives.iter().map(|life| life.original.source).collect();
            assert_eq!(clients.len(), lives.len(), "no flow has two lives");
            clients
        }
    }
}

#[test]
fn what_was_closed_outlives_any_kill_and_the_next_goes_on() {
    /// A segment's time, that of noticing it is over, and that of closing it on a busy machine.
    const AT_MOST_LOST: Duration = Duration::from_millis(2500);
    let (router, folder) = (ByHand::build().unwrap(), Folder::new());
    let to = folder.of("web.rec");
    let more = ["--segment-every", "1s", "--read-every", "10s", "--quiet"];
    let mut draw = Draw::new(41);
    Traffic::meanwhile(&router, Duration::from_millis(1), |traffic| {
        let (mut before, mut must) = (BTreeSet::new(), BTreeSet::new());
        for round in 0..16 {
            // While it begins, while it writes, and while it closes.
            let longest = if round % 4 == 3 { 4.5 } else { 0.25 };
            let moment = Duration::from_secs_f64(draw.fraction() * longest);
            let arguments: Vec<&str> =
                ["--to", &to, "--netns", router.namespace().name()].into_iter().chain(more).collect();
            let began;
            let recorder = if round % 4 == 3 {
                let recorder = Recorder::listening(router.namespace(), &to, &more);
                began = Instant::now();
                recorder
            } else {
                let recorder = Recorder::begin(&arguments);
                began = Instant::now() + Duration::from_hours(1);
                recorder
            };
            thread::sleep(moment);
            recorder.kill();
            let killed = Instant::now();
            must.append(&mut traffic.over(began, killed.checked_sub(AT_MOST_LOST).unwrap_or(began)));
            let now = recorded(&to);
            assert!(before.is_subset(&now), "round {round}: what could be read can be read");
            let missing: Vec<_> = must.difference(&now).collect();
            assert!(missing.is_empty(), "round {round}: {} of {} are missing: {missing:?}", missing.len(), must.len());
            before = now;
        }
        assert!(must.len() > 100, "only {} had to be there", must.len());

        let left = open_files(&to);
        assert!(!left.is_empty(), "the last was killed while it wrote");
        let recorder = Recorder::listening(router.namespace(), &to, &["--segment-every", "1s"]);
        let began = Instant::now();
        thread::sleep(Duration::from_millis(300));
        let to_be_there = traffic.over(began, Instant::now());
        let run = recorder.interrupt();
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains("was open when a recorder was killed, and is lost"), "{}", run.stderr);
        assert_eq!(open_files(&to), Vec::<std::path::PathBuf>::new());
        let now = recorded(&to);
        assert!(before.is_subset(&now) && to_be_there.is_subset(&now) && !to_be_there.is_empty());
    });
}

#[test]
fn a_segment_whose_recorder_was_killed_while_it_gave_it_its_names_is_whole() {
    let (router, folder) = (ByHand::build().unwrap(), Folder::new());
    let to = folder.of("web.rec");
    let recorder = Recorder::listening(router.namespace(), &to, &[]);
    (0..50).for_each(|number| Connection::of(number).be_refused(&router));
    assert_eq!(recorder.interrupt().code, 0);
    assert_eq!(recorded(&to).len(), 50);
    // As a kill between two renames leaves it.
    for table in ["readings", "changes"] {
        let folder = folder.path().join("web.rec").join(table);
        let [closed] = &files_of(&folder)[..] else { panic!("one segment") };
        fs::rename(closed, folder.join(".000001.open")).unwrap();
    }
    assert_eq!(recorded(&to).len(), 50, "what has its name can be read");
    let recorder = Recorder::listening(router.namespace(), &to, &[]);
    let run = recorder.interrupt();
    assert_eq!(run.code, 0, "{run:?}");
    let said = "Segment 1 was whole when a recorder was killed: it can be read now.\n";
    assert!(run.stderr.contains(said) && !run.stderr.contains("lost"), "{}", run.stderr);
    assert_eq!(open_files(&to), Vec::<std::path::PathBuf>::new());
    assert_eq!(Rows::of(&to).changes_of(ChangeKind::Began).len(), 2);
}

fn files_of(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
}

/// A script that mounts a small disk where only its own processes see it, records into it, and brings out what is there when
/// the recorder ended.
const ON_A_SMALL_DISK: &str = r#"
    set -e
    mount -t tmpfs -o size="$1" tmpfs "$2"
    code=0
    "$3" record --to "$2/web.rec" --netns "$4" --segment-every 1s --quiet || code=$?
    cp -r "$2/web.rec" "$5"
    exit "$code"
"#;

fn on_a_small_disk(size: &str, router: &ByHand, folder: &Folder) -> Run {
    let disk = folder.of("disk");
    fs::create_dir(&disk).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", size, &disk, PLIMSOLL]);
    command.args([router.namespace().name(), &folder.of("copy.rec")]);
    Run::of(command)
}

#[test]
fn a_full_disk_ends_it_and_what_was_closed_can_be_read() {
    let (router, folder) = (ByHand::build().unwrap(), Folder::new());
    // Three segments or so of hundreds of flows.
    let run = Traffic::meanwhile(&router, Duration::from_millis(1), |_| on_a_small_disk("256k", &router, &folder));
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    let file = format!("{}/web.rec/", folder.of("disk"));
    for said in
        [file.as_str(), ".open: ", "No space left on device", "what was closed before can be read; make room there"]
    {
        assert!(run.stderr.contains(said), "{said:?}: {}", run.stderr);
    }
    let copy = folder.of("copy.rec");
    assert_eq!(open_files(&copy), Vec::<std::path::PathBuf>::new());
    assert!(files(&copy).len() >= 4);
    let rows = Rows::of(&copy);
    assert!(rows.lives.len() > 100, "{}", rows.lives.len());
    assert!(rows.lives.iter().all(|life| life.end == End::Reset), "nothing was open");
    assert_eq!(rows.changes_of(ChangeKind::Ended).len(), 0, "it did not end well");
    assert_eq!(fs::read_dir(folder.path().join("disk")).unwrap().count(), 0, "nobody else saw the disk");
}
