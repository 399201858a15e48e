//! What is looked at, and what keys do.

use std::time::Duration;

use plimsoll_churn::Outlook;
use plimsoll_model::{Finding, FindingId, Untrusted};
use ratatui::layout::Size;

use crate::draw::lines_below;
use crate::known::{Known, Table, Told};
use crate::look::Look;
use crate::order::Order;

/// How things are said that are said elsewhere too.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// What `plimsoll explain` says of a finding: headings, and markdown below each.
    pub explain: fn(FindingId) -> Vec<(&'static str, &'static str)>,
    /// Markdown as lines of at most so many letters.
    pub plain: fn(&str, usize) -> String,
    /// Where a table's entries lead.
    pub outlook: fn(&Outlook) -> String,
}

/// What may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Every table, how full it is and what it loses; and what is the matter.
    Overview,
    /// Whose the entries of one table are.
    Whose,
    /// In which states they are.
    States,
    /// What is the matter.
    Findings,
}

impl View {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Overview, Self::Whose, Self::States, Self::Findings];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Whose => "Whose",
            Self::States => "States",
            Self::Findings => "Findings",
        }
    }

    fn stepped(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|view| *view == self).unwrap_or(0);
        Self::ALL.get((at + by) % Self::ALL.len()).copied().unwrap_or(self)
    }
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A screenful up.
    PageUp,
    /// A screenful down.
    PageDown,
    /// The first row.
    First,
    /// The last row.
    Last,
    /// The namespace before this one.
    Left,
    /// The namespace after it.
    Right,
    /// More of what is chosen.
    Open,
    /// The next view.
    NextView,
    /// The view before.
    PreviousView,
    /// This view.
    Show(View),
    /// Another order.
    Sort,
    /// Hold what is shown, or go on.
    Pause,
    /// Which keys there are.
    Help,
    /// Back, or the end.
    Back,
    /// The end.
    Quit,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    GoOn,
    /// It is over.
    End,
}

/// What is known, and what of it is looked at.
#[derive(Debug)]
pub struct App {
    pub(crate) look: Look,
    pub(crate) words: Words,
    pub(crate) now: Duration,
    pub(crate) view: View,
    pub(crate) over: Over,
    pub(crate) order: Order,
    /// First line shown of what is longer than the window.
    pub(crate) scroll: usize,
    size: Size,
    known: Known,
    /// What is shown while it is held.
    held: Option<Known>,
    namespace: Option<Untrusted>,
    finding: Option<(FindingId, Option<Untrusted>)>,
}

/// What lies over the view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Over {
    Nothing,
    Help,
    Finding(Box<Finding>),
}

impl App {
    /// Nothing is known yet. `size` is the window's.
    pub fn new(look: Look, words: Words, size: Size) -> Self {
        Self {
            look,
            words,
            now: Duration::ZERO,
            view: View::Overview,
            over: Over::Nothing,
            order: Order::default(),
            scroll: 0,
            size,
            known: Known::default(),
            held: None,
            namespace: None,
            finding: None,
        }
    }

    /// Takes in what a reading told.
    pub fn take_in(&mut self, told: Told) {
        self.known.take_in(told);
    }

