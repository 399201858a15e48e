//! What files set of conntrack at the next boot.

use std::path::Path;

use plimsoll_model::{Lasting, ModuleState, SettingInFile, Untrusted};

use crate::conf_files::ConfFile;
use crate::text::{Line, Text};
use crate::{Error, HostFs};

const SYSCTL_FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
const MODPROBE_FOLDERS: [&str; 5] =
    ["/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];
const LOAD_FOLDERS: [&str; 4] =
    ["/etc/modules-load.d", "/run/modules-load.d", "/usr/local/lib/modules-load.d", "/usr/lib/modules-load.d"];
const COMMAND_LINE: &str = "/proc/cmdline";

/// There are about fifty sysctls of conntrack; more settings than this are no configuration.
const MOST_SETTINGS: usize = 1000;

impl HostFs {
    /// What the next boot sets, as far as files tell. An error where one of them could not be read or understood, and
    /// where they are not those of the machine's own boot: half of the answer would be a wrong one.
    pub fn lasting(&self) -> Result<Lasting, Error> {
        self.files_are_the_hosts()?;
        let is_built_in = self.module_state()? == ModuleState::BuiltIn;
        let command_line = self.read(COMMAND_LINE)?;
        let mut sysctl = Vec::new();
        if is_built_in {
            sysctl.extend(sysctl_of_command_line(&command_line));
        }
        for file in self.sysctl_files()? {
            sysctl_of(&file, &mut sysctl)?;
        }
        let from_command_line = hashsize_of_command_line(&command_line);
        Ok(Lasting {
            sysctl,
            // modprobe(8) takes the command line's after the files'; what is built in has no other.
            hashsize: match from_command_line {
                None if !is_built_in => self.hashsize_of_files()?,
                given => given,
            },
            loaded_by: self.loaded_by()?,
        })
    }

    /// systemd reads the folders alone (sysctl.d(5)), and `/etc/sysctl.conf` only where a link in them leads there;
    /// `sysctl --system` of other boots reads it last (sysctl(8)).
    fn sysctl_files(&self) -> Result<Vec<ConfFile>, Error> {
        let mut files = self.conf_files(&SYSCTL_FOLDERS)?;
        if !self.exists("/run/systemd/system")? {
            files.extend(self.conf_file(Path::new("/etc/sysctl.conf"))?);
        }
        Ok(files)
    }

    fn hashsize_of_files(&self) -> Result<Option<SettingInFile>, Error> {
        let mut hashsize = None;
        for file in self.conf_files(&MODPROBE_FOLDERS)? {
            for line in joined_lines(&file.text) {
                let words: Vec<_> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
                let [command, module, rest @ ..] = &words[..] else { continue };
                if !is_conntrack(module) {
                    continue;
                }
                match *command {
                    b"options" => {
                        let given = rest.iter().rev().find_map(|word| hashsize_in(word, &file.shown));
                        hashsize = given.or(hashsize);
                    }
                    // A shell's command in the place of the module: it may set anything.
                    b"install" => return Err(file.text.error("has an `install` command for nf_conntrack")),
                    _ => {}
                }
            }
        }
        Ok(hashsize)
    }

    /// modules-load.d(5); `nf_conntrack_netlink` and its like bring `nf_conntrack` with them.
    fn loaded_by(&self) -> Result<Option<Untrusted>, Error> {
        let loads = |file: &ConfFile| {
            file.text.lines().any(|line| {
                let name = line.bytes().trim_ascii();
                is_conntrack(name) || dashes_as_underscores(name).starts_with(b"nf_conntrack_")
            })
        };
        Ok(self.conf_files(&LOAD_FOLDERS)?.into_iter().find(loads).map(|file| file.shown))
    }
}

/// The settings of one sysctl.d file that are conntrack's.
fn sysctl_of(file: &ConfFile, settings: &mut Vec<SettingInFile>) -> Result<(), Error> {
    for line in file.text.lines() {
        let Some((name, value)) = assignment(line) else { continue };
        if has_glob(&name) {
            if may_match_conntrack(&name) {
                return Err(line.error(&name, "sets names by a pattern, conntrack's perhaps among them"));
            }
        } else if is_conntracks(&name) {
            settings.push(setting(&name, value, &file.shown));
        }
        if settings.len() > MOST_SETTINGS {
            return Err(file.text.error("has more settings of conntrack than there are"));
        }
    }
    Ok(())
}

/// `name = value`, with the name's parts joined by dots. A dash before the name lets errors pass; without a value it
/// exempts a name from patterns, and sets nothing.
pub(crate) fn assignment(line: Line<'_>) -> Option<(Vec<u8>, &[u8])> {
    let text = line.bytes().trim_ascii();
    if text.starts_with(b"#") || text.starts_with(b";") {
        return None;
    }
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (text.get(..equals)?.trim_ascii(), text.get(equals + 1..)?.trim_ascii());
    let name = name.strip_prefix(b"-").unwrap_or(name).trim_ascii();
    Some((with_dots(name), value))
}

/// The first separator says which one is meant; where it is a slash, dots are part of a name (sysctl.d(5)). No name of
/// conntrack's has a dot in it.
fn with_dots(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if *byte == b'/' { b'.' } else { *byte }).collect()
}

