//! Every table, the chosen one more closely, and what is the matter.

use plimsoll_diagnose::words::{grouped, percent, rate};
use plimsoll_model::Capacity;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table as Grid, TableState};

use super::findings::worst;
use super::gauge::{bar, course};
use super::panel;
use super::text::{cut, heading};
use crate::app::App;
use crate::known::Table;
use crate::look::{chosen, quiet};

pub(super) fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    /// A window with less has room for no panel.
    const WITH_PANEL: u16 = 18;
    let tables = app.tables();
    let wanted = u16::try_from(tables.len()).unwrap_or(u16::MAX).saturating_add(1);
    let panel_height = if area.height >= WITH_PANEL { panel::HEIGHT } else { 0 };
    let most = (area.height.saturating_sub(panel_height) / 2).max(2);
    let [grid, panel, below] = Layout::vertical([
        Constraint::Length(wanted.clamp(2, most)),
        Constraint::Length(panel_height),
        Constraint::Min(0),
    ])
    .areas(area);
    draw_grid(frame, app, &tables, grid);
    if panel.height > 0
        && let Some(table) = app.table()
    {
        panel::draw(frame, app, table, panel);
    }
    let [title, findings] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(below);
    frame.render_widget(heading(format!("Findings ({})", app.findings().len())), title);
    frame.render_widget(Paragraph::new(worst(app, findings)), findings);
}

fn draw_grid(frame: &mut Frame<'_>, app: &App, tables: &[&Table], area: Rect) {
    let columns = Column::that_fit(area.width, tables);
    let heads = columns.iter().map(|column| column.head());
    let rows = tables.iter().map(|table| Row::new(columns.iter().map(|column| column.cell(table, app))));
    let at =
        app.table().and_then(|chosen| tables.iter().position(|table| table.namespace.name == chosen.namespace.name));
    let grid = Grid::new(rows, columns.iter().map(|column| Constraint::Length(column.width)))
        .header(Row::new(heads).style(quiet()))
        .row_highlight_style(chosen());
    frame.render_stateful_widget(grid, area, &mut TableState::default().with_selected(at));
}

/// What is told of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Name,
    Load,
    Percent,
    Entries,
    Capacity,
    Headroom,
    New,
    Dropped,
    Failed,
    Evicted,
    Course,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    told: Told,
    width: u16,
}

/// In the order in which they stand, with the width and the window's from which there is room for it.
const COLUMNS: [(Told, u16, u16); 11] = [
    (Told::Name, 12, 0),
    (Told::Load, 10, 50),
    (Told::Percent, 6, 0),
    (Told::Entries, 9, 0),
    (Told::Capacity, 9, 100),
    (Told::Headroom, 9, 70),
    (Told::New, 7, 70),
    (Told::Dropped, 6, 0),
    (Told::Failed, 6, 90),
    (Told::Evicted, 7, 90),
    (Told::Course, 10, 80),
];

impl Column {
    /// Those that there is room for; what is left goes to names, as far as they need it, and to the course.
    fn that_fit(width: u16, tables: &[&Table]) -> Vec<Self> {
        let mut columns: Vec<_> = COLUMNS
            .iter()
            .filter(|(_, _, from)| width >= *from)
            .map(|(told, width, _)| Self { told: *told, width: *width })
            .collect();
        let gaps = u16::try_from(columns.len()).unwrap_or(0).saturating_sub(1);
        let mut left = width.saturating_sub(columns.iter().map(|column| column.width).sum::<u16>() + gaps);
        let longest = tables.iter().map(|table| Span::raw(table.namespace.name.as_str()).width()).max().unwrap_or(0);
        for column in &mut columns {
            let wanted = match column.told {
                Told::Name => u16::try_from(longest).unwrap_or(u16::MAX).clamp(12, 40),
                Told::Load => 30.min(column.width + left / 2),
                Told::Course => u16::MAX,
                _ => column.width,
            };
            let more = wanted.saturating_sub(column.width).min(left);
            column.width += more;
            left -= more;
        }
        columns
    }

    fn head(self) -> Line<'static> {
        let words = match self.told {
            Told::Name => "namespace",
            Told::Load => "load",
            Told::Percent => "",
            Told::Entries => "entries",
            Told::Capacity => "limit",
            Told::Headroom => "headroom",
            Told::New => "new/s",
            Told::Dropped => "drop/s",
            Told::Failed => "fail/s",
            Told::Evicted => "evict/s",
            Told::Course => "last 5 min",
        };
        self.aligned(Line::raw(words))
    }

    fn cell(self, table: &Table, app: &App) -> Line<'static> {
        let share = table.utilization();
        let width = usize::from(self.width);
        let fill = app.look.fill(share);
        self.aligned(match self.told {
            Told::Name => Line::raw(cut(table.namespace.name.as_str(), width)),
            Told::Load => Line::styled(share.map_or(String::new(), |share| bar(share, width, '·')), fill),
            Told::Percent => Line::styled(share.map_or(unknown(), percent), fill),
            Told::Entries => Line::raw(table.occupancy.map_or(unknown(), |occupancy| grouped(occupancy.0.into()))),
            Told::Capacity => Line::raw(limit(table.capacity)),
            Told::Headroom => Line::raw(table.headroom().map_or(unknown(), |room| grouped(room.into()))),
            Told::New => Line::raw(table.new_per_sec.map_or(unknown(), |new| rate(new.value))),
            Told::Dropped => loss(table.rates.dropped, app),
            Told::Failed => loss(table.rates.insert_failed, app),
            Told::Evicted => loss(table.rates.early_drop, app),
            Told::Course => Line::styled(course(&table.course, app.now, width), fill),
        })
    }

    fn aligned(self, line: Line<'static>) -> Line<'static> {
        match self.told {
            Told::Name | Told::Load | Told::Course => line,
            _ => line.alignment(Alignment::Right),
        }
    }
}

fn limit(capacity: Option<Capacity>) -> String {
    match capacity.map(Capacity::limit) {
        Some(Some(limit)) => grouped(limit.into()),
        Some(None) => "none".to_string(),
        None => unknown(),
    }
}

fn unknown() -> String {
    "?".to_string()
}

/// What is lost a second.
fn loss(per_sec: Option<f64>, app: &App) -> Line<'static> {
    match per_sec {
        None => Line::raw(unknown()),
        Some(lost) if lost > 0.0 => Line::styled(rate(lost), app.look.loss()),
        Some(_) => Line::styled("0", Style::new()),
    }
}
