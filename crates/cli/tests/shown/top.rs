//! `plimsoll top` in a terminal, over tables of the real kernel.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::{NewEntry, TcpState};
use tempfile::TempDir;

use crate::support::watching::await_that;
use crate::support::{PLIMSOLL, plimsoll};
use crate::terminal::Terminal;

fn limit() -> u32 {
    fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap().trim().parse().unwrap()
}

/// Listens where a lab's entries go to.
const SERVER: &str = "
import socket, time
listener = socket.create_server(('192.0.2.1', 443))
print('ready', flush=True)
time.sleep(600)
";

/// So many half-open connections that they are a cause: more than a tenth of the limit.
fn flood() -> impl Iterator<Item = NewEntry> {
    let asked = entries(Kind::Tcp(TcpState::SynSent), 0, limit() / 7);
    // As long as the kernel keeps them, nearly.
    asked.map(|entry| NewEntry { timeout_secs: 119, ..entry })
}

/// A program in a namespace, under a name of its own.
struct Named {
    program: Child,
    _folder: TempDir,
}

impl Named {
    fn begin(lab: &LabNamespace, name: &str, program: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(name);
        symlink("/usr/bin/python3", &link).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", lab.name()]).arg(&link).args(["-c", program]).stdout(Stdio::piped());
        let mut named = Self { program: command.spawn().unwrap(), _folder: folder };
        let mut said = String::new();
        BufReader::new(named.program.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        named
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

/// Whether a letter is in another colour than usual (39).
/// The process that shows a namespace's table.
fn pid_over(lab: &LabNamespace) -> String {
    let pattern = format!("^{PLIMSOLL} top --netns {}", lab.name());
    let found = Command::new("pgrep").args(["-f", &pattern]).output().unwrap().stdout;
    String::from_utf8(found).unwrap().trim().to_string()
}

fn has_colours(screen: &str) -> bool {
    screen.split("\u{1b}[3").skip(1).any(|rest| !rest.starts_with('9'))
}

#[test]
fn a_cause_is_named_with_its_program_keys_lead_there_and_the_terminal_is_given_back() {
    let lab = LabNamespace::tracking().unwrap();
    lab.run(&["ip", "addr", "add", "192.0.2.1/32", "dev", "lo"]).unwrap();
    let _server = Named::begin(&lab, "orderd", SERVER);
    lab.fill(flood()).unwrap();
    let terminal = Terminal::begin(100, 30);
    terminal.run("stty -g > /dev/null; clear; stty -g");
    let before = terminal.until("the settings of the terminal", |screen| screen.contains(':'));

    terminal.run(&format!("{PLIMSOLL} top --netns {}", lab.name()));
    terminal.shows(&["Overview", "syn-flood", "checked"]);
    assert!(has_colours(&terminal.coloured()));
    terminal.press(&["2"]);
    terminal.shows(&["Programs", "answered by orderd", "443/tcp"]);
    terminal.press(&["Tab"]);
    terminal.shows(&["tcp SYN_SENT", "idle 5 min"]);
    terminal.press(&["4"]);
    terminal.shows(&["Enter explain"]);
    terminal.press(&["Enter"]);
    terminal.shows(&["What helps here", "answered by orderd"]);
    terminal.press(&["End"]);
    terminal.shows(&["The common mistake"]);
    terminal.resize(60, 20);
    terminal.until("a narrow screen", |screen| screen.lines().count() == 20 && screen.contains("Esc back"));
    terminal.press(&["Escape"]);
    terminal.shows(&["Enter explain"]);
    terminal.resize(100, 30);
    terminal.press(&["q"]);
    let after = terminal.until("the prompt", |screen| screen.trim_end().ends_with("\n$"));
    assert!(!after.contains("Overview") && after.contains(before.lines().next().unwrap()), "{after}");
    terminal.run("clear; stty -g");
    terminal.until("the same settings as before", |screen| screen.lines().next() == before.lines().next());
}

#[test]
fn a_full_table_is_shown_and_what_ends_it_from_outside_gives_the_terminal_back() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit())).unwrap();
    let terminal = Terminal::begin(80, 24);
    terminal.run(&format!("NO_COLOR=1 {PLIMSOLL} top --netns {} & fg", lab.name()));
    terminal.shows(&["CRITICAL", "100.0%", "namespace-full", "headroom 0"]);
    assert!(!has_colours(&terminal.coloured()), "{:?}", terminal.coloured());
    // What is lost meanwhile shows, a second.
    let row = |screen: &str| screen.lines().find(|line| line.contains("100.0%")).map(str::to_string);
    terminal.until("drops", |screen| {
        assert!(lab.send_udp(1000..=1200).unwrap() > 0);
        row(screen).is_some_and(|row| row.split_whitespace().nth(6).is_some_and(|drops| drops != "0" && drops != "?"))
    });
    let pid = pid_over(&lab);
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success(), "{pid:?}");
    terminal.until("the prompt", |screen| screen.trim_end().ends_with("\n$") && !screen.contains("Overview"));
    terminal.run("clear; stty -a");
    terminal.shows(&[" echo ", " icanon "]);
}

#[test]
fn it_ends_with_its_terminal() {
    let lab = LabNamespace::tracking().unwrap();
    let terminal = Terminal::begin(80, 24);
    terminal.run(&format!("{PLIMSOLL} top --netns {}", lab.name()));
    terminal.shows(&["Overview"]);
    assert!(!pid_over(&lab).is_empty());
    terminal.close();
    await_that("its end", || pid_over(&lab).is_empty());
}

#[test]
fn without_rights_it_says_what_it_could_not_see() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit() / 9)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("plimsoll");
    fs::copy(PLIMSOLL, &copy).unwrap();
    let terminal = Terminal::begin(120, 40);
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs";
    terminal.run(&format!("{nobody} {} top", copy.display()));
    terminal.shows(&["cannot-see"]);
    terminal.press(&["4"]);
    terminal.shows(&["Not seen", "it takes"]);
    terminal.press(&["q"]);
    terminal.until("the prompt", |screen| screen.trim_end().ends_with("\n$"));
}

#[test]
fn without_a_terminal_it_names_what_does_without() {
    let run = plimsoll(&["top"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    for way in ["plimsoll check", "plimsoll check --json", "plimsoll watch"] {
        assert!(run.stderr.contains(way), "{}", run.stderr);
    }
}

#[test]
fn a_namespace_that_is_not_there_is_said_before_the_screen_is_taken() {
    let terminal = Terminal::begin(120, 10);
    terminal.run(&format!("{PLIMSOLL} top --netns no-such; echo code $?"));
    let screen = terminal.shows(&["no network namespace \"no-such\"", "code 3"]);
    assert!(!screen.contains("Overview"), "{screen}");
}
