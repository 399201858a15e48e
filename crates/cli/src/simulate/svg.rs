//! The picture as SVG: no scripts, nothing fetched, readable on light and on dark.

use plimsoll_diagnose::words::grouped;
use plimsoll_simulate::{Outcome, Reading};

use super::picture::Picture;
use super::report::{Extent, Report, Run, time};
use crate::svg::{COLOURS, begin, cut, text};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 84.0;
const PLOT_HEIGHT: f64 = 320.0;
const LINE_HEIGHT: f64 = 20.0;
/// From the seventh setting on, curves are broken differently.
const DASHES: [&str; 4] = ["", "8 3", "3 3", "10 3 2 3"];

pub(super) fn render(report: &Report<'_>) -> String {
    let picture = Picture::of(begun(report).map(|(_, run)| &run.outcome));
    let axes = Axes { picture: &picture };
    let legend = legend(report);
    let bottom = TOP + PLOT_HEIGHT;
    let height = bottom + 60.0 + LINE_HEIGHT * legend.len() as f64;
    let title = cut(&report.source.title());
    let mut svg = begin(&title, WIDTH, height);
    svg.push_str(&text(RIGHT, 26.0, "title", &title));
    svg.push_str(&text(RIGHT, 46.0, "note", &cut(&subtitle(report))));
    svg.push_str(&axes.svg());
    for limit in &picture.limits {
        let y = axes.y(f64::from(*limit));
        svg.push_str(&format!("<path class=\"limit\" d=\"M{LEFT} {y:.1}H{:.1}\"/>\n", WIDTH - RIGHT));
        svg.push_str(&text(LEFT + 6.0, y - 5.0, "note", &format!("limit {}", grouped((*limit).into()))));
    }
    if let Some(above) = picture.above {
        let note = format!("The limit, {}, lies far above.", grouped(above.into()));
        svg.push_str(&text(LEFT + 6.0, TOP + 14.0, "note", &note));
    }
    for (number, run) in begun(report) {
        svg.push_str(&axes.curve(&run.outcome, &curve_style(number), |reading| reading.occupancy));
    }
    if let ([run], false) = (&report.runs[..], report.compares()) {
        svg.push_str(&axes.curve(&run.outcome, "class=\"live\"", |reading| reading.live));
    }
    for (line, (style, entry)) in legend.iter().enumerate() {
        let y = bottom + 56.0 + LINE_HEIGHT * line as f64;
        svg.push_str(&format!("<path {style} d=\"M{LEFT} {:.1}h28\"/>\n", y - 4.0));
        svg.push_str(&text(LEFT + 38.0, y, "", entry));
    }
    svg.push_str("</svg>\n");
    svg
}

/// What each curve is.
fn legend(report: &Report<'_>) -> Vec<(String, String)> {
    if let ([_], false) = (&report.runs[..], report.compares()) {
        return vec![
            (curve_style(0), "entries that the kernel counts".to_string()),
            ("class=\"live\"".to_string(), "of them not expired".to_string()),
        ];
    }
    let entry = |(number, run): (usize, &Run)| {
        let peak = grouped(run.outcome.peak.occupancy.into());
        let stopped = match run.extent() {
            Extent::Until(at) => format!(", stopped at {}", time(at)),
            Extent::Whole | Extent::NotBegun => String::new(),
        };
        (curve_style(number), format!("{}: peak {peak}{stopped}", run.candidate.label()))
    };
    begun(report).map(entry).collect()
}

/// Runs of which there is something to see, with their places.
fn begun<'a>(report: &'a Report<'_>) -> impl Iterator<Item = (usize, &'a Run)> + Clone {
    report.runs.iter().enumerate().filter(|(_, run)| run.extent() != Extent::NotBegun)
}

fn subtitle(report: &Report<'_>) -> String {
    let partial = match report.stopped_at() {
        None => String::new(),
        Some(_) if report.compares() => "PARTIAL, not all was simulated. ".to_string(),
        Some(at) => format!("PARTIAL, stopped at {}. ", time(at)),
    };
    format!("{partial}Settings: {}", report.settings())
}

struct Axes<'a> {
    picture: &'a Picture,
}

impl Axes<'_> {
    fn x(&self, secs: f64) -> f64 {
        let lasted = self.picture.lasted.as_secs_f64().max(f64::MIN_POSITIVE);
        LEFT + (WIDTH - LEFT - RIGHT) * (secs / lasted)
    }

    fn y(&self, entries: f64) -> f64 {
        TOP + PLOT_HEIGHT * (1.0 - entries / self.picture.top as f64)
    }

    fn svg(&self) -> String {
        const PARTS: u32 = 6;
        let bottom = TOP + PLOT_HEIGHT;
        let mut svg = String::new();
        for mark in self.picture.marks() {
            let y = self.y(mark as f64);
            svg.push_str(&format!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>\n", WIDTH - RIGHT));
            svg.push_str(&text(LEFT - 8.0, y + 4.0, "end", &grouped(mark)));
        }
        for part in 0..=PARTS {
            let at = self.picture.lasted * part / PARTS;
            let x = self.x(at.as_secs_f64());
            svg.push_str(&format!("<path class=\"grid\" d=\"M{x:.1} {bottom}v5\"/>\n"));
            svg.push_str(&text(x, bottom + 20.0, if part == PARTS { "end" } else { "middle" }, &time(at)));
        }
        svg.push_str(&text(LEFT - 8.0, TOP - 10.0, "end note", "entries"));
        svg
    }

    fn curve(&self, outcome: &Outcome, style: &str, of: impl Fn(&Reading) -> u32) -> String {
        let point =
            |reading: &Reading| format!("{:.1},{:.1}", self.x(reading.at.as_secs_f64()), self.y(of(reading).into()));
        let points: Vec<_> = outcome.series.iter().map(point).collect();
        format!("<polyline {style} points=\"{}\"/>\n", points.join(" "))
    }
}

fn curve_style(number: usize) -> String {
    let dash = DASHES.get(number / COLOURS.len() % DASHES.len()).copied().unwrap_or_default();
    let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
    format!("class=\"curve c{}\"{dash}", number % COLOURS.len())
}
