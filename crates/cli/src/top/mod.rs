//! `plimsoll top`: what `check` says, live.

mod arguments;
mod keys;
mod reader;
mod screen;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anyhow::bail;
use plimsoll_host::monotonic_now;
use plimsoll_observe::Target;
use plimsoll_top::{App, Look, Next, Told, Words};

pub(crate) use self::arguments::TopArguments;

use self::reader::{Reader, Wish};
use self::screen::{Happened, Screen};
use crate::arguments::Color;
use crate::stop::told_to_stop;
use crate::{check, explain};

/// How long a key is waited for before it is looked whether there is a reading.
const PATIENCE: Duration = Duration::from_millis(100);

/// Ages are shown in seconds.
const AGING: Duration = Duration::from_secs(1);

/// Shows what there is until it is quit.
pub(crate) fn run(arguments: &TopArguments) -> anyhow::Result<ExitCode> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        bail!(
            "top: it needs a terminal for keys and screen, and standard input or output is none: `plimsoll check` says the \
             same once, `plimsoll check --json` for programs, and `plimsoll watch` keeps metrics and a page"
        );
    }
    let target = match arguments.netns.as_str() {
        "all" => Target::All,
        name => Target::Named(name.to_string()),
    };
    // What is wrong from the start is said before the screen is taken.
    let reader = Reader::new(target, arguments.interval, arguments.kube.into())?;
    let stop = told_to_stop()?;
    let mut screen = Screen::open()?;
    let wish = Wish::default();
    let told = reader.start(wish.clone())?;
    let mut app = App::new(look(arguments.color), words(), screen.size()?);
    let mut drawn_at = None;
    while !stop.load(Ordering::Relaxed) {
        let mut has_changed = take_in(&mut app, &told)?;
        match Screen::wait(if has_changed { Duration::ZERO } else { PATIENCE })? {
            Happened::Nothing => {}
            Happened::Gone => break,
            Happened::Resized(size) => {
                app.resize(size);
                has_changed = true;
            }
            Happened::Pressed(press) => {
                if app.press(press) == Next::End {
                    break;
                }
                has_changed = true;
            }
        }
        if has_changed {
            wish.set(app.wish());
        }
        let now = monotonic_now();
        if has_changed || drawn_at.is_none_or(|at| at + AGING <= now) {
            app.tick(now);
            screen.draw(&app)?;
            drawn_at = Some(now);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes in what has been read meanwhile; whether there was something.
fn take_in(app: &mut App, told: &Receiver<Told>) -> anyhow::Result<bool> {
    let mut has_changed = false;
    loop {
        match told.try_recv() {
            Ok(told) => {
                app.take_in(told);
                has_changed = true;
            }
            Err(TryRecvError::Empty) => return Ok(has_changed),
            Err(TryRecvError::Disconnected) => bail!("top: reading has ended by itself, which is a fault in Plimsoll"),
        }
    }
}

fn look(color: Color) -> Look {
    let is_wanted = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
    };
    // Crossterm reads NO_COLOR by itself.
    crossterm::style::force_color_output(is_wanted);
    if is_wanted { Look::Coloured } else { Look::Plain }
}

fn words() -> Words {
    Words { explain: explain::sections, plain: explain::markdown::render, outlook: check::outlook }
}
