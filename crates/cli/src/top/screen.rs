//! The terminal while it is ours. It is given back as it was, whatever ends the program.

use std::io::{self, Stdout};
use std::sync::Once;
use std::time::Duration;

use anyhow::Context;
use crossterm::cursor::Show;
use crossterm::event::{Event, poll, read};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use plimsoll_top::{App, Press, draw};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;

use super::keys::press;

/// What happened at the terminal.
#[derive(Debug)]
pub(super) enum Happened {
    /// Nothing.
    Nothing,
    /// It has this size now.
    Resized(Size),
    /// A key that asks for something.
    Pressed(Press),
}

/// The terminal, given back when dropped.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    _taken: Taken,
}

impl Screen {
    /// Takes it.
    pub(super) fn open() -> anyhow::Result<Self> {
        let taken = Taken::take().context("top: taking the terminal")?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).context("top: taking the terminal")?;
        Ok(Self { terminal, _taken: taken })
    }

    /// How large it is.
    pub(super) fn size(&self) -> anyhow::Result<Size> {
        self.terminal.size().context("top: asking for the terminal's size")
    }

    /// Waits for something to happen, at most so long.
    pub(super) fn wait(longest: Duration) -> anyhow::Result<Happened> {
        let event = match poll(longest) {
            Ok(true) => read(),
            Ok(false) => return Ok(Happened::Nothing),
            // A signal came: the flag that it raised is looked at next.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Happened::Nothing),
            Err(error) => Err(error),
        };
        Ok(match event.context("top: reading from the terminal")? {
            Event::Resize(width, height) => Happened::Resized(Size { width, height }),
            Event::Key(key) => press(key).map_or(Happened::Nothing, Happened::Pressed),
            _ => Happened::Nothing,
        })
    }

    /// Shows it.
    pub(super) fn draw(&mut self, app: &App) -> anyhow::Result<()> {
        self.terminal.draw(|frame| draw(frame, app)).context("top: writing to the terminal")?;
        Ok(())
    }
}

/// That the terminal is ours.
#[derive(Debug)]
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        give_back_on_panic();
        enable_raw_mode()?;
        // From here on it is given back, if the rest fails too.
        let taken = Self;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// As it was. Where that fails nobody is left to be told.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
}

/// The product aborts on a panic, so nothing is dropped; and what a panic says must not be lost with the other screen.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            told(panic);
        }));
    });
}
