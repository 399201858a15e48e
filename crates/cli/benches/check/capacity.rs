//! Room for more entries than the machine's limit allows.
//!
//! The limit is the whole machine's, so it is raised only where that was allowed, and set back whatever happens: by a
//! process of its own, which waits for the bench to end. Its standard input is a pipe from the bench, which the kernel
//! closes after Ctrl-C, a panic and kill -9 alike.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Whether the machine's limit may be raised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    Given,
    NotGiven,
}

/// Room for the entries, until it is dropped.
pub(crate) struct Capacity {
    /// What sets the limit back, where it was raised.
    restorer: Option<Child>,
}

impl Capacity {
    /// Sees to it that so many entries fill no table to 90 %, from where on a sample is not enough.
    pub(crate) fn for_entries(entries: u32, permission: Permission) -> anyhow::Result<Self> {
        let old = read()?;
        if u64::from(entries) * 10 < u64::from(old) * 9 {
            return Ok(Self { restorer: None });
        }
        let raised = entries.checked_mul(2).context("so many entries cannot be made")?;
        if permission == Permission::NotGiven {
            bail!(
                "{entries} entries need net.netfilter.nf_conntrack_max = {raised}, and it is {old}. It holds for the \
                 whole machine, so it is raised only with --allow-global, and set back at the end of the run"
            );
        }
        println!("net.netfilter.nf_conntrack_max goes from {old} to {raised} for this run, and back however it ends.");
        // In a process group of its own, so that Ctrl-C does not reach it.
        let restorer = Command::new(std::env::current_exe()?)
            .args(["restore", &old.to_string(), &raised.to_string()])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("start the process that sets the limit back")?;
        let capacity = Self { restorer: Some(restorer) };
        write(raised)?;
        Ok(capacity)
    }
}

impl Drop for Capacity {
    fn drop(&mut self) {
        if let Some(restorer) = &mut self.restorer {
            // Waiting closes the pipe first.
            let restored = restorer.wait();
            if !restored.as_ref().is_ok_and(std::process::ExitStatus::success) {
                eprintln!("bench: net.netfilter.nf_conntrack_max may still be raised: {restored:?}");
            }
        }
    }
}

/// The restorer's side: sets the limit back once the bench is gone, unless somebody else has set it meanwhile.
pub(crate) fn restore_at_end(old: u32, raised: u32) -> anyhow::Result<()> {
    io::copy(&mut io::stdin(), &mut io::sink())?;
    match read()? {
        now if now == raised => {
            write(old)?;
            println!("net.netfilter.nf_conntrack_max is {} again.", read()?);
        }
        now if now == old => {}
        now => eprintln!("net.netfilter.nf_conntrack_max is {now}, which the bench did not set, and stays so."),
    }
    Ok(())
}

fn read() -> anyhow::Result<u32> {
    let text = fs::read_to_string(MAX).with_context(|| format!("read {MAX}"))?;
    text.trim().parse().with_context(|| format!("{MAX}: {text:?}"))
}

fn write(max: u32) -> anyhow::Result<()> {
    fs::write(MAX, max.to_string()).with_context(|| format!("write {max} to {MAX}"))
}
