//! Whose the entries of a table are.

use plimsoll_diagnose::words::{grouped, percent, share};
use plimsoll_model::Coverage;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::gauge::bar;
use super::text::{heading, padded, paragraph};
use crate::app::App;
use crate::held::{Group, Holdings};
use crate::known::Table;
use crate::look::quiet;
use crate::order::Order;

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let Some(table) = app.table() else { return paragraph("", "No namespace has been read yet.", width, Style::new()) };
    let holdings = match &table.holdings {
        Ok(holdings) => holdings,
        Err(why) => return unread(table, why, width),
    };
    let mut lines = vec![title(table, holdings)];
    let asked = match &holdings.programs {
        None => Err("not looked up yet: sockets are read while this is shown, with the next look at the entries"),
        Some(programs) if programs.is_empty() => Err(
            "no program of this machine is known at either end: these entries are forwarded, or their sockets are gone",
        ),
        Some(programs) => Ok(programs.as_slice()),
    };
    lines.extend(section("Programs", asked, app, width));
    lines.extend(section("Destination ports", Ok(&holdings.ports), app, width));
    lines.extend(section("Services", Ok(&holdings.services), app, width));
    lines.extend(section("Sources", Ok(&holdings.sources), app, width));
    lines
}

/// Which table, and what the shares rest on.
pub(super) fn title(table: &Table, holdings: &Holdings) -> Line<'static> {
    let read = grouped(holdings.read);
    let of = match holdings.coverage {
        Coverage::Complete => format!("all {read} entries read"),
        Coverage::Sample { .. } => format!("from a sample of {read} entries, ranges at 95%"),
    };
    let mut line = heading(table.namespace.name.to_string());
    line.push_span(Span::styled(format!("  {of}"), quiet()));
    line
}

/// That nothing is known of a table's entries, and why.
pub(super) fn unread(table: &Table, why: &str, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(table.namespace.name.to_string())];
    lines.extend(paragraph("", &format!("What it holds is not known: {why}."), width, Style::new()));
    lines
}

/// Groups under a heading, or why there are none.
pub(super) fn section(name: &str, groups: Result<&[Group], &str>, app: &App, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default(), heading(name.to_string())];
    match groups {
        Err(why) => lines.extend(paragraph("  ", &format!("{why}."), width, quiet())),
        Ok([]) => lines.push(Line::styled("  none", quiet())),
        Ok(groups) => {
            let mut groups: Vec<_> = groups.iter().collect();
            if app.order == Order::Name {
                groups.sort_by(|one, other| one.what.cmp(&other.what));
            }
            lines.extend(groups.into_iter().map(|group| row(group, app, width)));
        }
    }
    lines
}

/// What, a bar, and the share with its interval.
fn row(group: &Group, app: &App, width: usize) -> Line<'static> {
    const WITH_INTERVAL: usize = 60;
    let (share, share_width) =
        if width < WITH_INTERVAL { (percent(group.share.value), 6) } else { (share(&group.share), 20) };
    let bar_width = (width / 6).clamp(6, 30);
    let name = width.saturating_sub(share_width + bar_width + 4);
    Line::from(vec![
        Span::raw(format!("  {} ", padded(&group.what, name))),
        Span::styled(bar(group.share.value, bar_width, ' '), app.look.fill(None)),
        Span::raw(format!(" {share:<share_width$}")),
    ])
}
