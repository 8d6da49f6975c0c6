//! A process of a container, as this machine's `/proc` has it. Refuses to know what the process is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Ticks of the clock in `/proc`, per second: a constant of Linux.
const TICKS: f64 = 100.0;

/// A process by its number.
pub(crate) struct Process {
    directory: PathBuf,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Process {
        Process { directory: Path::new("/proc").join(pid.to_string()) }
    }

    fn text(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// What runs in it.
    pub(crate) fn name(&self) -> Result<String> {
        Ok(self.text("comm")?.trim().to_owned())
    }

    /// Seconds from the machine's start to its own.
    pub(crate) fn started_at(&self) -> Result<f64> {
        let stat = self.text("stat")?;
        // Names of programs, in brackets, can hold anything.
        let (_, rest) = stat.rsplit_once(')').context("`stat` has a name")?;
        let ticks: f64 = rest.split_whitespace().nth(19).context("`stat` has a start")?.parse()?;
        Ok(ticks / TICKS)
    }

    fn status(&self, name: &str) -> Result<String> {
        let status = self.text("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("`status` has no {name}"))?.trim().to_owned())
    }

    fn effective(&self, name: &str) -> Result<u32> {
        let numbers = self.status(name)?;
        Ok(numbers.split_whitespace().nth(1).context("a real and an effective one")?.parse()?)
    }

    /// Its effective user.
    pub(crate) fn user(&self) -> Result<u32> {
        self.effective("Uid")
    }

    /// Its effective group.
    pub(crate) fn group(&self) -> Result<u32> {
        self.effective("Gid")
    }

    /// Its effective capabilities, as bits.
    pub(crate) fn capabilities(&self) -> Result<u64> {
        Ok(u64::from_str_radix(&self.status("CapEff")?, 16)?)
    }

    /// Memory that it has, in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let text = self.status("VmRSS")?;
        let kib: f64 = text.split_whitespace().next().context("a number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Its root, as this machine sees it.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// Whether its root can only be read.
    pub(crate) fn has_read_only_root(&self) -> Result<bool> {
        let mounts = self.text("mountinfo")?;
        let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
        let options = root.and_then(|line| line.split(' ').nth(5)).context("a root is mounted")?;
        Ok(options.split(',').any(|option| option == "ro"))
    }
}

/// Seconds since the machine's start.
pub(crate) fn uptime() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/uptime").context("/proc/uptime")?;
    Ok(text.split_whitespace().next().context("a number")?.parse()?)
}
