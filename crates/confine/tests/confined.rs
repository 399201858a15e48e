//! What should be refused is refused. Each case runs in a process of its own with one thread, which confines itself: this
//! program, started again with the case's name in the environment. As root, for what an ordinary user may not anyway
//! proves nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without libtest, for which clippy makes no exception")]

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use plimsoll_confine::{CapabilitySet, Error, Held, Keep, Ports, Report, Writable, confine};

/// A case gets a folder, in which there is one named `kept`.
type Case = (&'static str, fn(&Path));

const CASES: &[Case] = &[
    ("only_what_was_named_is_written", only_what_was_named_is_written),
    ("reading_goes_on", reading_goes_on),
    ("ports_are_those_named", ports_are_those_named),
    ("ports_may_all_stay", ports_may_all_stay),
    ("signals_stay_within", signals_stay_within),
    ("capabilities_are_those_kept", capabilities_are_those_kept),
    ("programs_do_not_get_them_back", programs_do_not_get_them_back),
    ("system_calls_are_refused", system_calls_are_refused),
    ("namespaces_are_still_entered", namespaces_are_still_entered),
    ("threads_are_confined_too", threads_are_confined_too),
    ("it_is_not_done_too_late", it_is_not_done_too_late),
    ("what_is_missing_is_told", what_is_missing_is_told),
];

/// In the child: which case it is, and its folder.
const CASE: &str = "PLIMSOLL_CONFINED_CASE";
const FOLDER: &str = "PLIMSOLL_CONFINED_FOLDER";

/// As much of libtest's command line as cargo and cargo-nextest use.
fn main() -> ExitCode {
    if let (Ok(name), Some(folder)) = (std::env::var(CASE), std::env::var_os(FOLDER)) {
        let (_, case) = CASES.iter().find(|(known, _)| *known == name).unwrap();
        case(Path::new(&folder));
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted =
        |name: &str| filters.iter().all(|filter| if has("--exact") { *filter == name } else { name.contains(*filter) });
    if has("--list") {
        CASES.iter().filter(|_| !has("--ignored")).for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let failed = CASES.iter().filter(|(name, _)| wanted(name) && !passes(name)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(name: &str) -> bool {
    let folder = std::env::temp_dir().join(format!("plimsoll-confine-{name}-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("kept")).unwrap();
    let status = Command::new(std::env::current_exe().unwrap()).env(CASE, name).env(FOLDER, &folder).status().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    println!("test {name} ... {}", if status.success() { "ok" } else { "FAILED" });
    status.success()
}

/// Keeps the folder `kept` writable, and no capability.
fn keep(folder: &Path) -> Keep {
    Keep {
        capabilities: CapabilitySet::empty(),
        writable: Writable::Only(vec![folder.join("kept")]),
        listen: Ports::Only(Vec::new()),
        connect: Ports::Only(Vec::new()),
    }
}

fn confined(keep: &Keep) -> Report {
    confine(keep).unwrap()
}

/// Landlock that is switched off cannot be tested; then the report must say so.
fn is_offered(held: &Held) -> bool {
    match held {
        Held::Wholly | Held::Partly(_) => true,
        Held::Not(why) => {
            assert!(why.contains("Landlock") || why.contains("Linux has this since"), "{why}");
            false
        }
        Held::NotAsked => panic!("it was asked for"),
    }
}

fn only_what_was_named_is_written(folder: &Path) {
    let (outside, inside) = (folder.join("file"), folder.join("kept/file"));
    fs::write(&outside, "before").unwrap();
    let open = fs::File::options().append(true).open(&outside).unwrap();
    let report = confined(&keep(folder));
    fs::write(&inside, "x").unwrap();
    fs::rename(&inside, folder.join("kept/other")).unwrap();
    fs::remove_file(folder.join("kept/other")).unwrap();
    fs::write("/dev/null", "x").unwrap();
    if !is_offered(&report.files) {
        return;
    }
    let refused = |outcome: std::io::Result<()>| assert_eq!(outcome.unwrap_err().kind(), ErrorKind::PermissionDenied);
    refused(fs::write(&outside, "after"));
    refused(fs::write(folder.join("new"), "x"));
    refused(fs::create_dir(folder.join("new")));
    refused(fs::remove_file(&outside));
    refused(std::os::unix::fs::symlink("/", folder.join("link")));
    refused(fs::write("/proc/self/comm", "x"));
    assert_eq!(fs::read_to_string(&outside).unwrap(), "before");
    // What was open before stays so.
    std::io::Write::write_all(&mut &open, b"!").unwrap();
}

fn reading_goes_on(folder: &Path) {
    fs::write(folder.join("file"), "x").unwrap();
    confined(&keep(folder));
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "x");
    assert!(fs::read_dir("/proc/self/root/").unwrap().count() > 0);
    assert!(Command::new("true").status().unwrap().success());
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn ports_are_those_named(folder: &Path) {
    let there = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let reachable = there.local_addr().unwrap().port();
    let (named, other) = (free_port(), free_port());
    let report =
        confined(&Keep { listen: Ports::Only(vec![named]), connect: Ports::Only(vec![reachable]), ..keep(folder) });
    let named = TcpListener::bind((Ipv4Addr::LOCALHOST, named)).unwrap();
    TcpStream::connect((Ipv4Addr::LOCALHOST, reachable)).unwrap();
    there.accept().unwrap();
    if is_offered(&report.ports) {
        let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, other)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        let refused = TcpStream::connect(named.local_addr().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    }
}

fn ports_may_all_stay(folder: &Path) {
    let report = confined(&Keep { listen: Ports::Any, connect: Ports::Any, ..keep(folder) });
    assert_eq!(report.ports, Held::NotAsked);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap();
}

/// Sends the signal that does nothing.
fn signal(pid: i32) -> Result<(), rustix::io::Errno> {
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap())
}

fn signals_stay_within(folder: &Path) {
    let parent = rustix::process::getppid().unwrap().as_raw_pid();
    signal(parent).unwrap();
    // With every capability, so that it is not a missing one that refuses.
    let report = confined(&Keep { capabilities: CapabilitySet::all(), ..keep(folder) });
    let mut own = Command::new("sleep").arg("60").spawn().unwrap();
    signal(own.id().cast_signed()).unwrap();
    own.kill().unwrap();
    own.wait().unwrap();
    if is_offered(&report.signals) {
        assert_eq!(signal(parent), Err(rustix::io::Errno::PERM));
    }
}

/// A line of `/proc/self/status`, as a number.
fn status(path: &str, field: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

fn capabilities_are_those_kept(folder: &Path) {
    let kept = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
    let report = confined(&Keep { capabilities: kept, ..keep(folder) });
    assert_eq!(report.capabilities, Held::Wholly);
    for field in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status("/proc/self/status", field), kept.bits(), "{field}");
    }
    for field in ["CapInh", "CapAmb"] {
        assert_eq!(status("/proc/self/status", field), 0, "{field}");
    }
    assert_eq!(status("/proc/self/status", "NoNewPrivs"), 1);
    // What CAP_CHOWN would allow.
    fs::write(folder.join("kept/file"), "").unwrap();
    let refused = std::os::unix::fs::chown(folder.join("kept/file"), Some(12345), None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
}

fn programs_do_not_get_them_back(folder: &Path) {
    confined(&keep(folder));
    let output = Command::new("cat").arg("/proc/self/status").output().unwrap();
    let file = folder.join("kept/status");
    fs::write(&file, output.stdout).unwrap();
    for field in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status(file.to_str().unwrap(), field), 0, "{field}");
    }
}

/// With every capability, so that only the filter is left to refuse.
fn system_calls_are_refused(folder: &Path) {
    let report = confined(&Keep { capabilities: CapabilitySet::all(), ..keep(folder) });
    assert_eq!(report.system_calls, Held::Wholly);
    assert_eq!(status("/proc/self/status", "Seccomp"), 2);
    let perm = Err(rustix::io::Errno::PERM);
    assert_eq!(rustix::system::sethostname(rustix::system::uname().nodename().to_bytes()), perm);
    assert_eq!(rustix::mount::unmount("/proc/plimsoll-none", rustix::mount::UnmountFlags::empty()), perm);
    assert_eq!(rustix::process::chroot("/"), perm);
    assert_eq!(rustix::system::delete_module(c"plimsoll_none", 0), perm);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    assert_eq!(rustix::time::clock_settime(rustix::time::ClockId::Monotonic, now), perm);
}

fn namespaces_are_still_entered(folder: &Path) {
    confined(&Keep { capabilities: CapabilitySet::SYS_ADMIN, ..keep(folder) });
    let own = fs::File::open("/proc/self/ns/net").unwrap();
    rustix::thread::move_into_link_name_space(own.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network)).unwrap();
}

fn threads_are_confined_too(folder: &Path) {
    let report = confined(&keep(folder));
    let outside: PathBuf = folder.join("new");
    let outcome =
        thread::spawn(move || (fs::write(outside, "x"), status("/proc/thread-self/status", "CapEff"))).join().unwrap();
    assert_eq!(outcome.1, 0);
    assert!(!is_offered(&report.files) || outcome.0.is_err());
}

fn it_is_not_done_too_late(folder: &Path) {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || ended.recv());
    assert!(matches!(confine(&keep(folder)), Err(Error::TooLate { threads: 2 })));
    drop(end);
    let _ = other.join().unwrap();
    fs::write(folder.join("new"), "nothing was taken").unwrap();
}

fn what_is_missing_is_told(folder: &Path) {
    let error =
        confine(&Keep { writable: Writable::Only(vec![folder.join("none")]), ..keep(folder) }).unwrap_err().to_string();
    assert!(error.starts_with("cannot keep ") && error.contains("none"), "{error}");
}
