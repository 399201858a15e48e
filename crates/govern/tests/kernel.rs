//! Governing on the real kernel, in namespaces of the lab: whatever ends it, timeouts come back. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::thread;
use std::time::Duration;

use plimsoll_apply::{Author, Because, Change, Manner, Place, Prepared, Progress, Root, Undone, Which, armed_with};
use plimsoll_govern::{Governor, Outlook, Reading, Rules, Seat, Steward, What};
use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Capacity, Edit, Occupancy, Sysctl, TcpState, Timeout};
use rustix::process::Signal;

use support::{BEFORE, ESTABLISHED, Scene, TIME_WAIT, UDP, await_that, kill, watchdogs};

/// Three changes of the scale, and back.
const UP_AND_DOWN: &str = "70,85,99,80,10";
const FULL: [(&str, u32); 3] = [(TIME_WAIT, 36), (ESTABLISHED, 129_600), (UDP, 10)];

#[test]
fn timeouts_shrink_and_come_back_and_the_journal_tells_of_each() {
    let scene = Scene::new();
    let mut holding = scene.hold("70,99", None);
    assert!(holding.until("holds 30%"), "{:?}", holding.told);
    assert_eq!(scene.in_force(), FULL);
    let [application] = &scene.history()[..] else { panic!("{:#?}", scene.history()) };
    assert_eq!((application.outcome(), application.moves.len()), ("governed", 6));
    let pending = plimsoll_apply::pending(&scene.folder).unwrap();
    assert!(pending[0].contains("is a governor's"), "{pending:?}");
    let inode = application.begun.namespace.inode;
    let armed = armed_with(&scene.folder, inode).unwrap();
    let time_wait = |secs| (Timeout::Tcp(TcpState::TimeWait), secs);
    assert!([120, 96, 36].map(time_wait).iter().all(|one| armed.contains(one)), "{armed:?}");
    assert!(!armed.contains(&time_wait(15)), "a floor that was not reached has armed nothing: {armed:?}");
    holding.signal(Signal::TERM);
    assert_eq!(scene.in_force(), BEFORE, "{:?}", holding.told);
    assert!(holding.told.iter().any(|line| line.starts_with("restore: governing ends")), "{:?}", holding.told);
    scene.await_rest();
    await_that(|| watchdogs(&scene.folder).is_empty(), || "a watchdog is left".to_string());
}

#[test]
fn killed_at_any_step_timeouts_come_back() {
    let scene = Scene::new();
    let mut step = 0;
    loop {
        let mut holding = scene.hold(UP_AND_DOWN, Some(step));
        // It ends at the step, or there is no such step.
        if holding.until("holds 100%") {
            break;
        }
        drop(holding);
        scene.await_rest();
        assert_eq!(scene.in_force(), BEFORE, "step {step}: {:#?}", scene.history());
        // So that the next one has nothing to do but its own, and its steps are counted from its beginning.
        plimsoll_apply::release(&scene.folder, &|_, _| {}).unwrap();
        step += 1;
    }
    // Begun, moving and moved four times, undoing, undone thrice, ended; a moment before and after each.
    assert!(step >= 28, "only {step} steps were found");
    assert_eq!(scene.in_force(), BEFORE);
}

#[test]
fn killed_at_any_moment_timeouts_come_back() {
    let scene = Scene::new();
    for round in 0..20 {
        let mut holding = scene.hold("70,99,70,99,70,99,70,99", None);
        if round % 2 == 0 {
            assert!(holding.until("shrink"), "{:?}", holding.told);
        }
        thread::sleep(Duration::from_millis(3 * round));
        holding.signal(Signal::KILL);
        scene.await_rest();
        assert_eq!(scene.in_force(), BEFORE, "round {round}");
    }
}

