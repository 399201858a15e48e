//! In which states the entries of a table are.

use plimsoll_diagnose::words::{duration, grouped, percent, share};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::gauge::bar;
use super::text::{padded, paragraph};
use super::whose::{section, title, unread};
use crate::app::App;
use crate::held::{IDLE_SECS, State};
use crate::look::quiet;
use crate::order::Order;

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let Some(table) = app.table() else { return paragraph("", "No namespace has been read yet.", width, Style::new()) };
    let holdings = match &table.holdings {
        Ok(holdings) => holdings,
        Err(why) => return unread(table, why, width),
    };
    let columns = Columns::of(width);
    let mut states: Vec<_> = holdings.states.iter().collect();
    if app.order == Order::Name {
        states.sort_by(|one, other| one.group.what.cmp(&other.group.what));
    }
    let mut lines = vec![title(table, holdings), columns.heading()];
    lines.extend(states.into_iter().map(|state| columns.row(state, app)));
    lines.extend(section("What they have in common", Ok(&holdings.traits), app, width));
    lines
}

const SHARE: usize = 20;
const ENTRIES: usize = 17;
const IDLE: usize = 13;

/// What there is room for.
struct Columns {
    name: usize,
    bar: usize,
    idle: bool,
}

impl Columns {
    fn of(width: usize) -> Self {
        const WITH_IDLE: usize = 76;
        let idle = width >= WITH_IDLE;
        let bar = if width >= 100 { 20 } else { 6 };
        let rest = SHARE + ENTRIES + bar + 5 + if idle { IDLE + 1 } else { 0 };
        Self { name: width.saturating_sub(rest).clamp(8, 28), bar, idle }
    }

    fn heading(&self) -> Line<'static> {
        let idle = if self.idle {
            format!(" {:>IDLE$}", format!("idle {}", duration(IDLE_SECS.into())))
        } else {
            String::new()
        };
        let Self { name, bar, .. } = self;
        Line::styled(
            format!("  {} {:bar$} {:<SHARE$} {:>ENTRIES$}{idle}", padded("state", *name), "", "share", "entries"),
            quiet(),
        )
    }

    fn row(&self, state: &State, app: &App) -> Line<'static> {
        let entries = if state.entries.is_exact() {
            grouped(state.entries.high)
        } else {
            format!("{}–{}", grouped(state.entries.low), grouped(state.entries.high))
        };
        let mut line = Line::from(vec![
            Span::raw(format!("  {} ", padded(&state.group.what, self.name))),
            Span::styled(bar(state.group.share.value, self.bar, ' '), app.look.fill(None)),
            Span::raw(format!(" {:<SHARE$} {entries:>ENTRIES$}", share(&state.group.share))),
        ]);
        if self.idle {
            line.push_span(Span::raw(format!(" {:>IDLE$}", state.idle.map_or("?".to_string(), idle))));
        }
        line
    }
}

/// The share that is idle: certainly, and possibly.
fn idle((certainly, possibly): (f64, f64)) -> String {
    if (certainly - possibly).abs() < f64::EPSILON {
        percent(certainly)
    } else {
        format!("{:.0}–{:.0}%", certainly * 100.0, possibly * 100.0)
    }
}
