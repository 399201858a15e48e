//! Debian's systemd as a guest's first process, as this host has it installed.

use std::path::Path;

use crate::Error;
use crate::archive::Archive;
use crate::contents::{add_program, add_program_as, read};

/// What the first process becomes. The unit of the script is what is booted into.
pub(crate) const FIRST: &str = "/bin/systemd --unit=script.service";

/// Where units lie, on a host and in the guest.
const UNITS: &str = "/usr/lib/systemd/system";

/// The journal's program, on a host; and where its unit has it, which there leads to the same.
const JOURNALD: (&str, &str) = ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald");

/// Debian's own units: the targets to which services belong, and the journal. Nothing else of a machine is there.
const DEBIANS: [&str; 16] = [
    "basic.target",
    "final.target",
    "local-fs.target",
    "multi-user.target",
    "network-pre.target",
    "network.target",
    "paths.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "sysinit.target",
    "systemd-journald-dev-log.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "timers.target",
    "umount.target",
];

/// The script, in a machine that is up.
const SCRIPT: &str = "\
[Unit]
Requires=basic.target systemd-journald.service
After=basic.target systemd-journald.service
[Service]
ExecStart=/play
";

/// Files without which it would take this for its first boot, and enable every unit; and users by their names.
const IDENTITY: [(&str, &str); 3] = [
    ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ("/etc/group", "root:x:0:\n"),
];

/// Adds it, with the programs by which one speaks to it.
pub(crate) fn add(archive: &mut Archive) -> Result<(), Error> {
    for program in ["/usr/lib/systemd/systemd", "systemctl", "journalctl"] {
        add_program(archive, Path::new(program))?;
    }
    add_program_as(archive, Path::new(JOURNALD.0), Path::new(JOURNALD.1))?;
    for name in DEBIANS {
        let unit = Path::new(UNITS).join(name);
        archive.add(&unit, &read(&unit)?);
    }
    archive.add(&Path::new(UNITS).join("script.service"), SCRIPT.as_bytes());
    for (path, contents) in IDENTITY {
        archive.add(Path::new(path), contents.as_bytes());
    }
    Ok(())
}
