//! What is to be done, from a plan or from the command line.

use std::io::Read;

use anyhow::Context;
use plimsoll_apply::{Change, Error, Place, Plan, value_in_force};
use plimsoll_model::{Edit, Untrusted};

use super::arguments::{ApplyArguments, Setting};
use crate::files::read_small;
use crate::plan::{self, PlanArguments};

/// More than any plan has.
const MOST_BYTES: u64 = 1 << 20;

/// Where the changes come from.
#[derive(Debug)]
pub(super) struct Input {
    namespace: Option<String>,
    from: From,
}

#[derive(Debug)]
enum From {
    Plan(Plan),
    Settings(Vec<Setting>),
}

impl Input {
    pub(super) fn of(arguments: &ApplyArguments) -> anyhow::Result<Self> {
        let from = match arguments.plan.as_deref() {
            Some(name) => From::Plan(read(name).with_context(|| format!("the plan {}", Untrusted::from(name)))?),
            None if arguments.set.is_empty() => From::Plan(planned(arguments.netns.as_deref().unwrap_or("this"))?),
            None => From::Settings(arguments.set.clone()),
        };
        let planned = match &from {
            From::Plan(plan) => plan.namespace.clone(),
            From::Settings(_) => None,
        };
        Ok(Self { namespace: arguments.netns.clone().or(planned), from })
    }

    /// The namespace that the changes go to.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("this")
    }

    /// The changes. Those of the command line start from what is in force now.
    pub(super) fn changes(&self, place: &Place) -> Result<Vec<Change>, Error> {
        match &self.from {
            From::Plan(plan) => Ok(plan.changes.clone()),
            From::Settings(settings) => {
                settings.iter().enumerate().map(|(at, set)| change(settings, at, set, place)).collect()
            }
        }
    }
}

fn change(settings: &[Setting], at: usize, set: &Setting, place: &Place) -> Result<Change, Error> {
    let earlier = settings.iter().take(at).rev().find(|earlier| earlier.sysctl == set.sysctl);
    let from = match earlier.and_then(|earlier| plimsoll_apply::in_force(earlier.sysctl, earlier.value)) {
        Some(value) => value,
        None => value_in_force(place, set.sysctl)?,
    };
    let edit = Edit::Sysctl { sysctl: set.sysctl, from, to: set.value };
    Ok(Change { edit, why: "asked for on the command line".to_string() })
}

/// What `plimsoll plan` would propose.
fn planned(netns: &str) -> anyhow::Result<Plan> {
    let made = plan::made(&PlanArguments::of(netns)?).context("planning for this host")?;
    let changes = made.plan.changes.into_iter().map(|change| Change { edit: change.edit, why: change.why });
    Ok(Plan::new(Some(made.plan.namespace.as_str().to_string()), changes.collect())?)
}

fn read(name: &str) -> anyhow::Result<Plan> {
    let text = if name == "-" {
        let mut text = String::new();
        std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text)?;
        text
    } else {
        read_small(name)?
    };
    Ok(Plan::from_json(&text)?)
}
