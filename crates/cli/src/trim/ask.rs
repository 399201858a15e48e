//! Asking whether to do it.

use std::io::{self, IsTerminal};

use plimsoll_diagnose::words::grouped;

use super::arguments::TrimArguments;
use super::report::Report;
use super::text;
use crate::{consent, output};

/// Whether somebody has said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// On a terminal.
    Given,
    /// Not, or nobody was asked.
    NotGiven,
}

/// Shows a person on a terminal what would go, and asks once. Nobody else is asked.
pub(super) fn consent(arguments: &TrimArguments, report: &Report<'_>) -> anyhow::Result<Consent> {
    let is_person = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !is_person || arguments.dry_run || arguments.json || report.stale() == 0 {
        return Ok(Consent::NotGiven);
    }
    output::write_progress(&text::render(report), arguments.color);
    let question = format!("Trim these {} entries? It cannot be undone.", grouped(report.stale()));
    let is_yes = consent::ask(&question, arguments.color)?;
    Ok(if is_yes { Consent::Given } else { Consent::NotGiven })
}
