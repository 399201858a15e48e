//! A build without XDP: everything goes on by rules, and what another build has attached is said to be left.

#![expect(clippy::unnecessary_wraps, reason = "as where it is built")]

use plimsoll_model::{Interface, XdpStage};

use super::{Met, Task, Told};
use crate::Error;
use crate::record::Undone;

const WHY: &str = "this build of Plimsoll has no XDP (the feature `xdp` of its crate plimsoll-cli)";

pub(crate) fn why_not(_: &Interface, _: &Task<'_>) -> Option<String> {
    Some(WHY.to_string())
}

pub(crate) fn attach(_: &XdpStage, _: &Task<'_>) -> Result<(), String> {
    Err(WHY.to_string())
}

pub(crate) fn change(stage: &XdpStage, _: &Task<'_>) -> Result<Met, Error> {
    Err(refused(stage))
}

pub(crate) fn detach(stage: &XdpStage, _: u32) -> Result<Undone, Error> {
    Err(refused(stage))
}

pub(crate) fn running(stage: &XdpStage, _: u32) -> Result<Option<Told>, Error> {
    Err(refused(stage))
}

fn refused(stage: &XdpStage) -> Error {
    Error::Refused(format!("{WHY}, and another one has attached a stage to {}: use that one", stage.interface))
}
