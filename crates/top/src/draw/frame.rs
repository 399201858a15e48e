//! What stands around every view: the verdict, the views' names, the keys.

use plimsoll_diagnose::words::duration;
use plimsoll_model::Severity;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::text::cut;
use crate::app::{App, Over, View};
use crate::look::{bold, chosen, quiet};

/// Shows it, and returns where the view goes.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App) -> Rect {
    let [verdict, views, body, keys] = parts(frame.area());
    frame.render_widget(verdict_line(app, verdict.width.into()), verdict);
    let age = age_line(app);
    let [names, ages] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(u16::try_from(age.width()).unwrap_or(u16::MAX))])
            .areas(views);
    frame.render_widget(views_line(app, names.width.into()), names);
    frame.render_widget(age, ages);
    frame.render_widget(keys_line(app, keys.width.into()), keys);
    body
}

/// Where the view goes.
pub(super) fn body(area: Rect) -> Rect {
    let [_, _, body, _] = parts(area);
    body
}

fn parts(area: Rect) -> [Rect; 4] {
    Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)])
        .areas(area)
}

/// As `check` begins: the verdict, the host, the worst finding.
fn verdict_line(app: &App, width: usize) -> Line<'static> {
    let known = app.known();
    let Some(summary) = &known.summary else {
        let words = known.failure.clone().unwrap_or_else(|| "reading this host …".to_string());
        return Line::raw(cut(&format!("plimsoll: {words}"), width));
    };
    let verdict = summary.verdict.to_string().to_uppercase();
    let host = summary.host.as_ref().map_or("this host", |name| name.as_str());
    let worst = summary.findings.iter().find(|finding| finding.severity > Severity::Info);
    let what = worst.map_or_else(
        || "nothing is wrong".to_string(),
        |finding| {
            let place = finding.namespace.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            place + &finding.title
        },
    );
    let room = width.saturating_sub(verdict.len() + 1);
    Line::from(vec![
        Span::styled(verdict, app.look.verdict(summary.verdict)),
        Span::raw(" "),
        Span::raw(cut(&format!("{host}: {what}"), room)),
    ])
}

/// The views by number; where there is no room for all names, that of the one which is shown.
fn views_line(app: &App, width: usize) -> Line<'static> {
    let line = |is_named: &dyn Fn(View) -> bool| {
        let name = |(index, view): (usize, &View)| {
            let style = if *view == app.view { chosen() } else { quiet() };
            let title = if is_named(*view) { format!(" {}", view.title()) } else { String::new() };
            [Span::styled(format!(" {}{title} ", index + 1), style), Span::raw(" ")]
        };
        Line::from(View::ALL.iter().enumerate().flat_map(name).collect::<Vec<_>>())
    };
    let all = line(&|_| true);
    if all.width() <= width { all } else { line(&|view| view == app.view) }
}

/// How old what is shown is.
fn age_line(app: &App) -> Line<'static> {
    let known = app.known();
    if app.is_held() {
        return Line::styled(" PAUSED ", chosen());
    }
    match (&known.failure, &known.summary) {
        (Some(_), _) => Line::styled("reading fails", app.look.loss()),
        (None, Some(summary)) => {
            let ago = app.now.saturating_sub(summary.at).as_secs();
            Line::styled(format!("checked {} ago", duration(ago)), quiet())
        }
        (None, None) => Line::default(),
    }
}

fn keys_line(app: &App, width: usize) -> Line<'static> {
    let order = format!("sort: {}", app.order.words());
    let keys: Vec<(&str, &str)> = match (&app.over, app.view) {
        (Over::Help | Over::Finding(_), _) => vec![("↑↓", "scroll"), ("Esc", "back"), ("q", "quit")],
        (Over::Nothing, View::Overview) => vec![
            ("↑↓", "namespace"),
            ("Enter", "whose"),
            ("Tab", "view"),
            ("s", &order),
            ("p", "pause"),
            ("?", "help"),
            ("q", "quit"),
        ],
        (Over::Nothing, View::Findings) => {
            vec![("↑↓", "finding"), ("Enter", "explain"), ("Tab", "view"), ("p", "pause"), ("?", "help"), ("q", "quit")]
        }
        (Over::Nothing, View::Whose | View::States) => vec![
            ("←→", "namespace"),
            ("↑↓", "scroll"),
            ("Tab", "view"),
            ("s", "sort"),
            ("p", "pause"),
            ("?", "help"),
            ("q", "quit"),
        ],
    };
    let mut line = Line::default();
    for (key, does) in keys {
        let more = [Span::styled(key.to_string(), bold()), Span::styled(format!(" {does}   "), quiet())];
        // What does not fit is in the help.
        if line.width() + more.iter().map(Span::width).sum::<usize>() > width + 3 {
            break;
        }
        line.extend(more);
    }
    line
}