const CONNTRACK_NAMES: [&[u8]; 2] = [b"net.netfilter.nf_conntrack_", b"net.nf_conntrack_max"];

/// What a plan may set besides.
const SYNCOOKIES: &[u8] = b"net.ipv4.tcp_syncookies";

fn is_conntracks(name: &[u8]) -> bool {
    name.starts_with(CONNTRACK_NAMES[0]) || name == CONNTRACK_NAMES[1] || name == SYNCOOKIES
}

fn has_glob(name: &[u8]) -> bool {
    name.iter().any(|byte| b"*?[".contains(byte))
}

/// Whether what stands before the pattern leads to conntrack's names, or to a folder of them.
fn may_match_conntrack(name: &[u8]) -> bool {
    let plain = name.iter().position(|byte| b"*?[".contains(byte)).and_then(|end| name.get(..end)).unwrap_or(name);
    CONNTRACK_NAMES.iter().any(|known| known.starts_with(plain) || plain.starts_with(known))
}

/// `sysctl.net.netfilter.nf_conntrack_max=…`, which the kernel sets before it starts init (5.8 and later,
/// `fs/proc/proc_sysctl.c`), where the name is there by then.
fn sysctl_of_command_line(command_line: &Text) -> Vec<SettingInFile> {
    let words = command_line.bytes().split(u8::is_ascii_whitespace);
    let settings = words.filter_map(|word| {
        let (name, value) = split_at_equals(word.strip_prefix(b"sysctl.")?)?;
        let name = with_dots(name);
        is_conntracks(&name).then(|| setting(&name, value, &Untrusted::from(COMMAND_LINE)))
    });
    settings.take(MOST_SETTINGS).collect()
}

/// `nf_conntrack.hashsize=…`; the last one counts.
fn hashsize_of_command_line(command_line: &Text) -> Option<SettingInFile> {
    let words = command_line.bytes().split(u8::is_ascii_whitespace);
    let mut given = words.filter_map(|word| {
        let dot = word.iter().position(|byte| *byte == b'.')?;
        let (module, parameter) = (word.get(..dot)?, word.get(dot + 1..)?);
        is_conntrack(module).then(|| hashsize_in(parameter, &Untrusted::from(COMMAND_LINE))).flatten()
    });
    given.next_back()
}

fn hashsize_in(word: &[u8], file: &Untrusted) -> Option<SettingInFile> {
    let (name, value) = split_at_equals(word)?;
    (name == b"hashsize").then(|| setting(name, value, file))
}

fn setting(name: &[u8], value: &[u8], file: &Untrusted) -> SettingInFile {
    SettingInFile { name: Untrusted::from_bytes(name), value: Untrusted::from_bytes(value), file: file.clone() }
}

fn split_at_equals(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    Some((word.get(..equals)?, word.get(equals + 1..)?))
}

/// In names of modules, a dash and an underscore are one.
fn is_conntrack(module: &[u8]) -> bool {
    dashes_as_underscores(module) == b"nf_conntrack"
}

fn dashes_as_underscores(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect()
}

