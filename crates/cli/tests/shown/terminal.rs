//! A terminal of one's own, by tmux.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What is awaited comes much sooner, but for a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A shell in a terminal, ended when dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    folder: TempDir,
}

impl Terminal {
    pub(crate) fn begin(width: u16, height: u16) -> Self {
        let terminal = Self { folder: tempfile::tempdir().expect("a folder") };
        let (width, height) = (width.to_string(), height.to_string());
        let shell = "env -u NO_COLOR TERM=tmux-256color PS1='$ ' bash --norc --noprofile";
        terminal.tmux(&["new-session", "-d", "-x", &width, "-y", &height, shell]);
        terminal.until("a prompt", |screen| screen.starts_with('$'));
        terminal
    }

    /// Keys, as tmux calls them; what it has no name for is typed.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "--"], keys].concat());
    }

    /// Types a command, and ends the line.
    pub(crate) fn run(&self, command: &str) {
        self.press(&[command, "Enter"]);
    }

    pub(crate) fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Closes it, as a window or a connection is closed that a program runs in.
    pub(crate) fn close(&self) {
        self.tmux(&["kill-server"]);
    }

    /// The text on the screen.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with its colours.
    pub(crate) fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "{what} does not come:\n{screen}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until all of that is on the screen.
    pub(crate) fn shows(&self, words: &[&str]) -> String {
        self.until(&format!("{words:?}"), |screen| words.iter().all(|word| screen.contains(word)))
    }

    /// What asks this terminal's own server, whose socket is in its folder.
    fn server(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.folder.path().join("socket")).args(["-f", "/dev/null"]);
        command
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.server().args(arguments).output().expect("tmux");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is gone already where its shell has ended.
        drop(self.server().arg("kill-server").output());
    }
}
