//! firewalld.conf(5).

use plimsoll_model::{Effect, Order, Presence, Sysctl, Writer, WriterKind, Written};

use crate::ini::{is_on, last_of};
use crate::system_process::SystemProcess;
use crate::text::Text;
use crate::{Error, HostFs};

const FILE: &str = "/etc/firewalld/firewalld.conf";

/// `None` where it neither runs nor is installed.
pub(super) fn writer(host: &HostFs, process: Option<&SystemProcess>) -> Result<Option<Writer>, Error> {
    let configuration = host.read_if_there(FILE)?;
    let presence = match (process, &configuration) {
        (Some(process), _) => Presence::Running { pid: process.pid },
        (None, Some(_)) => Presence::Installed { file: FILE.into() },
        (None, None) => return Ok(None),
    };
    let mut effects = vec![Effect::LoadsModule];
    effects.extend(configuration.iter().flat_map(configured));
    Ok(Some(Writer { kind: WriterKind::Firewalld, presence, effects }))
}

fn configured(text: &Text) -> Vec<Effect> {
    let mut effects = Vec::new();
    // 1.0.0 and later do so only where they are told to.
    if last_of(text, b"CleanupModulesOnExit").is_some_and(is_on) {
        effects.push(Effect::UnloadsModule { from: FILE.into() });
    }
    // Up to 0.9; `system` leaves it alone.
    match last_of(text, b"AutomaticHelpers") {
        None | Some(b"system") => {}
        Some(value) => effects.push(Effect::Sets {
            sysctl: Sysctl::HELPER,
            value: Written::Exactly { value: u32::from(is_on(value)) },
            from: FILE.into(),
            order: Order::Last,
        }),
    }
    effects
}
