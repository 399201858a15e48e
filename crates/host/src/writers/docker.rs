//! Docker sets no sysctl of tracking, but its rules translate addresses: often it is what loads the module.

use plimsoll_model::{Effect, Writer, WriterKind};

use super::running;
use crate::system_process::SystemProcess;

pub(super) fn writer(process: &SystemProcess) -> Writer {
    Writer { effects: vec![Effect::LoadsModule], ..running(WriterKind::Docker, process.pid) }
}
