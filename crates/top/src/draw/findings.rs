//! What is the matter, each in two lines.

use plimsoll_model::Finding;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{List, ListItem, ListState, Paragraph};

use super::text::{cut, heading, paragraph};
use crate::app::App;
use crate::look::{Look, bold, chosen, quiet};

/// Lines that what could not be seen may take.
const UNSEEN_LINES: usize = 6;

/// The whole list, one of it chosen, and what could not be seen.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let unseen = unseen(app, area.width.into());
    let below = u16::try_from(unseen.len()).unwrap_or(0);
    let [list, rest] = Layout::vertical([Constraint::Min(2), Constraint::Length(below)]).areas(area);
    let findings = app.findings();
    if findings.is_empty() {
        frame.render_widget(Paragraph::new(nothing(app, list.width.into())), list);
    } else {
        let items = findings.iter().map(|finding| ListItem::new(in_two_lines(finding, app.look, list.width.into())));
        let mut state = ListState::default().with_selected(Some(app.finding_at()));
        frame.render_stateful_widget(List::new(items).highlight_style(chosen()), list, &mut state);
    }
    frame.render_widget(Paragraph::new(unseen), rest);
}

/// The worst of them, as many as there is room for.
pub(super) fn worst(app: &App, area: Rect) -> Vec<Line<'static>> {
    let (width, room) = (usize::from(area.width), usize::from(area.height));
    let findings = app.findings();
    if findings.is_empty() {
        return nothing(app, width);
    }
    let mut lines = Vec::new();
    for (told, finding) in findings.iter().enumerate() {
        let is_last = told + 1 == findings.len();
        if lines.len() + 2 + usize::from(!is_last) > room && told > 0 {
            lines.push(Line::styled(format!("and {} more: press 4", findings.len() - told), quiet()));
            break;
        }
        lines.extend(in_two_lines(finding, app.look, width).lines);
    }
    lines
}

fn nothing(app: &App, width: usize) -> Vec<Line<'static>> {
    let words = match app.known().summary {
        Some(_) => "Nothing is wrong.",
        None => "Not checked yet.",
    };
    paragraph("", words, width, Style::new())
}

/// How bad, which, where, what is the matter; and what helps most.
fn in_two_lines(finding: &Finding, look: Look, width: usize) -> Text<'static> {
    let severity = format!("{:<8} ", finding.severity);
    let id = format!("{} ", finding.id);
    let place = finding.namespace.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let room = width.saturating_sub(severity.len() + id.len());
    let first = Line::from(vec![
        Span::styled(severity, look.severity(finding.severity)),
        Span::styled(id, bold()),
        Span::raw(cut(&format!("{place}{}", finding.title), room)),
    ]);
    let remedy = finding.remedies.first().map_or("Enter says more.".to_string(), |remedy| {
        let action = remedy.action.lines().next().unwrap_or_default();
        // A command says it shorter, and can be typed.
        remedy.command.as_ref().map_or(action.to_string(), |command| {
            let command = command.lines().next().unwrap_or_default();
            format!("{command}   {action}")
        })
    });
    Text::from(vec![first, Line::styled(cut(&format!("         → {remedy}"), width), quiet())])
}

/// What could not be seen, and what would show it.
fn unseen(app: &App, width: usize) -> Vec<Line<'static>> {
    let Some(summary) = app.known().summary.as_ref().filter(|summary| !summary.unseen.is_empty()) else {
        return Vec::new();
    };
    let all: Vec<_> = summary.unseen.iter().flat_map(|gap| paragraph("  ", gap, width, Style::new())).collect();
    let is_cut = all.len() >= UNSEEN_LINES;
    let mut lines = vec![heading(format!("Not seen ({})", summary.unseen.len()))];
    lines.extend(all.into_iter().take(UNSEEN_LINES - 1 - usize::from(is_cut)));
    if is_cut {
        lines.push(Line::styled("  `plimsoll check -v` names all of it", quiet()));
    }
    lines
}
