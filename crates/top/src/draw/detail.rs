//! One finding, and what `explain` says of it.

use plimsoll_diagnose::words::share;
use plimsoll_model::{Finding, Side};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text::{heading, paragraph};
use crate::app::App;
use crate::look::{bold, quiet};

/// Lines are no longer than this: longer ones are hard to read.
const WIDEST: usize = 100;

pub(super) fn lines(finding: &Finding, app: &App, width: usize) -> Vec<Line<'static>> {
    let width = width.min(WIDEST);
    let place = finding.namespace.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{}{place}", finding.id), bold()),
        Span::raw(" ("),
        Span::styled(finding.severity.to_string(), app.look.severity(finding.severity)),
        Span::raw(format!(", {})", finding.confidence)),
    ])];
    lines.extend(paragraph("", &finding.title, width, Style::new()));
    lines.push(Line::default());
    for evidence in &finding.evidence {
        lines.extend(paragraph("- ", &evidence.text, width, Style::new()));
    }
    for whose in &finding.whose {
        let does = match whose.side {
            Side::Client => "opened by",
            Side::Server => "answered by",
        };
        lines.extend(paragraph(
            "- ",
            &format!("{} {does} {}", share(&whose.share), whose.program),
            width,
            Style::new(),
        ));
    }
    lines.extend(paragraph("", &finding.meaning, width, Style::new()));
    if !finding.remedies.is_empty() {
        lines.extend([Line::default(), heading("What helps here".to_string())]);
    }
    for (index, remedy) in finding.remedies.iter().enumerate() {
        let mut action = remedy.action.lines();
        lines.extend(paragraph(&format!("{}. ", index + 1), action.next().unwrap_or_default(), width, Style::new()));
        for line in action {
            let depth = line.len() - line.trim_start().len();
            lines.extend(paragraph(&" ".repeat(3 + depth), line, width, Style::new()));
        }
        if let Some(command) = &remedy.command {
            lines.extend(command.lines().map(|line| Line::styled(format!("   {line}"), bold())));
        }
    }
    lines.extend([Line::default(), Line::styled(format!("plimsoll explain {}", finding.id), quiet())]);
    for (title, markdown) in (app.words.explain)(finding.id) {
        lines.extend([Line::default(), heading(title.to_string())]);
        lines.extend((app.words.plain)(markdown, width).lines().map(|line| Line::raw(line.to_string())));
    }
    lines
}
