//! What a forecast costs with an hour of readings and a week of spans:
//! `cargo run --release -p plimsoll-forecast --example cost`.
#![allow(clippy::unwrap_used, reason = "a measurement")]

use std::time::Instant;

use plimsoll_draw::Draw;
use plimsoll_forecast::{History, Limit, Point, Span, forecast};

fn main() {
    const WEEK: f64 = 7.0 * 86_400.0;
    let mut draw = Draw::new(1);
    let mut entries =
        |at: f64| 6_000.0 - 3_000.0 * (at / 86_400.0 * std::f64::consts::TAU).cos() + 200.0 * (draw.fraction() - 0.5);
    let fine: Vec<_> = (0..=360)
        .map(|at| WEEK - 3_600.0 + 10.0 * f64::from(at))
        .map(|at_secs| Point { at_secs, entries: entries(at_secs), new_per_sec: Some(30.0) })
        .collect();
    let coarse: Vec<_> = (0..2_016)
        .map(|at| (300.0 * f64::from(at), entries(300.0 * f64::from(at))))
        .map(|(from_secs, mean)| Span { from_secs, least: mean - 150.0, mean, most: mean + 150.0 })
        .collect();
    for (limit, what) in [(65_536.0, "far from the limit"), (9_300.0, "near it")] {
        let limits = [Limit { since_secs: 0.0, entries: limit }];
        let history = History { fine: &fine, coarse: &coarse, limits: &limits, restarted_at_secs: None };
        let began = Instant::now();
        let chances: f64 =
            (0..1_000).map(|_| forecast(&history, &[]).unwrap().probability_within(86_400).unwrap()).sum();
        println!("{what}: {:.0} µs a forecast ({:.2})", began.elapsed().as_secs_f64() * 1e3, chances / 1e3);
    }
}