/// The lines of a modprobe.d file that are no comment; a backslash at a line's end goes on in the next.
fn joined_lines(text: &Text) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut begun: Option<Vec<u8>> = None;
    for line in text.lines() {
        let mut whole = begun.take().unwrap_or_default();
        if let Some(part) = line.bytes().strip_suffix(b"\\") {
            whole.extend_from_slice(part);
            begun = Some(whole);
        } else {
            whole.extend_from_slice(line.bytes());
            lines.push(whole);
        }
    }
    lines.extend(begun);
    lines.retain(|line| !line.trim_ascii_start().starts_with(b"#"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    fn plain(setting: &SettingInFile) -> (&str, &str, &str) {
        (setting.name.as_str(), setting.value.as_str(), setting.file.as_str())
    }

    /// A machine's own tree, with `nf_conntrack` as a module.
    fn machine() -> Tree {
        let tree = Tree::new();
        tree.be_the_hosts();
        tree.write("sys/module/nf_conntrack/initstate", "live\n");
        tree.write("proc/cmdline", "quiet\n");
        tree.write("run/systemd/system/x", "");
        tree
    }

    fn built_in() -> Tree {
        let tree = Tree::new();
        tree.be_the_hosts();
        tree.write("sys/module/nf_conntrack/parameters/hashsize", "1024\n");
        tree
    }

    #[test]
    fn a_machine_without_settings_sets_nothing() {
        assert_eq!(machine().host().lasting().unwrap(), Lasting::default());
    }

    #[test]
    fn a_captured_host_tells_what_its_next_boot_sets() {
        let read = fixture("boot-debian").lasting().unwrap();
        assert_eq!(
            read.sysctl.iter().map(plain).collect::<Vec<_>>(),
            [
                ("net.netfilter.nf_conntrack_max", "131072", "/usr/lib/sysctl.d/30-vendor.conf"),
                ("net.netfilter.nf_conntrack_max", "1048576", "/etc/sysctl.d/90-conntrack.conf"),
                ("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "30", "/etc/sysctl.d/90-conntrack.conf"),
                ("net.nf_conntrack_max", "524288", "/etc/sysctl.d/99-sysctl.conf"),
            ]
        );
        assert_eq!(read.hashsize.as_ref().map(plain), Some(("hashsize", "262144", "/etc/modprobe.d/conntrack.conf")));
        assert_eq!(read.loaded_by.unwrap().as_str(), "/etc/modules-load.d/modules.conf");
    }

    #[test]
    fn lines_are_read_as_sysctl_d_has_them() {
        let tree = machine();
        let lines = [
            "# net.netfilter.nf_conntrack_max = 1",
            "  ; net.netfilter.nf_conntrack_max = 2",
            "net.netfilter.nf_conntrack_max",
            "-net.netfilter.nf_conntrack_acct",
            " - net/netfilter/nf_conntrack_max=3",
            "net.nf_conntrack_max =4 5",
            "net.netfilter.nf_log_all_netns = 1",
            "net.ipv4.conf.*.rp_filter = 2",
            "net.nf_conntrack_max_x = 6",
            "=",
            "-=",
            "net.netfilter.nf_conntrack_tcp_loose = \u{1b}[2J",
        ];
        tree.write("etc/sysctl.d/a.conf", lines.join("\n"));
        let file = "/etc/sysctl.d/a.conf";
        assert_eq!(
            tree.host().lasting().unwrap().sysctl.iter().map(plain).collect::<Vec<_>>(),
            [
                ("net.netfilter.nf_conntrack_max", "3", file),
                ("net.nf_conntrack_max", "4 5", file),
                ("net.netfilter.nf_conntrack_tcp_loose", "\\u{1b}[2J", file),
            ]
        );
    }

    #[test]
    fn a_pattern_that_may_mean_conntrack_is_not_passed_over() {
        for pattern in [
            "*",
            "net.*",
            "net/netfilter/*",
            "net.netfilter.nf_conntrack_tcp_timeout_*",
            "net.nf_conn?rack_max",
            "[n]et.x",
        ] {
            let tree = machine();
            tree.write("etc/sysctl.d/a.conf", format!("{pattern} = 1\n"));
            let error = tree.host().lasting().unwrap_err();
            assert!(error.to_string().contains("pattern"), "{pattern}: {error}");
        }
        let tree = machine();
        tree.write("etc/sysctl.d/a.conf", "net.ipv4.* = 1\nkernel.*=2\n");
        assert_eq!(tree.host().lasting().unwrap(), Lasting::default());
    }

    #[test]
    fn sysctl_conf_counts_last_except_where_systemd_boots() {
        let tree = machine();
        tree.write("etc/sysctl.conf", "net.nf_conntrack_max=1\n");
        assert_eq!(tree.host().lasting().unwrap().sysctl, [], "systemd reads folders only");
        tree.link("etc/sysctl.d/99-sysctl.conf", "../sysctl.conf");
        let file = tree.host().lasting().unwrap().sysctl.remove(0).file;
        assert_eq!(file.as_str(), "/etc/sysctl.d/99-sysctl.conf");

        let tree = built_in();
        tree.write("proc/cmdline", "");
        tree.write("etc/sysctl.d/zz.conf", "net.nf_conntrack_max=2\n");
        tree.write("etc/sysctl.conf", "net.nf_conntrack_max=1\n");
        let read = tree.host().lasting().unwrap().sysctl;
        assert_eq!(read.iter().map(|setting| setting.value.as_str()).collect::<Vec<_>>(), ["2", "1"]);
    }

    #[test]
    fn a_module_has_its_hashsize_from_files_and_what_is_built_in_from_the_command_line() {
        let options = "options nf-conntrack \\\n  acct=1 hashsize=1000\n# options nf_conntrack hashsize=7\n\
                       options nf_conntrack_ftp hashsize=9\noptions nf_conntrack acct=0\n";
        let tree = machine();
        tree.write("etc/modprobe.d/a.conf", options);
        let hashsize = |tree: &Tree| tree.host().lasting().unwrap().hashsize.map(|setting| setting.value.to_string());
        assert_eq!(hashsize(&tree).as_deref(), Some("1000"));
        tree.write("proc/cmdline", "nf_conntrack.hashsize=5 x nf-conntrack.hashsize=2000 nf_conntrack.acct=1\n");
        assert_eq!(hashsize(&tree).as_deref(), Some("2000"));

        let tree = built_in();
        tree.write("etc/modprobe.d/a.conf", options);
        tree.write("proc/cmdline", "quiet sysctl.net/netfilter/nf_conntrack_max=9");
        assert_eq!(hashsize(&tree), None, "modprobe has no say");
        assert_eq!(tree.host().lasting().unwrap().sysctl[0].value.as_str(), "9");
    }

    #[test]
    fn a_command_that_loads_the_module_may_set_anything() {
        let tree = machine();
        tree.write("etc/modprobe.d/a.conf", "install nf_conntrack /bin/sh -c x\n");
        assert!(tree.host().lasting().unwrap_err().to_string().contains("install"));
    }

    #[test]
    fn the_file_that_loads_the_module_early_is_found() {
        let by = |content: &str| {
            let tree = machine();
            tree.write("etc/modules-load.d/a.conf", content);
            tree.host().lasting().unwrap().loaded_by.is_some()
        };
        assert!(by("# x\n nf-conntrack \n") && by("nf_conntrack_netlink"));
        assert!(!by("#nf_conntrack\n;nf_conntrack\nnf_conn\nnf_conntracker"));
    }

    #[test]
    fn files_that_are_not_the_hosts_are_no_answer() {
        let is_foreign = |tree: &Tree| matches!(tree.host().lasting(), Err(Error::NotTheHosts { .. }));
        let tree = Tree::new();
        tree.write("etc/sysctl.d/a.conf", "net.nf_conntrack_max = 1\n");
        tree.link("proc/self/ns/pid", "pid:[4026532280]");
        assert!(is_foreign(&tree), "a container's processes");

        let tree = machine();
        tree.remove("proc/self/ns/mnt");
        tree.link("proc/self/ns/mnt", "mnt:[4026532281]");
        assert!(is_foreign(&tree), "a container's mounts");
        for folder in ["etc", "run", "usr"] {
            tree.write(&format!("{folder}/x"), "");
        }
        assert!(!is_foreign(&tree), "a service that is confined sees the same folders");
        tree.remove("proc/1/root");
        tree.write("other/etc/x", "");
        tree.link("proc/1/root", "../../other");
        assert!(is_foreign(&tree), "others' folders");

        let tree = machine();
        tree.remove("proc/1/root");
        tree.link("proc/1/root", "../../etc");
        tree.write("etc/x", "");
        assert!(is_foreign(&tree), "a chroot");

        let tree = machine();
        tree.remove("proc/1/ns/mnt");
        assert!(!is_foreign(&tree) && tree.host().lasting().is_err(), "not to be told");
    }

    #[test]
    fn hostile_files_do_no_harm() {
        let tree = machine();
        for content in
            [&b"\xff=\xfe\n\0=\0\n===\n-\n"[..], b"net.netfilter.nf_conntrack_\xff = \xff", b"\\\n\\\n\\", b"\\"]
        {
            tree.write("etc/sysctl.d/a.conf", content);
            tree.write("etc/modprobe.d/a.conf", content);
            tree.write("etc/modules-load.d/a.conf", content);
            tree.write("proc/cmdline", content);
            assert!(tree.host().lasting().unwrap().sysctl.len() <= 1);
        }
        tree.write("etc/sysctl.d/a.conf", "net.nf_conntrack_max=1\n".repeat(MOST_SETTINGS + 1));
        assert!(tree.host().lasting().is_err(), "more than there are");
    }
}
