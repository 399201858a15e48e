//! Programs run in a namespace, and what they used.
//!
//! A program is started by a small process of its own, which times it and asks the kernel what it used: the peak of a
//! process counts from its fork on, and so would begin at the size of the bench itself.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use plimsoll_lab::LabNamespace;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Exit codes of `check` up to this one, "unknown", are verdicts, and this machine decides which; what is worse means that
/// nothing was measured.
const LAST_VERDICT: i32 = 3;

/// A program to be measured.
#[derive(Clone)]
pub(crate) struct Program {
    command: Vec<OsString>,
    cpu: Option<usize>,
}

/// What one run of it used.
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    /// In user space and in the kernel.
    pub(crate) cpu: Duration,
    pub(crate) peak_bytes: u64,
}

impl Program {
    /// The plimsoll that was built with this bench.
    pub(crate) fn plimsoll(arguments: &[&str]) -> Self {
        Self::of(env!("CARGO_BIN_EXE_plimsoll").into(), arguments)
    }

    /// Runs it in a namespace and returns what it writes.
    pub(crate) fn output_in(&self, namespace: &LabNamespace) -> anyhow::Result<String> {
        let (program, arguments) = self.command.split_first().context("no program")?;
        let output = namespace.enter(|| Command::new(program).args(arguments).stderr(Stdio::inherit()).output())??;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The bare receive loop.
    pub(crate) fn raw_dump() -> anyhow::Result<Self> {
        Ok(Self::of(std::env::current_exe()?.into(), &["raw-dump"]))
    }

    /// Something that is installed.
    pub(crate) fn installed(program: &str, arguments: &[&str]) -> Self {
        Self::of(program.into(), arguments)
    }

    fn of(program: OsString, arguments: &[&str]) -> Self {
        let command = std::iter::once(program).chain(arguments.iter().map(OsString::from)).collect();
        Self { command, cpu: None }
    }

    /// The same, on one CPU only.
    pub(crate) fn pinned_to(self, cpu: usize) -> Self {
        Self { cpu: Some(cpu), ..self }
    }

    /// Runs it in a namespace; its output goes nowhere.
    pub(crate) fn run_in(&self, namespace: &LabNamespace) -> anyhow::Result<Usage> {
        let mut launcher = Command::new(std::env::current_exe()?);
        launcher.arg("launch");
        if let Some(cpu) = self.cpu {
            launcher.args(["--cpu", &cpu.to_string()]);
        }
        launcher.arg("--").args(&self.command).stderr(Stdio::inherit());
        let output = namespace.enter(|| launcher.output())?.context("start the launcher")?;
        ensure!(output.status.success(), "{:?} was not measured", self.command);
        Usage::parse(&String::from_utf8_lossy(&output.stdout)).context("the launcher's answer")
    }
}

impl Usage {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(|word| word.parse().ok());
        Some(Self {
            wall: Duration::from_nanos(numbers.next()??),
            cpu: Duration::from_micros(numbers.next()??),
            peak_bytes: numbers.next()??,
        })
    }
}

/// The launcher's side.
#[derive(clap::Args)]
pub(crate) struct Launch {
    #[arg(long)]
    cpu: Option<usize>,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Launch {
    /// Runs the program and writes nanoseconds on the clock, microseconds of CPU, bytes at the peak.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if let Some(cpu) = self.cpu {
            pin_to(cpu)?;
        }
        let (program, arguments) = self.command.split_first().context("no program")?;
        let began = Instant::now();
        let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
        let wall = began.elapsed();
        let status = status.with_context(|| format!("start {}", program.display()))?;
        ensure!(status.code().is_some_and(|code| code <= LAST_VERDICT), "{}: {status}", program.display());
        // The only child that there has been.
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let cpu = micros(usage.user_time()) + micros(usage.system_time());
        println!("{} {cpu} {}", wall.as_nanos(), usage.max_rss() * 1024);
        Ok(())
    }
}

fn micros(time: TimeVal) -> i64 {
    time.tv_sec() * 1_000_000 + time.tv_usec()
}

/// Keeps the calling thread, and what it starts, on one CPU.
pub(crate) fn pin_to(cpu: usize) -> anyhow::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("stay on CPU {cpu}"))
}