    /// It is so late, on the monotonic clock.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
    }

    /// The window has another size.
    pub fn resize(&mut self, size: Size) {
        self.size = size;
        self.scroll = self.scroll.min(self.last_scroll());
    }

    /// The namespace of which somebody wants to see whose its entries are.
    pub fn wish(&self) -> Option<Untrusted> {
        (self.view == View::Whose).then(|| self.table().map(|table| table.namespace.name.clone())).flatten()
    }

    /// Does what was asked for.
    pub fn press(&mut self, press: Press) -> Next {
        match press {
            Press::Quit => return Next::End,
            Press::Back if self.over == Over::Nothing => return Next::End,
            Press::Back => self.lay_over(Over::Nothing),
            Press::Help if self.over == Over::Help => self.lay_over(Over::Nothing),
            Press::Help => self.lay_over(Over::Help),
            Press::Show(view) => self.show(view),
            Press::NextView => self.show(self.view.stepped(1)),
            Press::PreviousView => self.show(self.view.stepped(View::ALL.len() - 1)),
            Press::Pause => self.held = if self.held.is_some() { None } else { Some(self.known.clone()) },
            Press::Sort => self.order = self.order.next(),
            Press::Open => self.open(),
            Press::Left => self.choose_namespace(|at| at.saturating_sub(1)),
            Press::Right => self.choose_namespace(|at| at + 1),
            Press::Up => self.go(|at, _| at.saturating_sub(1)),
            Press::Down => self.go(|at, _| at + 1),
            Press::PageUp => self.go(usize::saturating_sub),
            Press::PageDown => self.go(|at, page| at + page),
            Press::First => self.go(|_, _| 0),
            Press::Last => self.go(|_, _| usize::MAX),
        }
        Next::GoOn
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    pub(crate) fn known(&self) -> &Known {
        self.held.as_ref().unwrap_or(&self.known)
    }

    /// Tables in the order in which they are shown.
    pub(crate) fn tables(&self) -> Vec<&Table> {
        let mut tables: Vec<_> = self.known().tables.iter().collect();
        tables.sort_by(|one, other| self.order.of_tables(one, other));
        tables
    }

    /// The table that is chosen, or else the first.
    pub(crate) fn table(&self) -> Option<&Table> {
        let chosen = self.namespace.as_ref().and_then(|name| self.known().table(name));
        chosen.or_else(|| self.tables().first().copied())
    }

    /// Findings in the order in which they are shown.
    pub(crate) fn findings(&self) -> Vec<&Finding> {
        let mut findings: Vec<_> = self.known().summary.iter().flat_map(|summary| &summary.findings).collect();
        if self.order == Order::Name {
            findings.sort_by_key(|finding| finding.id.as_str());
        }
        findings
    }

    /// The place of the finding that is chosen among them.
    pub(crate) fn finding_at(&self) -> usize {
        let is_it = |finding: &&Finding| self.finding.as_ref() == Some(&identity(finding));
        self.findings().iter().position(is_it).unwrap_or(0)
    }

    fn show(&mut self, view: View) {
        self.view = view;
        self.lay_over(Over::Nothing);
    }

    fn lay_over(&mut self, over: Over) {
        self.over = over;
        self.scroll = 0;
    }

    fn open(&mut self) {
        match (&self.over, self.view) {
            (Over::Nothing, View::Findings) => {
                let finding = self.findings().get(self.finding_at()).map(|finding| Box::new((*finding).clone()));
                if let Some(finding) = finding {
                    self.lay_over(Over::Finding(finding));
                }
            }
            (Over::Nothing, View::Overview) => self.show(View::Whose),
            (Over::Nothing, View::Whose | View::States) => {}
            (Over::Help | Over::Finding(_), _) => self.lay_over(Over::Nothing),
        }
    }

    /// Goes along what is shown: the row that is chosen, or the line that is the first. `to` is given where that is, and how many lines
    /// a page has.
    fn go(&mut self, to: impl Fn(usize, usize) -> usize) {
        match (&self.over, self.view) {
            (Over::Nothing, View::Overview) => {
                let page = self.page();
                self.choose_namespace(|at| to(at, page));
            }
            (Over::Nothing, View::Findings) => {
                let findings = self.findings();
                let at = to(self.finding_at(), self.page() / 2).min(findings.len().saturating_sub(1));
                self.finding = findings.get(at).map(|finding| identity(finding));
            }
            _ => self.scroll = to(self.scroll, self.page()).min(self.last_scroll()),
        }
    }

    fn choose_namespace(&mut self, to: impl Fn(usize) -> usize) {
        let tables = self.tables();
        let chosen = self.table().map(|table| &table.namespace.name);
        let at = tables.iter().position(|table| Some(&table.namespace.name) == chosen).unwrap_or(0);
        let at = to(at).min(tables.len().saturating_sub(1));
        self.namespace = tables.get(at).map(|table| table.namespace.name.clone());
        self.scroll = self.scroll.min(self.last_scroll());
    }

    /// Lines that a page goes on by.
    fn page(&self) -> usize {
        usize::from(self.size.height).saturating_sub(5).max(1)
    }

    fn last_scroll(&self) -> usize {
        lines_below(self)
    }
}

fn identity(finding: &Finding) -> (FindingId, Option<Untrusted>) {
    (finding.id, finding.namespace.clone())
}
