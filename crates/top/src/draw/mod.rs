//! What is shown, from what is known.

mod detail;
mod findings;
mod frame;
mod gauge;
mod help;
mod overview;
mod panel;
mod states;
mod text;
mod whose;

use ratatui::Frame;
use ratatui::layout::{Rect, Size};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::app::{App, Over, View};

/// Windows smaller than this show nothing.
const SMALLEST: Size = Size { width: 40, height: 10 };

/// Shows it.
pub fn draw(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    if area.width < SMALLEST.width || area.height < SMALLEST.height {
        let Size { width, height } = SMALLEST;
        return frame.render_widget(Line::raw(format!("needs {width}×{height} or more")), area);
    }
    let body = frame::draw(frame, app);
    match (lines(app, body.width), app.view) {
        (Some(lines), _) => {
            let shown: Vec<_> = lines.into_iter().skip(app.scroll).take(body.height.into()).collect();
            frame.render_widget(Paragraph::new(shown), body);
        }
        (None, View::Findings) => findings::draw(frame, app, body),
        (None, _) => overview::draw(frame, app, body),
    }
}

/// How many lines of what is shown do not fit: so far it can be scrolled.
pub(crate) fn lines_below(app: &App) -> usize {
    let Size { width, height } = app.size();
    let body = frame::body(Rect::new(0, 0, width, height));
    lines(app, body.width).map_or(0, |lines| lines.len().saturating_sub(body.height.into()))
}

/// What is shown, where that is lines to scroll along.
fn lines(app: &App, width: u16) -> Option<Vec<Line<'static>>> {
    let width = usize::from(width);
    match (&app.over, app.view) {
        (Over::Help, _) => Some(help::lines(width)),
        (Over::Finding(finding), _) => Some(detail::lines(finding, app, width)),
        (Over::Nothing, View::Whose) => Some(whose::lines(app, width)),
        (Over::Nothing, View::States) => Some(states::lines(app, width)),
        (Over::Nothing, View::Overview | View::Findings) => None,
    }
}
