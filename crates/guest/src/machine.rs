//! QEMU, running.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::Error;
use crate::contents::find;
use crate::kernel::Kernel;

const QEMU: &str = "qemu-system-x86_64";

/// A machine that runs. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Receives everything that is written to a serial line when the line is closed.
    recorded: Receiver<Vec<u8>>,
    console: Receiver<Vec<u8>>,
    qemu: Qemu,
}

/// What is left of a machine that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) recorded: Vec<u8>,
    pub(crate) console: String,
}

impl Machine {
    /// Starts a machine. Its console is QEMU's standard error, its second serial line QEMU's standard output.
    pub(crate) fn boot(kernel: &Kernel, initramfs: &[u8], command_line: &[String]) -> Result<Self, Error> {
        let failed = |answer: std::io::Error| Error::Program { command: QEMU.to_string(), answer: answer.to_string() };
        let mut child = Command::new(find(Path::new(QEMU))?)
            .args(["-accel", "tcg", "-smp", "2", "-m", "1024", "-nodefaults", "-nographic", "-no-reboot"])
            .args(["-serial", "file:/dev/stderr", "-serial", "file:/dev/stdout"])
            .arg("-kernel")
            .arg(kernel.image())
            .args(["-initrd", "/dev/stdin", "-append"])
            .arg(
                ["console=ttyS0 quiet panic=-1"]
                    .into_iter()
                    .chain(command_line.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(" "),
            )
            .stdin(in_memory(initramfs).map_err(failed)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (recorded, console) = (collect(child.stdout.take()), collect(child.stderr.take()));
        Ok(Self { recorded, console, qemu: Qemu(child) })
    }

    /// Waits for the machine's end.
    pub(crate) fn wait(self, timeout: Duration) -> Result<Ended, Error> {
        let deadline = Instant::now() + timeout;
        let recorded = self.recorded.recv_timeout(timeout);
        let left = deadline.saturating_duration_since(Instant::now());
        let console = recorded.is_ok().then(|| self.console.recv_timeout(left).ok()).flatten();
        // Closes its console, if that is open still.
        drop(self.qemu);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match (recorded, console) {
            (Ok(recorded), Some(console)) => Ok(Ended { recorded, console: text(console) }),
            _ => Err(Error::TimeUp { timeout, console: text(self.console.recv().unwrap_or_default()) }),
        }
    }
}

/// The process, which does not outlive this.
#[derive(Debug)]
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file that lies nowhere, so that nothing is left of it.
fn in_memory(contents: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("initramfs", MemfdFlags::CLOEXEC)?);
    file.write_all(contents)?;
    Ok(file)
}

/// Reads to the end in a thread, so that neither line waits for the other.
fn collect(line: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut line) = line {
            // What was read before an error is worth having; the transcript shows that it lacks its end.
            let _ = line.read_to_end(&mut bytes);
        }
        // Nobody waits any more: then nobody wants it.
        let _ = sender.send(bytes);
    });
    receiver
}
