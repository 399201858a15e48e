//! `plimsoll record show`: what a recording holds.

mod json;
mod picture;
mod summary;
mod text;

use std::process::ExitCode;

use anyhow::{Context, bail};
use plimsoll_model::{NetworkSettings, Sysctl};
use plimsoll_plan::{MeasureRequest, Measured, Rails, Share, measure};

pub(crate) use self::picture::render as picture;
pub(crate) use self::summary::{ServiceLives, Summary};
pub(crate) use self::text::secs;

use super::arguments::ShowArguments;
use crate::arguments::Color;
use crate::drawn::{Picture, STANDARD_OUTPUT};
use crate::output;
use crate::recording::Recording;

/// False kills that `plan --from` bears if nothing else is said.
const MOST_FALSE_KILLS: f64 = 0.0001;

/// Says what a recording holds.
pub(super) fn run(arguments: &ShowArguments) -> anyhow::Result<ExitCode> {
    if arguments.svg.as_deref() == Some(STANDARD_OUTPUT) && arguments.json {
        bail!("--svg - writes to standard output, as --json does: name a file for the picture")
    }
    let recording = Recording::open(&arguments.recording)?;
    let origin = recording.origin()?;
    let picture = Picture::begin(arguments.svg.as_deref(), &[], Some(&arguments.recording))?;
    let measured = measured(&recording)?;
    let summary = Summary::of(&recording)?;
    let svg = || picture::render(&recording.name, &measured);
    match picture {
        Picture::ToStandardOutput => {
            output::write(&svg(), Color::Never)?;
            return Ok(ExitCode::SUCCESS);
        }
        Picture::ToFile(file) => file.write(&svg())?,
        Picture::None => {}
    }
    let text = if arguments.json {
        json::render(&recording, origin, &summary, &measured)?
    } else {
        text::render(&recording, origin, &summary, &measured)
    };
    output::write(&text, arguments.color)?;
    Ok(ExitCode::SUCCESS)
}

/// What its silences say of timeouts.
pub(crate) fn measured(recording: &Recording) -> anyhow::Result<Measured> {
    let silences = recording.silences()?;
    let settings = NetworkSettings {
        tcp_loose: silences.setting(Sysctl::TCP_LOOSE).map(|value| value != 0),
        ..NetworkSettings::default()
    };
    let most_false_kills = Share::new(MOST_FALSE_KILLS).context("a ten thousandth is a share")?;
    let request = MeasureRequest { most_false_kills, rails: Rails::Hold, settings: &settings, seed: 1 };
    Ok(measure(&silences, request))
}
