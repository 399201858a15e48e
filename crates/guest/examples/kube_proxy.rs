//! Has the real kube-proxy do in a guest what it must not do to the machine at hand, and keeps what became of it as fixtures:
//! `kube_proxy KUBE_PROXY PLIMSOLL [MODE…]`. What it does there is in `crates/rules/tests/kube-proxy/capture.py`.
#![allow(clippy::print_stdout, reason = "a tool for those who make fixtures")]

#[path = "../../rules/tests/kube-proxy/needs.rs"]
mod needs;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plimsoll_guest::Guest;

/// The program is large, and the processor is emulated.
const TIMEOUT: Duration = Duration::from_mins(15);

/// What the capture takes beyond what the rules need.
const MORE_PROGRAMS: [&str; 2] = ["conntrack", "/usr/bin/python3"];
const MORE_MODULES: [&str; 5] =
    ["nf_conntrack_netlink", "xt_statistic", "xt_recent", "nf_reject_ipv4", "nf_reject_ipv6"];

/// Folders in which `capture.py` writes in the guest, and to which of the repository's they belong.
const CAPTURED: [(&str, &str); 3] = [
    ("/tests/rulesets", "crates/rules/tests/rulesets"),
    ("/tests/told", "crates/rules/tests/told"),
    ("/tests/settings", "crates/host/tests/fixtures/kube-proxy"),
];

const MODES: [&str; 2] = ["ipvs", "settings"];

const BEGIN: &str = r"
mkdir -p /tests/rulesets /tests/told /tests/settings
modprobe ip_vs
modprobe ip_vs_rr
modprobe nf_conntrack_netlink
capture() {
    python3 /tests/kube-proxy/capture.py /bin/kube-proxy $1
    for device in $(ls /sys/class/net); do
        [ $device = lo ] || ip link delete $device || true
    done
    ipvsadm --clear
}
";

const END: &str = r"
for file in $(find /tests/rulesets /tests/told /tests/settings -type f); do
    step $file cat $file
done
";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [kube_proxy, plimsoll, modes @ ..] = arguments.as_slice() else {
        return Err("kube_proxy KUBE_PROXY PLIMSOLL [MODE…]".into());
    };
    let capture = |mode: &str| format!("capture {mode}");
    let captures: Vec<_> = match modes {
        [] => MODES.map(capture).to_vec(),
        modes => modes.iter().map(|mode| capture(&mode.to_string_lossy())).collect(),
    };
    let script = format!("{BEGIN}{}{END}", captures.join("\n"));
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let transcript = guest(&top, kube_proxy.as_ref(), plimsoll.as_ref())?.run(&script, TIMEOUT)?;
    for step in transcript.steps() {
        let (file, folder) = CAPTURED
            .iter()
            .find_map(|(within, folder)| Some((Path::new(&step.name).strip_prefix(within).ok()?, folder)))
            .ok_or("a file of no folder")?;
        let path = top.join(folder).join(file);
        println!("{}", path.display());
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(path, &step.output)?;
    }
    Ok(())
}

fn guest(top: &Path, kube_proxy: &Path, plimsoll: &Path) -> Result<Guest, Box<dyn Error>> {
    let guest = Guest::new().file("/bin/kube-proxy", fs::read(kube_proxy)?).program(plimsoll);
    let guest = needs::PROGRAMS.into_iter().chain(MORE_PROGRAMS).fold(guest, Guest::program);
    let mut guest = needs::MODULES.into_iter().chain(MORE_MODULES).fold(guest, Guest::module);
    let mut files = within(Path::new(PYTHON))?;
    files.extend(within(Path::new(EXTENSIONS))?);
    for path in files {
        guest = guest.file(&path, fs::read(&path)?);
    }
    for path in within(&top.join("crates/rules/tests/kube-proxy"))? {
        let name = path.file_name().ok_or("no name")?;
        guest = guest.file(Path::new("/tests/kube-proxy").join(name), fs::read(&path)?);
    }
    Ok(guest.file("/etc/protocols", "tcp 6 TCP\nudp 17 UDP\n"))
}

/// Debian's, whose libraries lie where its program looks for them.
const PYTHON: &str = "/usr/lib/python3.11";
/// What iptables loads for each match and target.
const EXTENSIONS: &str = "/usr/lib/x86_64-linux-gnu/xtables";
/// What is of no use here, and large.
const LEFT_OUT: [&str; 9] = [
    "__pycache__",
    "test",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
    "tkinter",
    "dist-packages",
    "config-3.11-x86_64-linux-gnu",
];

/// All files below a folder.
fn within(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_left_out = LEFT_OUT.iter().any(|name| entry.file_name() == *name);
        match (is_left_out, entry.path().is_dir()) {
            (true, _) => {}
            (false, true) => files.extend(within(&entry.path())?),
            (false, false) => files.push(entry.path()),
        }
    }
    Ok(files)
}
