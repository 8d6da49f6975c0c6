//! A laptop mode under test: the built binary in a directory of its own, used as a person uses it, by its
//! command line alone, and killed as no person would.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drey_local::record::{self, ClusterRecord, Slot};
use drey_local::state_dir::{self, Layout};
use rustix::process::Signal;

use crate::kills::Victim;
use crate::place::{LOOK, Place};

/// How long the API may take to answer after a start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long drey may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// `drey up` in a directory.
pub(crate) struct Laptop {
    binary: PathBuf,
    directory: PathBuf,
    server: Option<Child>,
}

impl Laptop {
    /// A laptop mode that does not run yet.
    pub(crate) fn new(binary: &Path, directory: &Path) -> Result<Self> {
        let binary = std::fs::canonicalize(binary).with_context(|| binary.display().to_string())?;
        std::fs::create_dir_all(directory)?;
        Ok(Self { binary, directory: std::fs::canonicalize(directory)?, server: None })
    }

    /// The state directory.
    pub(crate) fn state_directory(&self) -> PathBuf {
        self.directory.join(".drey")
    }

    /// Starts `drey up` with further arguments and returns at once.
    pub(crate) fn begin_up(&mut self, arguments: &[&str]) -> Result<()> {
        ensure!(self.server.is_none(), "drey runs already");
        let output = std::fs::File::options().append(true).create(true).open(self.output_file())?;
        let mut command = self.command(&["up"]);
        command.args(arguments).stdout(output.try_clone()?).stderr(output);
        self.server = Some(command.spawn().context("drey cannot be started")?);
        Ok(())
    }

    fn output_file(&self) -> PathBuf {
        self.directory.join("up.out")
    }

    /// What is written down about the clusters; one that is being written or removed is left out.
    pub(crate) fn records(&self) -> Vec<ClusterRecord> {
        let directories = record::directories(&Layout::of(&self.state_directory())).unwrap_or_default();
        directories.iter().filter_map(|directory| directory.read().ok()).collect()
    }

    /// Kills processes of Flink that `chosen` picks, without a chance to clean up. Returns how many.
    pub(crate) fn kill_flink(&self, chosen: impl Fn(Slot) -> bool) -> Result<usize> {
        let mut killed = 0;
        for record in self.records() {
            for (slot, process) in &record.processes {
                if chosen(*slot) && process.identity.signal_group(Signal::KILL)? {
                    killed += 1;
                }
            }
        }
        Ok(killed)
    }

    /// Kills drey itself, without a chance to clean up. Returns whether it ran.
    pub(crate) fn kill_drey(&mut self) -> Result<bool> {
        let Some(mut server) = self.server.take() else { return Ok(false) };
        server.kill()?;
        server.wait()?;
        Ok(true)
    }

    /// Whether drey runs, as far as we have started it.
    pub(crate) fn is_up(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    /// Process id of `drey up`.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Asks drey to end and waits for it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let pid = i32::try_from(server.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("a process has a pid")?;
        rustix::process::kill_process(pid, Signal::TERM)?;
        let began = Instant::now();
        while server.try_wait()?.is_none() {
            if began.elapsed() > STOP_TIMEOUT {
                server.kill()?;
                server.wait()?;
                bail!("drey did not end in {} s\n{}", STOP_TIMEOUT.as_secs(), self.output_tail());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// `drey down` with further arguments, and the end of `drey up`.
    pub(crate) fn down(&mut self, arguments: &[&str]) -> Result<()> {
        let mut words = vec!["down"];
        words.extend(arguments);
        self.run(&words).with_context(|| self.output_tail())?;
        if let Some(mut server) = self.server.take() {
            server.wait()?;
        }
        Ok(())
    }

    /// Processes that are alive and belong to this laptop mode.
    pub(crate) fn living_processes(&self) -> Result<usize> {
        let mut living = 0;
        for record in self.records() {
            for process in record.processes.values() {
                living += usize::from(process.identity.is_alive()?);
            }
        }
        Ok(living + usize::from(state_dir::holder(&self.state_directory()).is_some()))
    }
}

impl Place for Laptop {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(&self.directory).env_remove("KUBECONFIG").stdin(Stdio::null());
        // Settings of whoever runs the tests lead elsewhere.
        command.env("XDG_CONFIG_HOME", &self.directory);
        command
    }

    fn up(&mut self) -> Result<()> {
        self.begin_up(&[])?;
        let answers = |laptop: &mut Self| {
            if let Some(status) = laptop.server.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("drey ended with {status}: {}", laptop.output_tail());
            }
            Ok(laptop.run(&["get", "-o", "name"]).is_ok().then_some(()))
        };
        self.wait_for("the API to answer", START_TIMEOUT, answers)
    }

    fn kill(&mut self, victim: Victim) -> Result<usize> {
        let hit = match victim {
            Victim::JobManager => self.kill_flink(|slot| slot == Slot::JobManager)?,
            Victim::TaskManagers => self.kill_flink(|slot| slot != Slot::JobManager)?,
            Victim::Drey => usize::from(self.kill_drey()?),
            Victim::Leader => bail!("there is one drey in laptop mode"),
            Victim::All => usize::from(self.kill_drey()?) + self.kill_flink(|_| true)?,
        };
        if !self.is_up() {
            self.up()?;
        }
        Ok(hit)
    }

    fn has_cluster(&self) -> Result<bool> {
        Ok(!self.records().is_empty())
    }

    fn output_tail(&self) -> String {
        let tail = |path: &Path, lines: usize| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        };
        format!("{}\n{}", tail(&self.output_file(), 5), tail(&self.state_directory().join("drey.log"), 25))
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        // A failed scenario must not leave processes behind; there is nobody left to tell of a failure.
        let _running = self.kill_drey();
        let _killed = self.kill_flink(|_| true);
    }
}
