//! What is shown, as it is approved (`tests/snapshots`; with `UPDATE_SNAPSHOTS` set they are written anew), in windows of several
//! sizes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod scene;
#[path = "../../diagnose/tests/support/mod.rs"]
mod support;
#[path = "../../twin/src/testing.rs"]
mod testing;

use plimsoll_top::{Look, Press, Told, View};
use ratatui::layout::Size;
use ratatui::style::{Color, Modifier};
use scene::{Scene, blind, stormy};

const USUAL: Size = Size { width: 80, height: 24 };
const WIDE: Size = Size { width: 160, height: 45 };
const NARROW: Size = Size { width: 44, height: 18 };

#[test]
fn every_view_is_as_approved_in_the_usual_window() {
    let mut scene = Scene::new(Look::Plain, USUAL);
    testing::is_as_in("nothing-yet.txt", &scene.text());
    scene.watch(stormy());
    for view in View::ALL {
        scene.app.press(Press::Show(view));
        testing::is_as_in(&format!("{view:?}.txt").to_lowercase(), &scene.text());
    }
    scene.app.press(Press::Open);
    testing::is_as_in("finding.txt", &scene.text());
    scene.app.press(Press::Last);
    testing::is_as_in("finding-end.txt", &scene.text());
    scene.app.press(Press::Help);
    testing::is_as_in("help.txt", &scene.text());
}

#[test]
fn a_wide_window_shows_more_and_a_narrow_one_what_matters() {
    for (name, size) in [("wide", WIDE), ("narrow", NARROW)] {
        let mut scene = Scene::new(Look::Plain, size);
        scene.watch(stormy());
        for view in View::ALL {
            scene.app.press(Press::Show(view));
            testing::is_as_in(&format!("{name}-{view:?}.txt").to_lowercase(), &scene.text());
        }
    }
}

#[test]
fn what_could_not_be_seen_is_said_with_what_would_show_it() {
    let mut scene = Scene::new(Look::Plain, USUAL);
    scene.watch(blind());
    scene.app.press(Press::Show(View::Findings));
    testing::is_as_in("blind-findings.txt", &scene.text());
    scene.app.press(Press::Show(View::Whose));
    let text = scene.text();
    assert!(text.contains("CAP_NET_ADMIN") && text.contains("could not be read"), "{text}");
}

#[test]
fn every_window_shows_something_and_none_is_too_small_to_bear() {
    let mut scene = Scene::new(Look::Coloured, USUAL);
    scene.watch(stormy());
    for width in [1, 39, 40, 70, 80, 100, 200] {
        for height in [1, 9, 10, 17, 24, 60] {
            scene.resize(Size { width, height });
            for view in View::ALL {
                scene.app.press(Press::Show(view));
                for press in [Press::Open, Press::Last, Press::PageUp, Press::Help, Press::Last, Press::Help] {
                    scene.app.press(press);
                    assert!(!scene.text().trim().is_empty(), "{width}×{height} {view:?} {press:?}");
                }
            }
        }
    }
}

#[test]
fn colours_are_there_only_where_they_are_wanted() {
    let foregrounds = |look| {
        let mut scene = Scene::new(look, USUAL);
        scene.watch(stormy());
        let buffer = scene.buffer();
        buffer.content().iter().map(|cell| (cell.fg, cell.modifier)).collect::<Vec<_>>()
    };
    let plain = foregrounds(Look::Plain);
    assert!(plain.iter().all(|(colour, _)| *colour == Color::Reset));
    assert!(plain.iter().any(|(_, modifier)| modifier.contains(Modifier::REVERSED)));
    assert!(foregrounds(Look::Coloured).iter().any(|(colour, _)| *colour == Color::Red));
}

#[test]
fn a_name_from_outside_moves_no_cursor() {
    let mut scene = Scene::new(Look::Plain, WIDE);
    scene.watch(scene::hostile("web\u{1b}[2J\u{202e}\n"));
    for view in View::ALL {
        scene.app.press(Press::Show(view));
        let text = scene.text();
        assert!(text.contains("web\\u{1b}[2J\\u{202e}\\u{a}"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    }
}

#[test]
fn a_reading_that_fails_is_said_until_one_succeeds() {
    let mut scene = Scene::new(Look::Plain, USUAL);
    scene.app.take_in(Told::Failed("no network namespace \"web\"".to_string()));
    assert!(scene.text().contains("no network namespace \"web\""));
    scene.watch(stormy());
    assert!(!scene.text().contains("fails"));
    scene.app.take_in(Told::Failed("gone".to_string()));
    assert!(scene.text().contains("reading fails"));
}