#[test]
fn when_the_watchdog_is_killed_too_whoever_comes_next_undoes() {
    let scene = Scene::new();
    let leave_behind = || {
        let mut holding = scene.hold("99", None);
        assert!(holding.until("holds 30%"), "{:?}", holding.told);
        let dogs = watchdogs(&scene.folder);
        assert_eq!(dogs.len(), 1);
        dogs.into_iter().for_each(kill);
        await_that(|| watchdogs(&scene.folder).is_empty(), || "it is killed".to_string());
        holding.signal(Signal::KILL);
        assert_eq!(scene.in_force(), FULL, "nobody was left to undo it");
        let id = scene.history().last().unwrap().begun.id;
        let pending = plimsoll_apply::pending(&scene.folder).unwrap();
        assert!(pending[0].contains(&format!("`plimsoll rollback {id}`")), "{pending:?}");
        id
    };
    // The next daemon, as it begins; a rollback; the next governor.
    leave_behind();
    let released = plimsoll_apply::release(&scene.folder, &|_, _| {}).unwrap();
    assert_eq!(released[0].application.undone_because, [Because::GovernorLost]);
    assert_eq!(scene.in_force(), BEFORE);
    let id = leave_behind();
    let undone = plimsoll_apply::rollback(&scene.folder, &Root::default(), Which::Since(id), &|_, _| {}).unwrap();
    assert_eq!((undone.len(), scene.in_force()), (1, BEFORE));
    leave_behind();
    let mut next = scene.hold("70", None);
    // What it has read was left behind: it does not begin with that.
    assert!(next.until("holds 80%"), "{:?}", next.told);
    next.signal(Signal::TERM);
    assert_eq!(scene.in_force(), BEFORE, "{:?}", next.told);
}

#[test]
fn a_watchdog_that_is_killed_is_replaced_before_anything_is_set() {
    let scene = Scene::new();
    // It goes on shrinking as soon as the first watchdog is gone.
    let mut holding = scene.hold("70,70,99", None);
    assert!(holding.until("shrink"), "{:?}", holding.told);
    watchdogs(&scene.folder).into_iter().for_each(kill);
    assert!(holding.until("holds 30%"), "{:?}", holding.told);
    holding.signal(Signal::KILL);
    // One of the two was there when it was set; if it was killed just after, the next governor undoes.
    if watchdogs(&scene.folder).is_empty() {
        plimsoll_apply::release(&scene.folder, &|_, _| {}).unwrap();
    }
    scene.await_rest();
    assert_eq!(scene.in_force(), BEFORE);
}

#[test]
fn what_somebody_else_sets_is_left_alone_from_then_on() {
    let scene = Scene::new();
    let mut holding = scene.hold("99", None);
    assert!(holding.until("holds 30%"), "{:?}", holding.told);
    scene.lab.set(TIME_WAIT, 77).unwrap();
    assert!(holding.until("leave"), "{:?}", holding.told);
    let told = holding.told.last().unwrap();
    assert!(told.contains("stays 77, and is left alone"), "{told}");
    holding.signal(Signal::KILL);
    scene.await_rest();
    assert_eq!(scene.in_force(), [(TIME_WAIT, 77), (ESTABLISHED, 432_000), (UDP, 30)]);
    let application = scene.history().pop().unwrap();
    let left = application.changes.iter().filter(|one| matches!(one, Progress::Undone(Undone::Superseded { .. })));
    assert_eq!(left.count(), 1, "{application:#?}");
}

#[test]
fn a_reading_that_began_before_timeouts_were_set_is_passed_over() {
    let scene = Scene::new();
    let seat = Seat {
        namespace: scene.lab.name().to_string(),
        state_dir: scene.folder.clone(),
        guardian: Scene::guardian(),
        by: Author::of_this_process(),
    };
    let floors = [(Timeout::Tcp(TcpState::TimeWait), 15)].into_iter().collect();
    let mut steward = Steward::new(Governor::new(Rules::default(), floors).unwrap(), seat);
    let reading = || Reading {
        occupancy: Occupancy(90),
        capacity: Capacity(100),
        timeouts: scene.lab.enter(|| HostFs::new().timeouts().read).unwrap(),
        outlook: Outlook::Room,
    };
    let (began, before) = (monotonic_now(), reading());
    assert_eq!(steward.tick(began, &before, &|_, _| {})[0].what, What::Shrink);
    assert_eq!(scene.sysctl(TIME_WAIT), 60);
    // In it, what was set would look as if somebody had set it back.
    assert!(steward.tick(began, &before, &|_, _| {}).is_empty());
    assert!(steward.tick(monotonic_now(), &reading(), &|_, _| {}).is_empty());
    let acts = steward.end(&|_, _| {});
    assert!(acts[0].to_string().starts_with("restore: governing ends; timeouts are what they were"), "{}", acts[0]);
    assert_eq!(scene.in_force(), BEFORE);
}

