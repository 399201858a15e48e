//! The picture of the docs.

use std::fmt::Write;

#[path = "../../../cli/src/svg.rs"]
#[allow(dead_code, unused_imports, reason = "a part of it is used, and its tests run where it is at home")]
mod svg;

use crate::growth::Size;
use crate::rounds::Rates;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 580.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 330.0;
/// Millions a second, from the bottom up.
const RATES: [f64; 11] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
type Curve = (&'static str, fn(&Size) -> &Rates);
const CURVES: [Curve; 3] =
    [("memory bound", |size| &size.memory), ("hash map", |size| &size.plain), ("twin", |size| &size.twin)];

/// Packets a second by flows, both axes logarithmic.
pub(crate) fn svg(sizes: &[Size]) -> String {
    let mut picture = svg::begin("Packets a second by flows in the table", WIDTH, HEIGHT);
    picture += &svg::text(LEFT, 22.0, "title", "Packets a second by flows in the table");
    picture += &svg::text(LEFT, 38.0, "note", "millions, one core, flows at random; both axes are logarithmic");
    for rate in RATES {
        let y = height(rate);
        let _ = writeln!(picture, "<path class=\"grid\" d=\"M{LEFT:.1} {y:.1}H{RIGHT:.1}\"/>");
        picture += &svg::text(LEFT - 8.0, y + 4.0, "end", &rate.to_string());
    }
    let most = sizes.iter().map(|size| size.flows).max().unwrap_or(1);
    let least = sizes.iter().map(|size| size.flows).min().unwrap_or(1);
    let x = |flows: u32| {
        let whole = f64::from(most).ln() - f64::from(least).ln();
        let part = f64::from(flows).ln() - f64::from(least).ln();
        LEFT + 20.0 + (RIGHT - LEFT - 40.0) * if whole > 0.0 { part / whole } else { 0.5 }
    };
    for size in sizes {
        picture += &svg::text(x(size.flows), BOTTOM + 20.0, "middle", &in_words(size.flows));
    }
    for (number, (name, rates)) in CURVES.into_iter().enumerate() {
        let points: Vec<_> =
            sizes.iter().map(|size| format!("{:.1},{:.1}", x(size.flows), height(rates(size).best() / 1e6))).collect();
        let _ = writeln!(picture, "<polyline class=\"curve c{number}\" points=\"{}\"/>", points.join(" "));
        if let Some(last) = sizes.last() {
            let y = height(rates(last).best() / 1e6);
            picture += &svg::text(x(last.flows) + 8.0, y + 4.0, "", name);
        }
    }
    picture + "</svg>\n"
}

fn height(millions: f64) -> f64 {
    let [least, .., most] = RATES.map(f64::ln);
    BOTTOM - (BOTTOM - TOP) * (millions.max(RATES[0]).ln() - least) / (most - least)
}

fn in_words(flows: u32) -> String {
    match flows {
        1_000_000.. => format!("{} M", flows / 1_000_000),
        1_000.. => format!("{} k", flows / 1_000),
        _ => flows.to_string(),
    }
}
