//! Flink without high availability dies in the middle of an update, at one moment after the other, and is started again: the
//! command ends soon, and the one that it names goes on from the newest state. Refuses to know how Flink is started.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::proxy::{Act, Proxy};
use super::{Story, as_str};
use crate::place::LOOK;
use crate::session_cluster::SessionCluster;

/// How long a command may go on after Flink is back.
const END: Duration = Duration::from_secs(60);

/// How `drey` ends when Flink does not know the job any more, or cannot be reached.
const CODES: [Option<i32>; 2] = [Some(3), Some(6)];

/// A moment at which the JobManager is killed.
pub(super) struct Death {
    /// In words.
    pub(super) when: &'static str,
    at: At,
    /// What the failure has to name, apart from the command.
    tells: &'static str,
}

enum At {
    /// When this is asked, which does not arrive.
    Request(&'static str),
    /// When it answers this.
    Answer(&'static str),
    /// When drey says this.
    Line(&'static str),
}

/// Every moment.
pub(super) const DEATHS: [Death; 4] = [
    Death { when: "after the upload", at: At::Request("/plan"), tells: "nothing was changed" },
    Death { when: "while it stops the old version", at: At::Answer("/stop"), tells: "/chk-*" },
    Death {
        when: "between the stop and the submission",
        at: At::Request("/run"),
        tells: "has ended with the savepoint file:",
    },
    Death {
        when: "after the submission",
        at: At::Line(": RUNNING"),
        tells: "has ended with the savepoint file:",
    },
];

impl Story {
    /// An update whose Flink dies, and then what it says is to be done.
    pub(super) fn bereft(
        &mut self,
        cluster: &mut SessionCluster,
        proxy: &Proxy,
        death: &Death,
    ) -> Result<()> {
        self.rate += 1;
        let (job_manager, old) = (cluster.job_manager()?, self.only()?);
        let line = match death.at {
            At::Request(request) => {
                proxy.at(request, Act::Kill(job_manager));
                None
            }
            At::Answer(request) => {
                proxy.at(request, Act::KillAfter(job_manager));
                None
            }
            At::Line(line) => Some((line, job_manager)),
        };
        let words = self.update_words(&[]);
        let mut update = self.command(&self.drey, &as_str(&words));
        update.env("FLINK_BASE_URL", &proxy.url).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut update = update.spawn()?;
        let stderr = update.stderr.take().context("standard error is piped")?;
        let said = std::thread::spawn(move || heard(stderr, line));
        cluster.start_again_after_death()?;
        let code = ended(&mut update)?;
        let said = said.join().map_err(|_| anyhow::anyhow!("the reader has panicked"))??;
        println!("          {}", told(&said).join("\n          "));
        ensure!(CODES.contains(&code), "ended with {code:?}: {said}");
        ensure!(said.contains(death.tells), "it does not tell `{}`: {said}", death.tells);
        let next = self.next_command(&words, &said)?;
        let now = self.ok(&as_str(&next))?;
        ensure!(self.only()? == now && now != old, "{now} does not follow {old}");
        self.grows()
    }

    /// The same command with what the failure tells to add.
    fn next_command(&self, words: &[String], said: &str) -> Result<Vec<String>> {
        const FLAG: &str = "--if-lost '";
        let paths: Vec<&str> = said.split(FLAG).skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        ensure!(!paths.is_empty(), "no command is told: {said}");
        let (before, release) = words.split_at(2);
        let flags = paths.iter().map(|path| format!("--if-lost={path}"));
        Ok(before.iter().cloned().chain(flags).chain(release.iter().cloned()).collect())
    }
}

/// The failure.
fn told(said: &str) -> Vec<&str> {
    said.lines().skip_while(|line| !line.starts_with("error: ")).collect()
}

/// All that it says; at the line the process is killed.
fn heard(stderr: ChildStderr, mut line: Option<(&str, Pid)>) -> Result<String> {
    let mut said = String::new();
    for heard in BufReader::new(stderr).lines() {
        let heard = heard?;
        if let Some((_, pid)) = line.take_if(|(line, _)| heard.contains(*line)) {
            kill_process(pid, Signal::KILL)?;
        }
        said.push_str(&heard);
        said.push('\n');
    }
    Ok(said)
}

fn ended(update: &mut Child) -> Result<Option<i32>> {
    let began = Instant::now();
    loop {
        if let Some(status) = update.try_wait()? {
            return Ok(status.code());
        }
        if began.elapsed() > END {
            update.kill()?;
            update.wait()?;
            anyhow::bail!("the update has not ended {} s after Flink was back", END.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}