#[test]
fn it_gives_way_to_whoever_applies_something() {
    let scene = Scene::new();
    let mut holding = scene.hold("99", None);
    assert!(holding.until("holds 30%"), "{:?}", holding.told);
    let manner = Manner {
        soak: Duration::ZERO,
        confirm_within: Duration::from_mins(5),
        probe: None,
        by: Author::of_this_process(),
    };
    // It was planned before anything was governed.
    let sysctl = Sysctl::of_timeout(Timeout::Tcp(TcpState::TimeWait)).unwrap();
    let change = Change { edit: Edit::Sysctl { sysctl, from: 120, to: 60 }, why: String::new() };
    let make = |id| Prepared::new(vec![change], Place::named(scene.lab.name())?, id);
    let applied =
        plimsoll_apply::apply(&scene.folder, &manner, &Scene::guardian(), &|_, _| {}, &|| false, make).unwrap();
    assert!(matches!(applied, Some(plimsoll_apply::Applied::Awaiting(_))), "{applied:#?}");
    assert_eq!(scene.history()[0].undone_because, [Because::GaveWay]);
    assert_eq!(scene.in_force(), [(TIME_WAIT, 60), (ESTABLISHED, 432_000), (UDP, 30)]);
    assert!(holding.until("give_way"), "{:?}", holding.told);
    assert!(holding.until("awaits its confirmation"), "{:?}", holding.told);
    assert_eq!(scene.in_force(), [(TIME_WAIT, 60), (ESTABLISHED, 432_000), (UDP, 30)]);
    // Kept, it is what the governor begins with, and what it leaves.
    let kept = plimsoll_apply::Persistence::RuntimeOnly;
    plimsoll_apply::confirm(&scene.folder, &kept, Author::of_this_process(), &|_, _| {}).unwrap();
    assert!(holding.until("holds 30%"), "{:?}", holding.told);
    assert_eq!(scene.sysctl(TIME_WAIT), 18);
    // Undone meanwhile, what it set goes first.
    let undone = plimsoll_apply::rollback(&scene.folder, &Root::default(), Which::Last, &|_, _| {}).unwrap();
    assert_eq!(undone.len(), 2, "{undone:#?}");
    holding.signal(Signal::TERM);
    scene.await_rest();
    assert_eq!(scene.in_force(), BEFORE);
}

#[test]
fn a_long_journal_is_followed_by_another() {
    let scene = Scene::new();
    let to_and_fro = vec!["70,99"; 150].join(",");
    let mut holding = scene.hold(&to_and_fro, None);
    assert!(holding.until("holds 30%"), "{:?}", holding.told);
    assert_eq!(scene.in_force(), FULL);
    let history = scene.history();
    assert!(history.len() > 1 && history[0].undone_because == [Because::Continued], "{}", history.len());
    for file in std::fs::read_dir(&scene.folder).unwrap() {
        let length = file.unwrap().metadata().unwrap().len();
        assert!(length < 48 << 10, "{length}");
    }
    holding.signal(Signal::KILL);
    scene.await_rest();
    assert_eq!(scene.in_force(), BEFORE);
}

#[test]
fn a_second_governor_of_a_namespace_is_refused() {
    let scene = Scene::new();
    let mut first = scene.hold("99", None);
    assert!(first.until("holds 30%"), "{:?}", first.told);
    let mut second = scene.hold("99", None);
    assert!(second.until("another governor's"), "{:?}", second.told);
    second.signal(Signal::TERM);
    assert_eq!(scene.in_force(), FULL);
    first.signal(Signal::TERM);
    assert_eq!(scene.in_force(), BEFORE);
}
