//! One table more closely: numbers at the left, the last minutes at the right.

use plimsoll_diagnose::words::{grouped, percent, rate};
use plimsoll_model::Interval;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};

use super::text::{cut, heading, paragraph};
use crate::app::App;
use crate::held::Holdings;
use crate::known::{SPAN, Table};
use crate::look::quiet;

/// Lines that it takes.
pub(super) const HEIGHT: u16 = 10;

pub(super) fn draw(frame: &mut Frame<'_>, app: &App, table: &Table, area: Rect) {
    /// With less there is no room for a chart.
    const WITH_CHART: u16 = 70;
    let chart_width = if area.width >= WITH_CHART { area.width / 3 } else { 0 };
    let [facts, _, chart] = Layout::horizontal([
        Constraint::Min(0),
        Constraint::Length(u16::from(chart_width > 0)),
        Constraint::Length(chart_width),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(told(app, table, facts.width.into())), facts);
    if chart.width > 0 {
        draw_chart(frame, app, table, chart);
    }
}

fn told(app: &App, table: &Table, width: usize) -> Vec<Line<'static>> {
    let mut title = heading(table.namespace.name.to_string());
    if let Some(owner) = &table.namespace.owner {
        let room = width.saturating_sub(title.width() + 2);
        title.push_span(Span::styled(cut(&format!("  {} (process {})", owner.command, owner.pid), room), quiet()));
    }
    let mut lines = vec![Line::default(), title];
    lines.extend(paragraph("", &fill(table), width, Style::new()));
    lines.extend(paragraph("", &flow(table), width, Style::new()));
    if let Some(outlook) = &table.outlook {
        lines.extend(paragraph("leads: ", &(app.words.outlook)(outlook), width, Style::new()));
    }
    lines.extend(paragraph("", &losses(table), width, Style::new()));
    match &table.holdings {
        Ok(holdings) => lines.extend(most(holdings).into_iter().map(|line| Line::raw(cut(&line, width)))),
        Err(why) => lines.extend(paragraph("", &format!("not looked into: {why}"), width, quiet())),
    }
    lines
}

fn fill(table: &Table) -> String {
    let number = |number: Option<u32>| number.map_or("?".to_string(), |number| grouped(number.into()));
    let occupancy = number(table.occupancy.map(|occupancy| occupancy.0));
    match table.capacity.map(plimsoll_model::Capacity::limit) {
        Some(Some(limit)) => {
            format!("{occupancy} of {}, headroom {}", grouped(limit.into()), number(table.headroom()))
        }
        Some(None) => format!("{occupancy} entries, no limit"),
        None => format!("{occupancy} entries, limit not known"),
    }
}

/// What comes, and what that makes of the number.
fn flow(table: &Table) -> String {
    let new = table.new_per_sec.map_or("new: not known".to_string(), |Interval { low, value, high }| {
        format!("new {}/s ({}–{})", rate(value), rate(low), rate(high))
    });
    let growth = table.rates.growth.map_or(String::new(), |growth| {
        let sign = if growth < 0.0 { "−" } else { "+" };
        format!(", net {sign}{}/s", rate(growth.abs()))
    });
    new + &growth
}

fn losses(table: &Table) -> String {
    let per_sec = |count: Option<f64>| {
        count.map_or("?".to_string(), |count| if count > 0.0 { rate(count) } else { "0".to_string() })
    };
    let rates = table.rates;
    format!(
        "per s: drop {}, insert_failed {}, early_drop {}",
        per_sec(rates.dropped),
        per_sec(rates.insert_failed),
        per_sec(rates.early_drop)
    )
}

/// The largest states, ports and programs, a line each.
fn most(holdings: &Holdings) -> Vec<String> {
    const NAMED: usize = 3;
    let listed = |groups: &mut dyn Iterator<Item = (&str, f64)>| {
        groups.take(NAMED).map(|(what, share)| format!("{what} {}", percent(share))).collect::<Vec<_>>().join(", ")
    };
    let of = |groups: &[crate::held::Group]| {
        listed(&mut groups.iter().map(|group| (group.what.as_str(), group.share.value)))
    };
    let states = listed(&mut holdings.states.iter().map(|state| (state.group.what.as_str(), state.group.share.value)));
    let programs = holdings.programs.as_deref().map(of).unwrap_or_default();
    [("holds", states), ("ports", of(&holdings.ports)), ("whose", programs)]
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(what, words)| format!("{what}: {words}"))
        .collect()
}

fn draw_chart(frame: &mut Frame<'_>, app: &App, table: &Table, area: Rect) {
    let span = SPAN.as_secs_f64();
    let ago = |at: std::time::Duration| -app.now.saturating_sub(at).as_secs_f64();
    let points: Vec<_> = table.course.iter().map(|moment| (ago(moment.at), f64::from(moment.entries))).collect();
    let most = points.iter().map(|(_, entries)| *entries).fold(1.0, f64::max);
    // The limit is in the picture where the course comes near it; far above, it would flatten all else.
    let limit =
        table.capacity.and_then(plimsoll_model::Capacity::limit).map(f64::from).filter(|limit| *limit <= most * 3.0);
    let top = limit.map_or(most, |limit| limit.max(most)) * 1.05;
    let line: Vec<_> = limit.map(|limit| vec![(-span, limit), (0.0, limit)]).unwrap_or_default();
    let of = |points| Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(points);
    let course = of(&points).style(app.look.fill(table.utilization()));
    let load_line = of(&line).style(quiet());
    let label = short(limit.unwrap_or(most));
    let chart = Chart::new(vec![load_line, course])
        .x_axis(Axis::default().bounds([-span, 0.0]).labels(["-5 min", "now"]).style(quiet()))
        .y_axis(Axis::default().bounds([0.0, top]).labels(["0".to_string(), label]).style(quiet()));
    frame.render_widget(chart, area);
}

/// A number in five letters at most, for an axis.
fn short(number: f64) -> String {
    if number < 10_000.0 {
        format!("{number:.0}")
    } else if number < 1_000_000.0 {
        format!("{:.0}k", number / 1000.0)
    } else {
        format!("{:.1}M", number / 1_000_000.0)
    }
}
