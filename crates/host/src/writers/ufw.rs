//! ufw-framework(8): a file of sysctl settings of its own, which is made when ufw is enabled and at every boot.

use plimsoll_model::{Effect, Order, Presence, Untrusted, Writer, WriterKind, Written};

use super::sysctl;
use crate::ini::{is_on, last_of};
use crate::lasting::assignment;
use crate::text::Text;
use crate::{Error, HostFs};

const SWITCH: &str = "/etc/ufw/ufw.conf";
const DEFAULTS: &str = "/etc/default/ufw";

/// `None` where it is not installed.
pub(super) fn writer(host: &HostFs) -> Result<Option<Writer>, Error> {
    let Some(switch) = host.read_if_there(SWITCH)? else { return Ok(None) };
    let presence = if last_of(&switch, b"ENABLED").is_some_and(is_on) {
        Presence::Enabled { file: SWITCH.into() }
    } else {
        Presence::Installed { file: SWITCH.into() }
    };
    let mut effects = vec![Effect::LoadsModule];
    let defaults = host.read_if_there(DEFAULTS)?;
    // Without a name no settings are made (`/lib/ufw/ufw-init-functions`).
    let file = defaults.as_ref().and_then(|text| last_of(text, b"IPT_SYSCTL"));
    if let Some(path) = file.and_then(|path| std::str::from_utf8(path).ok()).filter(|path| path.starts_with('/')) {
        effects.extend(host.read_if_there(path)?.iter().flat_map(|text| settings(text, path)));
    }
    Ok(Some(Writer { kind: WriterKind::Ufw, presence, effects }))
}

/// `sysctl -p` reads it, so it is laid out as sysctl.conf(5).
fn settings(text: &Text, path: &str) -> Vec<Effect> {
    let effect = |line| {
        let (name, value) = assignment(line)?;
        Some(Effect::Sets { sysctl: sysctl(&name)?, value: written(value), from: path.into(), order: Order::Last })
    };
    text.lines().filter_map(effect).collect()
}

fn written(value: &[u8]) -> Written {
    match std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()) {
        Some(value) => Written::Exactly { value },
        None => Written::Unclear { text: Untrusted::from_bytes(value) },
    }
}
