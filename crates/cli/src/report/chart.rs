//! Pictures of the page's own, in the dashboard's classes.

use std::fmt::Write;

use plimsoll_diagnose::words::{grouped, percent};
use plimsoll_model::Interval;

use super::html::{around, said, text};
use crate::svg::text as svg_text;

/// A share as a bar, with its interval as a whisker.
pub(super) fn bar(share: &Interval) -> String {
    let at = |share: f64| share.clamp(0.0, 1.0) * 100.0;
    let (low, value, high) = (at(share.low), at(share.value), at(share.high));
    let whisker = if high - low > 0.2 {
        format!("<path class=\"whisker\" d=\"M{low:.1} 5H{high:.1}M{low:.1} 2v6M{high:.1} 2v6\"/>")
    } else {
        String::new()
    };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"10\"/><rect class=\"value\" width=\"{value:.1}\" height=\"10\"/>{whisker}</svg>"
    )
}

/// Groups with their shares, each with a bar and a note.
pub(super) fn bars<'a>(groups: impl Iterator<Item = (&'a str, Interval, String)>) -> String {
    let one = |(label, share, note): (&str, Interval, String)| {
        let inner = said("span", "label", label)
            + &said("span", "share", &percent(share.value))
            + &bar(&share)
            + &said("span", "quiet", &note);
        around("li", "", &inner)
    };
    around("ul", "bars", &groups.map(one).collect::<String>())
}

/// How full a table was, over time.
#[derive(Debug)]
pub(super) struct Course {
    /// Seconds since the first, and entries; in the order of time.
    pub(super) points: Vec<(f64, f64)>,
    pub(super) capacity: Option<u32>,
}

impl Course {
    /// As a picture with a caption; `from` and `to` are said at its ends.
    pub(super) fn figure(&self, caption: &str, from: &str, to: &str) -> String {
        const WIDTH: f64 = 800.0;
        const HEIGHT: f64 = 260.0;
        const LEFT: f64 = 90.0;
        const BOTTOM: f64 = 30.0;
        const TOP: f64 = 16.0;
        const PARTS: u32 = 4;
        let most = self.points.iter().map(|(_, entries)| *entries).fold(1.0, f64::max);
        // The limit is in the picture where the course comes near it; far above, it would flatten all else.
        let capacity = self.capacity.filter(|limit| *limit > 0 && f64::from(*limit) <= most * 4.0).map(f64::from);
        let top = capacity.unwrap_or(0.0).max(most) * 1.05;
        let lasts = self.points.last().map_or(1.0, |(at, _)| at.max(1e-9));
        let x = |at: f64| LEFT + (WIDTH - LEFT - 10.0) * at / lasts;
        let y = |entries: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - entries / top);
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            text(caption)
        );
        for part in 0..=PARTS {
            let entries = most * f64::from(part) / f64::from(PARTS);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {:.1}H{WIDTH}\"/>", y(entries));
            svg.push_str(&svg_text(LEFT - 8.0, y(entries) + 4.0, "tick value", &grouped(whole(entries))));
        }
        let line: Vec<_> =
            self.points.iter().map(|(at, entries)| format!("{:.1} {:.1}", x(*at), y(*entries))).collect();
        let _ = writeln!(svg, "<path class=\"line\" d=\"M{}\"/>", line.join("L"));
        if let Some(capacity) = capacity {
            let _ = writeln!(svg, "<path class=\"capacity\" d=\"M{LEFT} {:.1}H{WIDTH}\"/>", y(capacity));
            let words = format!("limit {}", grouped(whole(capacity)));
            svg.push_str(&svg_text(LEFT + 6.0, y(capacity) + 15.0, "capacity", &words));
        }
        svg.push_str(&svg_text(LEFT, HEIGHT - 8.0, "", from));
        svg.push_str(&svg_text(WIDTH - 4.0, HEIGHT - 8.0, "tick value", to));
        svg.push_str("</svg>\n");
        around("figure", "", &(svg + &said("figcaption", "quiet", caption)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of entries")]
fn whole(entries: f64) -> u64 {
    entries.round() as u64
}
