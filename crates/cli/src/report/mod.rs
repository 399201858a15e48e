//! `plimsoll report`: a page of a check, a plan, a recording.

mod arguments;
mod chart;
mod check;
mod document;
mod html;
mod input;
mod page;
mod plan;
mod recording;

use std::fs;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use plimsoll_model::Untrusted;
use plimsoll_observe::{Depth, Options, Target};

pub(crate) use self::arguments::ReportArguments;

use self::input::Source;
use self::page::Part;
use crate::arguments::Color;
use crate::check::Checked;
use crate::drawn::{is_one_file, is_within};
use crate::output;

/// Writes the page.
pub(crate) fn run(arguments: &ReportArguments) -> anyhow::Result<ExitCode> {
    if arguments.output.is_none() && io::stdout().is_terminal() {
        bail!("report: the page is for a browser, and standard output is a terminal: `> page.html` or `-o page.html`")
    }
    if let Some(page) = &arguments.output {
        spare_what_is_read(page, &arguments.files)?;
    }
    let sources = if arguments.files.is_empty() {
        vec![now(arguments)?]
    } else {
        arguments.files.iter().map(|file| Source::read(file)).collect::<anyhow::Result<_>>()?
    };
    let parts = sources.iter().map(part).collect::<anyhow::Result<Vec<_>>>()?;
    let page = page::render(&parts);
    match &arguments.output {
        None => output::write(&page, Color::Always)?,
        Some(name) => {
            fs::write(name, page).with_context(|| format!("report: writing {}", Untrusted::from(name.as_str())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A page is written over no file that it is made of.
fn spare_what_is_read(page: &str, files: &[String]) -> anyhow::Result<()> {
    for file in files {
        if is_one_file(page, file) || (fs::metadata(file).is_ok_and(|of| of.is_dir()) && is_within(page, file.as_ref()))
        {
            let page = Untrusted::from(page);
            bail!("report: -o {page} would be written over what is read, or within it: name another file")
        }
    }
    Ok(())
}

/// A check of now.
fn now(arguments: &ReportArguments) -> anyhow::Result<Source> {
    let target = match arguments.netns.as_str() {
        "all" => Target::All,
        name => Target::Named(name.to_string()),
    };
    let options =
        Options { target, interval: Duration::from_secs(1), depth: Depth::Precise, timeout: Duration::from_mins(1) };
    let checked = Checked::read(&options, arguments.kube.into(), &mut |_, _| {}).context("report")?;
    // By way of the document, so that a page of now and one of a file are the same.
    Source::of(checked.document()?)
}

fn part(source: &Source) -> anyhow::Result<Part> {
    Ok(match source {
        Source::Check(document) => check::part(document),
        Source::Plan(document) => plan::part(document),
        Source::Recording(recording) => recording::part(recording)?,
    })
}
