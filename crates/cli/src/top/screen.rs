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
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::keys::press;

/// What happened at the terminal.
#[derive(Debug)]
pub(super) enum Happened {
    /// Nothing.
    Nothing,
    /// It has this size now.
    Resized(Size),
    /// Nobody is at it any more: it was closed, or its connection has ended.
    Gone,
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
        // Crossterm may hold keys that came with the one before; asked for them at a terminal that is gone it never answers.
        let (none, longest) = (Timespec::default(), Timespec::try_from(longest).unwrap_or_default());
        for patience in [none, longest] {
            if is_gone(&patience)? {
                return Ok(Happened::Gone);
            }
            match poll(Duration::ZERO) {
                Ok(true) => return Self::next(),
                Ok(false) => {}
                // A signal came: the flag that it raised is looked at next.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => break,
                Err(error) => return Err(error).context("top: reading from the terminal"),
            }
        }
        Ok(Happened::Nothing)
    }

    fn next() -> anyhow::Result<Happened> {
        Ok(match read().context("top: reading from the terminal")? {
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

/// Waits for a key, at most so long; whether the terminal has hung up (poll(2): `POLLHUP`, which comes unasked).
fn is_gone(longest: &Timespec) -> anyhow::Result<bool> {
    let stdin = io::stdin();
    let mut asked = [PollFd::new(&stdin, PollFlags::IN)];
    match rustix::event::poll(&mut asked, Some(longest)) {
        Ok(_) | Err(Errno::INTR) => Ok(asked[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)),
        Err(error) => Err(error).context("top: waiting at the terminal"),
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
