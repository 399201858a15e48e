//! Programs that run until they are told to stop, and what they used.
//!
//! A program is started by a small process of its own, which asks the kernel what it used: the peak of a process counts from
//! its fork on, and so would begin at the size of the bench itself.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use plimsoll_lab::LabNamespace;
use rustix::process::{Pid, Signal, kill_process, setpriority_process};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Before others, of its session at least (`sched_autogroup_enabled`): the rate is to be reached.
const FIRST: i32 = -20;

/// A program that runs.
pub(crate) struct Running {
    launcher: Child,
    told: BufReader<ChildStdout>,
    pid: Pid,
}

/// What one run used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// In user space and in the kernel.
    pub(crate) cpu: Duration,
    pub(crate) peak_bytes: u64,
}

impl Running {
    /// Starts a program in a namespace, on a CPU; its output goes to a file.
    pub(crate) fn start(
        namespace: &LabNamespace,
        cpu: usize,
        output: &Path,
        command: &[OsString],
    ) -> anyhow::Result<Self> {
        let mut launcher = Command::new(std::env::current_exe()?);
        launcher.args(["launch", "--cpu", &cpu.to_string(), "--output"]).arg(output).arg("--").args(command);
        launcher.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut launcher = namespace.enter(|| launcher.spawn())?.context("start the launcher")?;
        let mut told = BufReader::new(launcher.stdout.take().context("no pipe")?);
        let pid = number(&mut told)?.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.with_context(|| format!("{command:?} was not started"))?;
        Ok(Self { launcher, told, pid })
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<Usage> {
        kill_process(self.pid, Signal::INT).context("stop it")?;
        let (micros, peak_bytes) = (number(&mut self.told)?, number(&mut self.told)?);
        ensure!(self.launcher.wait()?.success(), "it failed");
        Ok(Usage {
            cpu: Duration::from_micros(micros.context("nothing was measured")?),
            peak_bytes: peak_bytes.context("nothing was measured")?,
        })
    }
}

fn number(from: &mut impl BufRead) -> anyhow::Result<Option<u64>> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line.trim().parse().ok())
}

/// The launcher's side.
#[derive(clap::Args)]
pub(crate) struct Launch {
    #[arg(long)]
    cpu: usize,
    #[arg(long)]
    output: PathBuf,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Launch {
    /// Runs the program; writes its pid, and at its end microseconds of CPU and bytes at the peak, a line each.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        stay_on(self.cpu)?;
        let (program, arguments) = self.command.split_first().context("no program")?;
        let output = File::create(&self.output)?;
        let mut child = Command::new(program).args(arguments).stdout(output).spawn()?;
        println!("{}", child.id());
        let status = child.wait()?;
        // conntrack ends so when it is interrupted.
        ensure!(status.success(), "{}: {status}", program.display());
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        println!("{}\n{}", micros(usage.user_time()) + micros(usage.system_time()), usage.max_rss() * 1024);
        Ok(())
    }
}

fn micros(time: TimeVal) -> i64 {
    time.tv_sec() * 1_000_000 + time.tv_usec()
}

/// Keeps the calling thread, and what it starts, on one CPU, and before all else there.
pub(crate) fn stay_on(cpu: usize) -> anyhow::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("stay on CPU {cpu}"))?;
    setpriority_process(None, FIRST).context("come before others")
}
