//! How long flows are silent, and what each timeout would save and kill, as SVG.

use plimsoll_diagnose::words::{duration, grouped, rounded};
use plimsoll_model::Untrusted;
use plimsoll_plan::{Measured, MeasuredService, MeasuredTimeout, Value};

use super::text::secs;
use crate::measured::short;
use crate::svg::{COLOURS, begin, cut, text};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const PLOT_WIDTH: f64 = 360.0;
const PLOT_HEIGHT: f64 = 190.0;
/// From one plot to the one beside it.
const BESIDE: f64 = 470.0;
const TOP: f64 = 86.0;
const LINE_HEIGHT: f64 = 18.0;
/// Timeouts that are drawn: those with the most silences.
const TIMEOUTS: usize = 6;
/// Services of each.
const SERVICES: usize = 6;
/// Parts of a straight axis.
const PARTS: u32 = 4;
/// Ages that are marked, in seconds.
const AGES: [f64; 12] = [1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 86_400.0, 259_200.0, 432_000.0];
/// Marks of ages lie no closer than this share of the axis.
const APART: f64 = 0.12;

pub(crate) fn render(recording: &Untrusted, measured: &Measured) -> String {
    let mut timeouts: Vec<_> = measured.timeouts.iter().filter(|of| !drawn(of).is_empty()).collect();
    let silences = |of: &MeasuredTimeout| of.services.iter().map(|service| service.silences).sum::<usize>();
    timeouts.sort_by_key(|of| std::cmp::Reverse(silences(of)));
    timeouts.truncate(TIMEOUTS);
    let heights: Vec<_> = timeouts.iter().map(|of| row_height(of)).collect();
    let height = TOP + heights.iter().sum::<f64>().max(LINE_HEIGHT);
    let title = cut(&format!(
        "{recording}: {} silences within {}",
        grouped(measured.silences as u64),
        duration(rounded(measured.lasted_secs))
    ));
    let mut svg = begin(&title, WIDTH, height);
    svg.push_str(&text(24.0, 26.0, "title", &title));
    let note = "Left: silences that last longer than an age, and their bounds at 95 % (dotted). Right: entries that values of the timeout \
                would save, and the flows";
    svg.push_str(&text(24.0, 44.0, "note", note));
    let note = "that they would kill of those that idle beyond the guard: at most, at 95 % (dotted), as fitted, and as counted in the last \
                third. * is recommended.";
    svg.push_str(&text(24.0, 60.0, "note", note));
    let mut top = TOP;
    for (of, height) in timeouts.iter().zip(heights) {
        svg.push_str(&survival(of, top + 30.0));
        svg.push_str(&pareto(of, top + 30.0, measured.most_false_kills));
        top += height;
    }
    if timeouts.is_empty() {
        svg.push_str(&text(24.0, TOP, "", "No silence was seen from its beginning on."));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Of what is known for some seconds only there is nothing to see.
fn is_drawn(service: &MeasuredService) -> bool {
    const LEAST_SECS: f64 = 10.0;
    service.survival.len() > 1 && service.known_until_secs >= LEAST_SECS
}

fn drawn(of: &MeasuredTimeout) -> Vec<&MeasuredService> {
    let mut services: Vec<_> = of.services.iter().filter(|service| is_drawn(service)).collect();
    services.sort_by_key(|service| std::cmp::Reverse(service.silences));
    services.truncate(SERVICES);
    services
}

fn row_height(of: &MeasuredTimeout) -> f64 {
    PLOT_HEIGHT + 90.0 + LINE_HEIGHT * drawn(of).len() as f64
}

/// An axis.
#[derive(Clone, Copy)]
enum Axis {
    /// From 0.
    Straight { most: f64 },
    /// Logarithmic, up to 1.
    Shares { least: f64 },
    /// Logarithmic, from a second.
    Ages { most: f64 },
}

impl Axis {
    /// Where a number lies, from 0 to 1.
    fn at(self, number: f64) -> f64 {
        let log = |least: f64, most: f64| (number.max(least) / least).ln() / (most / least).ln().max(f64::MIN_POSITIVE);
        match self {
            Self::Straight { most } => number / most.max(f64::MIN_POSITIVE),
            Self::Shares { least } => log(least, 1.0),
            Self::Ages { most } => log(1.0, most),
        }
        .clamp(0.0, 1.0)
    }

    fn marks(self) -> Vec<f64> {
        match self {
            Self::Straight { most } => (0..=PARTS).map(|part| most * f64::from(part) / f64::from(PARTS)).collect(),
            Self::Shares { least } => {
                (0..=9).map(|power| 0.1_f64.powi(power)).filter(|share| *share >= least * 0.99).collect()
            }
            Self::Ages { most } => {
                let mut marks: Vec<f64> = Vec::new();
                for age in AGES.into_iter().filter(|age| *age <= most) {
                    if marks.last().is_none_or(|last| self.at(age) - self.at(*last) >= APART) {
                        marks.push(age);
                    }
                }
                marks
            }
        }
    }
}

struct Plot {
    left: f64,
    top: f64,
    x: Axis,
    y: Axis,
}

impl Plot {
    fn point(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + PLOT_WIDTH * self.x.at(x), self.top + PLOT_HEIGHT * (1.0 - self.y.at(y)))
    }

    fn frame(&self, title: &str, x_words: impl Fn(f64) -> String, y_words: impl Fn(f64) -> String) -> String {
        let bottom = self.top + PLOT_HEIGHT;
        let mut svg = text(self.left, self.top - 12.0, "title", &cut(title));
        for mark in self.y.marks() {
            let (_, y) = self.point(0.0, mark);
            svg.push_str(&format!("<path class=\"grid\" d=\"M{:.1} {y:.1}h{PLOT_WIDTH}\"/>\n", self.left));
            svg.push_str(&text(self.left - 6.0, y + 4.0, "end note", &y_words(mark)));
        }
        for mark in self.x.marks() {
            let (x, _) = self.point(mark, 0.0);
            svg.push_str(&format!("<path class=\"grid\" d=\"M{x:.1} {bottom:.1}v5\"/>\n"));
            svg.push_str(&text(x, bottom + 19.0, "middle note", &x_words(mark)));
        }
        svg
    }

    fn curve(&self, class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
        let points: Vec<_> = points
            .map(|(x, y)| {
                let (x, y) = self.point(x, y);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        format!("<polyline class=\"{class}\" points=\"{}\"/>\n", points.join(" "))
    }

    fn mark(&self, class: &str, x: f64, y: f64) -> String {
        let (x, y) = self.point(x, y);
        format!("<path class=\"{class}\" d=\"M{:.1} {y:.1}h8M{x:.1} {:.1}v8\"/>\n", x - 4.0, y - 4.0)
    }
}

fn survival(of: &MeasuredTimeout, top: f64) -> String {
    let services = drawn(of);
    let oldest = services.iter().map(|service| service.known_until_secs).fold(2.0, f64::max);
    let plot = Plot { left: LEFT, top, x: Axis::Ages { most: oldest }, y: Axis::Straight { most: 1.0 } };
    let title = format!("{}, {} in force", short(of.timeout), duration(of.in_force_secs.into()));
    let mut svg = plot.frame(&title, secs, |share| format!("{:.0}%", share * 100.0));
    for (number, service) in services.iter().enumerate() {
        let class = |kind: &str| format!("{kind} c{}", number % COLOURS.len());
        let of_it = |share: fn(&plimsoll_plan::Band) -> f64| {
            service.survival.iter().map(move |point| (point.age_secs, share(&point.share)))
        };
        svg.push_str(&plot.curve(&class("curve"), of_it(|band| band.value)));
        svg.push_str(&plot.curve(&class("live"), of_it(|band| band.low)));
        svg.push_str(&plot.curve(&class("live"), of_it(|band| band.high)));
        let y = top + PLOT_HEIGHT + 42.0 + LINE_HEIGHT * number as f64;
        svg.push_str(&format!("<path class=\"{}\" d=\"M{LEFT} {:.1}h24\"/>\n", class("curve"), y - 4.0));
        let words = format!(
            "{}: {} silences of {} flows, {} peers",
            service.service,
            grouped(service.silences as u64),
            grouped(service.flows as u64),
            grouped(service.peers as u64)
        );
        svg.push_str(&text(LEFT + 32.0, y, "note", &words));
    }
    svg
}

/// A number of entries, with its fraction where there are few.
fn saved(entries: f64) -> String {
    if entries < 10.0 { format!("{entries:.1}") } else { grouped(rounded(entries)) }
}

fn pareto(of: &MeasuredTimeout, top: f64, borne: f64) -> String {
    let known: Vec<_> = of.values.iter().filter(|value| value.fitted_rate.is_some()).collect();
    let most_saved = known.iter().map(|value| value.saved_entries).fold(1.0, f64::max);
    let least = borne / 10.0;
    let plot = Plot { left: LEFT + BESIDE, top, x: Axis::Straight { most: most_saved }, y: Axis::Shares { least } };
    let mut svg = plot.frame("entries saved, flows killed", saved, percentage);
    if known.is_empty() {
        svg.push_str(&text(LEFT + BESIDE + 10.0, top + 20.0, "note", "No flow was seen that idles beyond the guard."));
        return svg;
    }
    let (_, y) = plot.point(0.0, borne);
    svg.push_str(&format!("<path class=\"limit\" d=\"M{:.1} {y:.1}h{PLOT_WIDTH}\"/>\n", plot.left));
    svg.push_str(&text(plot.left + 4.0, y - 4.0, "note", "borne"));
    let points = |rate: fn(&Value) -> Option<f64>| {
        known.iter().filter_map(move |value| Some((value.saved_entries, rate(value)?)))
    };
    svg.push_str(&plot.curve("curve c0", points(Value::seen_rate)));
    svg.push_str(&plot.curve("live c0", points(|value| value.worst_upper)));
    svg.push_str(&plot.curve("curve c1", points(|value| value.later_rate)));
    let mut free_from = f64::NEG_INFINITY;
    for value in &known {
        let Some(rate) = value.seen_rate() else { continue };
        svg.push_str(&plot.mark("curve c0", value.saved_entries, rate));
        let (x, y) = plot.point(value.saved_entries, rate);
        // Words that would lie on each other are left out.
        if x > free_from || Some(value.secs) == of.recommended.secs {
            let star = if Some(value.secs) == of.recommended.secs { "* " } else { "" };
            svg.push_str(&text(x + 5.0, y + 16.0, "note", &format!("{star}{}", duration(value.secs.into()))));
            free_from = x + 60.0;
        }
    }
    svg
}

/// A share that is a power of ten, without what computing left over.
fn percentage(share: f64) -> String {
    let text = format!("{:.7}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
