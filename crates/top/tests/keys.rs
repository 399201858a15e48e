//! What keys do, and what readings change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod scene;
#[path = "../../diagnose/tests/support/mod.rs"]
mod support;

use std::time::Duration;

use plimsoll_model::Counter;
use plimsoll_top::{Look, Next, Press, Told, View};
use ratatui::layout::Size;
use scene::{Scene, pulse, stormy};

const WINDOW: Size = Size { width: 110, height: 30 };

fn scene() -> Scene {
    let mut scene = Scene::new(Look::Plain, WINDOW);
    scene.watch(stormy());
    scene
}

/// The row of a namespace in the overview.
fn row(scene: &mut Scene, name: &str) -> String {
    let text = scene.text();
    let row = text.lines().find(|line| line.starts_with(name) && line.contains('%'));
    row.unwrap_or_else(|| panic!("no {name} in\n{text}")).to_string()
}

#[test]
fn back_goes_back_and_then_out_and_quit_goes_out_at_once() {
    let mut scene = scene();
    scene.app.press(Press::Show(View::Findings));
    scene.app.press(Press::Open);
    assert!(scene.text().contains("What helps here"));
    assert_eq!(scene.app.press(Press::Back), Next::GoOn);
    assert!(!scene.text().contains("What helps here"));
    assert_eq!(scene.app.press(Press::Back), Next::End);
    scene.app.press(Press::Help);
    assert_eq!(scene.app.press(Press::Quit), Next::End);
}

#[test]
fn the_namespace_that_is_chosen_stays_chosen_in_every_order() {
    let mut scene = scene();
    scene.app.press(Press::Down);
    scene.app.press(Press::Show(View::Whose));
    let wish = scene.app.wish();
    assert_eq!(wish.as_ref().map(plimsoll_model::Untrusted::as_str), Some("host"));
    for _ in 0..3 {
        scene.app.press(Press::Sort);
        assert_eq!(scene.app.wish(), wish);
    }
    scene.app.press(Press::Right);
    assert_ne!(scene.app.wish(), wish);
    scene.app.press(Press::Left);
    assert_eq!(scene.app.wish(), wish);
}

#[test]
fn nobody_s_sockets_are_wanted_where_nobody_looks() {
    let mut scene = scene();
    for view in [View::Overview, View::States, View::Findings] {
        scene.app.press(Press::Show(view));
        assert_eq!(scene.app.wish(), None);
    }
}

#[test]
fn what_is_held_stays_as_it_was_and_what_came_meanwhile_is_there_afterwards() {
    let mut scene = scene();
    scene.app.press(Press::Pause);
    let before = row(&mut scene, "host");
    scene.app.take_in(Told::Pulses(vec![pulse("host", 400, 4321, &[])]));
    assert_eq!(row(&mut scene, "host"), before);
    assert!(scene.text().contains("PAUSED"));
    scene.app.press(Press::Pause);
    assert!(row(&mut scene, "host").contains("4,321"));
}

#[test]
fn what_is_lost_is_told_a_second_and_not_where_counters_began_anew() {
    let mut scene = Scene::new(Look::Plain, WINDOW);
    let drops = |drops| vec![(Counter::Drop, drops)];
    scene.app.take_in(Told::Pulses(vec![pulse("host", 10, 9990, &drops(1_000_000))]));
    assert!(row(&mut scene, "host").contains('?'), "of one moment nothing follows");
    scene.app.take_in(Told::Pulses(vec![pulse("host", 12, 9995, &drops(1_000_084))]));
    assert!(row(&mut scene, "host").split_whitespace().any(|word| word == "42"), "{}", row(&mut scene, "host"));
    // The same name, and another namespace.
    let mut other = pulse("host", 13, 5, &drops(3));
    other.namespace.inode = Some(plimsoll_model::Inode(7));
    scene.app.take_in(Told::Pulses(vec![other]));
    let row = row(&mut scene, "host");
    assert!(row.contains('?') && !row.contains("42"), "{row}");
}

#[test]
fn a_namespace_that_is_gone_is_shown_no_more() {
    let mut scene = scene();
    scene.app.take_in(Told::Pulses(vec![pulse("host", 400, 100, &[])]));
    let text = scene.text();
    assert!(text.contains("host") && !text.lines().any(|line| line.starts_with("web ")), "{text}");
}

#[test]
fn only_the_last_minutes_are_shown() {
    let mut scene = Scene::new(Look::Plain, WINDOW);
    scene.app.take_in(Told::Pulses(vec![pulse("host", 10, 9000, &[])]));
    scene.app.take_in(Told::Pulses(vec![pulse("host", 100, 100, &[])]));
    scene.app.tick(Duration::from_secs(100));
    assert!(row(&mut scene, "host").contains('█'));
    assert!(row(&mut scene, "host").ends_with('▁'), "small beside what was: {}", row(&mut scene, "host"));
    scene.app.take_in(Told::Pulses(vec![pulse("host", 400, 100, &[])]));
    scene.app.tick(Duration::from_secs(400));
    assert!(row(&mut scene, "host").ends_with('█'), "what was is forgotten: {}", row(&mut scene, "host"));
}

#[test]
fn nothing_is_scrolled_beyond_its_end() {
    let mut scene = scene();
    scene.app.press(Press::Show(View::Findings));
    scene.app.press(Press::Open);
    scene.app.press(Press::Last);
    let end = scene.text();
    scene.app.press(Press::PageDown);
    assert_eq!(scene.text(), end);
    scene.app.press(Press::Up);
    assert_ne!(scene.text(), end);
    scene.app.press(Press::First);
    assert!(scene.text().contains("(critical") || scene.text().contains("(warning"), "{}", scene.text());
}
