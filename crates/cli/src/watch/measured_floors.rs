//! Floors for governing from a recording: the lowest values that a plan made from it found to pass for every service.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use plimsoll_govern::Floors;
use plimsoll_model::{Sysctl, Untrusted};
use serde::Deserialize;

/// What is read of a plan (`plimsoll.plan/1`); other keys are passed over.
#[derive(Debug, Deserialize)]
struct Document {
    schema: String,
    measured: Option<Measured>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    timeouts: Vec<MeasuredTimeout>,
}

#[derive(Debug, Deserialize)]
struct MeasuredTimeout {
    timeout: String,
    recommended: Recommended,
}

#[derive(Debug, Deserialize)]
struct Recommended {
    lowest_secs: Option<u32>,
}

/// Reads the file that `plimsoll plan --from RECORDING --json` wrote.
pub(super) fn read(path: &Path) -> anyhow::Result<Floors> {
    let name = Untrusted::from(path.to_string_lossy().as_ref());
    let text = fs::read_to_string(path).with_context(|| format!("reading {name}"))?;
    of_plan(&text).with_context(|| {
        format!("{name} is no plan from a recording, as `plimsoll plan --from RECORDING --json` writes one")
    })
}

fn of_plan(text: &str) -> anyhow::Result<Floors> {
    let document: Document = serde_json::from_str(text)?;
    if document.schema != plimsoll_apply::PLAN_SCHEMA {
        bail!("its schema is {}", Untrusted::from(document.schema.as_str()));
    }
    let Some(measured) = document.measured else { bail!("nothing in it was measured") };
    let floor =
        |of: MeasuredTimeout| Some((of.timeout.parse::<Sysctl>().ok()?.timeout()?, of.recommended.lowest_secs?));
    let floors: Floors = measured.timeouts.into_iter().filter_map(floor).collect();
    if floors.is_empty() {
        bail!("no value in it passes for every service");
    }
    Ok(floors)
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{TcpState, Timeout};

    use super::*;

    #[test]
    fn the_lowest_values_that_pass_are_floors_and_others_have_none() {
        let plan = r#"{"schema":"plimsoll.plan/1","changes":[],"measured":{"lasted_secs":1.5,"timeouts":[
            {"timeout":"nf_conntrack_tcp_timeout_time_wait","in_force_secs":120,"recommended":{"secs":30,"lowest_secs":20}},
            {"timeout":"nf_conntrack_udp_timeout","recommended":{"secs":null,"lowest_secs":null}}]}}"#;
        assert_eq!(of_plan(plan).unwrap(), [(Timeout::Tcp(TcpState::TimeWait), 20)].into());
        for wrong in [
            "[",
            r#"{"schema":"plimsoll.plan/2"}"#,
            r#"{"schema":"plimsoll.plan/1","measured":null}"#,
            r#"{"schema":"plimsoll.plan/1","measured":{"timeouts":[]}}"#,
        ] {
            assert!(of_plan(wrong).is_err(), "{wrong}");
        }
    }
}
