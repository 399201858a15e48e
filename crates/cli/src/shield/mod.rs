//! `plimsoll shield`: a filter before tracking, in shadow first, and never without an end.

mod arguments;
mod json;
mod made;
mod report;
mod text;
mod watched;

use std::process::ExitCode;

use plimsoll_apply::{Asked, Author, Place, Shielded};

pub(crate) use self::arguments::ShieldArguments;

use self::made::made;
use self::report::{Outcome, Report, State};
use self::watched::Watch;
use crate::apply::guardian;
use crate::output;
use crate::stop::stop_on_signals;

/// It is in shadow, though it was to be enforced; or there is nothing to make one for.
const IN_SHADOW: u8 = 1;
/// Something could not be undone.
const REMAINS: u8 = 2;

/// Puts a shield up, enforces it, or tells of it.
pub(crate) fn run(arguments: &ShieldArguments) -> anyhow::Result<ExitCode> {
    let report = if arguments.status {
        status(arguments)?
    } else if arguments.stop {
        stop(arguments)?
    } else if let Some(lasts) = arguments.extend {
        let shielded = in_force(arguments)?;
        shielded.extend(lasts, &|_, _| {})?;
        Report::new(arguments, Outcome::Extended(State::of(&shielded)?))
    } else {
        put_up(arguments)?
    };
    let code = match &report.outcome {
        Outcome::Nothing | Outcome::Withdrawn { .. } => IN_SHADOW,
        // Whatever was judged, and by how little: it does not drop.
        Outcome::Judged { .. } if arguments.enforce => IN_SHADOW,
        Outcome::Stopped(rolled_back) if !rolled_back.application.remaining().is_empty() => REMAINS,
        _ => 0,
    };
    let written = if arguments.common.json { json::render(&report)? } else { text::render(&report) };
    output::write(&written, arguments.common.color)?;
    Ok(ExitCode::from(code))
}

fn status(arguments: &ShieldArguments) -> anyhow::Result<Report> {
    let place = Place::named(&arguments.netns)?;
    let shielded = Shielded::in_force(&arguments.common.state_dir(), &place, &guardian()?)?;
    let outcome = match shielded {
        None => Outcome::None,
        Some(shielded) => Outcome::Status(State::of(&shielded)?),
    };
    Ok(Report::new(arguments, outcome))
}

fn stop(arguments: &ShieldArguments) -> anyhow::Result<Report> {
    let place = Place::named(&arguments.netns)?;
    let shielded = Shielded::last(&arguments.common.state_dir(), &place, &guardian()?)?;
    let outcome = match shielded {
        None => Outcome::None,
        Some(shielded) => Outcome::Stopped(Box::new(shielded.stop(&|_, _| {})?)),
    };
    Ok(Report::new(arguments, outcome))
}

/// A shield that is there is enforced as it is: what it looks at, and whom it spares, was said when it was put up.
fn refuse_another(arguments: &ShieldArguments, id: u32) -> anyhow::Result<()> {
    if arguments.dry_run {
        anyhow::bail!(
            "there is a shield already (application {id}), and --dry-run changes nothing; `plimsoll shield --status` tells of it"
        );
    }
    if arguments.shapes() {
        anyhow::bail!(
            "there is a shield already (application {id}), which --enforce has drop as it is; `plimsoll shield --stop` first, to put up \
             another one"
        );
    }
    Ok(())
}

fn in_force(arguments: &ShieldArguments) -> anyhow::Result<Shielded> {
    let place = Place::named(&arguments.netns)?;
    let shielded = Shielded::in_force(&arguments.common.state_dir(), &place, &guardian()?)?;
    shielded.ok_or_else(|| anyhow::anyhow!("there is no shield in {}", place.at().name.escape_default()))
}

fn put_up(arguments: &ShieldArguments) -> anyhow::Result<Report> {
    let (state_dir, place, guardian) = (arguments.common.state_dir(), Place::named(&arguments.netns)?, guardian()?);
    let there = Shielded::in_force(&state_dir, &place, &guardian)?;
    let (shielded, because) = match there {
        Some(shielded) if arguments.enforce && arguments.against.is_none() => {
            refuse_another(arguments, shielded.id())?;
            (shielded, None)
        }
        _ => {
            let Some(made) = made(arguments, &place)? else { return Ok(Report::new(arguments, Outcome::Nothing)) };
            let interfaces = arguments.xdp.iter().cloned().collect();
            let asked = Asked { shield: made.shield.clone(), interfaces, lasts: arguments.expire };
            if arguments.dry_run {
                let rehearsed = Shielded::rehearse(&state_dir, place, &asked)?;
                return Ok(Report::new(arguments, Outcome::Planned { made, rehearsed }));
            }
            let by = Author::of_this_process();
            let shielded = Shielded::begin(&state_dir, place, asked, by, &guardian, &|_, _| {})?;
            (shielded, Some(made))
        }
    };
    let stop = stop_on_signals()?;
    let watch = Watch::new(&shielded, arguments, &stop)?;
    Ok(Report::new(arguments, watch.run(because)?))
}
