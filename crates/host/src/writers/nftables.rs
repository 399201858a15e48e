//! The unit `nftables.service` of Debian and Red Hat, whose file as it is delivered begins by removing all rules.

use plimsoll_model::{Effect, Presence, Writer, WriterKind};

use crate::text::Text;
use crate::{Error, HostFs};

const FILES: [&str; 2] = ["/etc/nftables.conf", "/etc/sysconfig/nftables.conf"];
const SWITCHES: [&str; 2] = [
    "/etc/systemd/system/sysinit.target.wants/nftables.service",
    "/etc/systemd/system/multi-user.target.wants/nftables.service",
];

/// `None` where it is not installed, or removes nothing.
pub(super) fn writer(host: &HostFs) -> Result<Option<Writer>, Error> {
    for file in FILES {
        let Some(text) = host.read_if_there(file)? else { continue };
        if !flushes(&text) {
            continue;
        }
        let mut presence = Presence::Installed { file: file.into() };
        for switch in SWITCHES {
            if host.is_link(switch) {
                presence = Presence::Enabled { file: switch.into() };
            }
        }
        let effects = vec![Effect::LoadsModule, Effect::FlushesRules { from: file.into() }];
        return Ok(Some(Writer { kind: WriterKind::Nftables, presence, effects }));
    }
    Ok(None)
}

fn flushes(text: &Text) -> bool {
    text.lines().any(|line| line.words().take(2).eq([&b"flush"[..], b"ruleset"]))
}

impl HostFs {
    /// Whether there is a link, wherever it leads: seen from outside of a captured tree, it leads nowhere.
    fn is_link(&self, absolute: &str) -> bool {
        self.path(absolute).symlink_metadata().is_ok()
    }
}
