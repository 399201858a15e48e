//! `kill -9` at every step of putting a shield up, enforcing it and taking it back: what is left is nothing, or a shield that ends by
//! itself; and the sysctls that went with it are as they were before. As in `apply_killed.rs`, whoever is killed is this program, which
//! calls the library with an observer that kills it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::cell::Cell;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_apply::watchdog::{Guardian, Timer};
use plimsoll_apply::{Asked, Author, Event, Moment, Place, Shielded};
use plimsoll_model::{Class, Ports, Shield};
use plimsoll_shield::Proposal;
use rustix::process::{Signal, getpid, kill_process};
use support::PLIMSOLL;
use support::applying::{Scene, kill_watchdogs};
use support::shielding::{LOOSE, SYNCOOKIES};

/// `tcp_loose`, `tcp_syncookies`, whether the table is there, and an XDP program.
type State = (u32, u32, bool, bool);
const BEFORE: State = (1, 0, false, false);
const ENFORCED: State = (0, 1, true, true);

/// The interface of the XDP stage.
const XDP: &str = "x0";

/// How long the shield is there.
const LASTS: Duration = Duration::from_secs(4);

#[test]
fn whoever_is_killed_leaves_nothing_once_its_time_is_over() {
    let scene = scene();
    let ended = at_every_step(|step| {
        let killed = run(&scene, step, "maker");
        scene.await_rest();
        assert_eq!(state(&scene), BEFORE, "step {step}");
        killed
    });
    // Begun, writing and written twice, applied; two sysctls written, undone, written again; a moment before and after each.
    assert!(ended >= 2 * (6 + 4 + 2 + 4), "only {ended} steps were found");
}

#[test]
fn with_its_watchdog_killed_too_it_disarms_itself_and_the_next_command_undoes() {
    let scene = scene();
    let ended = at_every_step(|step| {
        let killed = run(&scene, step, "maker and watchdog");
        // To wait for it at every step would take minutes.
        if step % 3 == 0 {
            await_disarmed(&scene);
        }
        let stopped = scene.plimsoll(&["shield", "--netns", scene.lab.name(), "--stop"]);
        assert_eq!(stopped.code, 0, "step {step}: {stopped:?}");
        assert_eq!(state(&scene), BEFORE, "step {step}");
        killed
    });
    assert!(ended >= 32, "only {ended} steps were found");
}

#[test]
fn undisturbed_it_is_in_force() {
    let scene = scene();
    assert!(!run(&scene, u32::MAX, "nobody"));
    assert_eq!(state(&scene), ENFORCED);
    scene.await_rest();
    assert_eq!(state(&scene), BEFORE);
}

/// Not a test of its own: does what the environment says, and is killed at the step that it says.
#[test]
fn the_process_that_is_killed() {
    let Some(folder) = env::var_os("KILLED_FOLDER").map(PathBuf::from) else { return };
    let step: u32 = env::var("KILLED_STEP").unwrap().parse().unwrap();
    let victims = env::var("KILLED_VICTIMS").unwrap();
    let passed = Cell::new(0_u32);
    let observer = |_: Moment, _: &Event| {
        if passed.replace(passed.get() + 1) == step {
            if victims.contains("watchdog") {
                kill_watchdogs(&folder);
            }
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    };
    let guardian = Guardian { program: PLIMSOLL.into(), timer: Timer::None };
    let place = Place::named(&env::var("KILLED_NETNS").unwrap()).unwrap();
    let class = Class::Handshakes { ports: Ports::one(443).unwrap() };
    let limits = Some(Proposal::usual_limits(&class));
    let shield = Shield { class, limits, drop: Vec::new(), allow: Vec::new() };
    let by = Author::of_this_process();
    let asked = Asked { shield, interfaces: [XDP.parse().unwrap()].into(), lasts: LASTS };
    let shielded = Shielded::begin(&folder, place, asked, by, &guardian, &observer).unwrap();
    shielded.enforce(0.01, &observer).unwrap();
    shielded.to_shadow(None, &observer).unwrap();
    shielded.enforce(0.01, &observer).unwrap();
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.lab.set(SYNCOOKIES, 0).unwrap();
    scene.lab.run(&["ip", "link", "add", XDP, "type", "veth", "peer", "name", "x1"]).unwrap();
    scene
}

fn at_every_step(mut is_killed_at: impl FnMut(u32) -> bool) -> u32 {
    (0..100).find(|step| !is_killed_at(*step)).expect("it ends")
}

fn run(scene: &Scene, step: u32, victims: &str) -> bool {
    // SYNPROXY is refused where no entry shows that something is tracked.
    assert_eq!(scene.lab.send_udp(9..=9).unwrap(), 0);
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env("KILLED_STEP", step.to_string())
        .env("KILLED_VICTIMS", victims)
        .env("KILLED_FOLDER", &scene.folder)
        .env("KILLED_NETNS", scene.lab.name())
        .output()
        .expect("this program runs");
    let killed = output.status.signal() == Some(9);
    assert!(killed || output.status.success(), "step {step}: {output:?}");
    killed
}

/// Until no set of the table holds an element any more, which no process has to see to.
fn await_disarmed(scene: &Scene) {
    let until = Instant::now() + Duration::from_mins(1);
    while state(scene).2
        && scene.lab.run(&["nft", "list", "table", "inet", "plimsoll-shield"]).unwrap().contains("elements")
    {
        assert!(Instant::now() < until, "it matches for ever");
        thread::sleep(Duration::from_millis(50));
    }
}

fn state(scene: &Scene) -> State {
    let tables = scene.lab.run(&["nft", "list", "tables"]).unwrap();
    let link = scene.lab.run(&["ip", "link", "show", XDP]).unwrap();
    (scene.sysctl(LOOSE), scene.sysctl(SYNCOOKIES), tables.contains("plimsoll-shield"), link.contains("prog/xdp"))
}
