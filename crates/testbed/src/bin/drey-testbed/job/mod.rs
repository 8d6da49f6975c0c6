//! `drey job` on a session cluster of real Flink: the ledger job is deployed and updated under load, updated to versions that
//! do not come up, killed and interrupted at every step, cut off from every answer, and bereft of its Flink in every phase.
//! Its ledger stays whole, and there is never a second job.

mod deaths;
mod large_jar;
mod proxy;
mod rivals;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drey_testbed::ledger::{self, LedgerReport};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::ledger_job::{ENTRY_CLASS, must_be_whole};
use crate::place::LOOK;
use crate::session_cluster::SessionCluster;
use crate::tally::Tally;
use deaths::DEATHS;
use proxy::{Act, Proxy};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// Minor version of Flink, such as `1.20`
    #[arg(long)]
    flink: String,
    /// Directory with a Flink distribution for each version
    #[arg(long)]
    distributions: PathBuf,
    /// Directory to work in; kept when a step fails
    #[arg(long)]
    directory: Option<PathBuf>,
    /// At the end deploy a jar of 1 GB too, and measure drey's memory; needs 4 GB of disk and some minutes
    #[arg(long)]
    large_jar: bool,
}

/// What Flink calls a job that has no name of its own.
const NAME: &str = "Flink Streaming Job";

/// How long the ledger may take to grow.
const GROW: Duration = Duration::from_secs(60);

/// The lines after which an update is ended.
const MOMENTS: [&str; 4] =
    ["stopping job", "has ended with the savepoint", "starting the new version", ": RUNNING"];

/// The requests whose answers are lost.
const POSTS: [&str; 4] = ["POST /jars/upload", "/plan", "/stop", "/run"];

/// Runs the story.
pub(crate) fn run(args: &Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let directory = args.directory.clone().unwrap_or_else(|| temporary.path().join("work"));
    std::fs::create_dir_all(&directory)?;
    let directory = std::fs::canonicalize(directory)?;
    let mut cluster = SessionCluster::start(&args.distributions, &args.flink, &directory.join("flink"))?;
    let mut story = Story {
        drey: std::fs::canonicalize(&args.drey)?,
        original: std::fs::canonicalize(&args.jar)?,
        jar: std::fs::canonicalize(&args.jar)?,
        output: directory.join("ledger-output"),
        url: cluster.url.clone(),
        savepoints: cluster.savepoints(),
        directory,
        rate: 400,
    };
    let mut tally = Tally::default();
    tell(&mut story, &mut tally, &args.flink, &mut cluster)?;
    if args.large_jar {
        tally.step(&format!("{}: a jar of 1 GB", args.flink), || story.large_jar());
    }
    drop(cluster);
    tally.conclude(temporary, args.directory.is_some())
}

fn tell(story: &mut Story, tally: &mut Tally, flink: &str, cluster: &mut SessionCluster) -> Result<()> {
    let mut step =
        |name: &str, act: &mut dyn FnMut() -> Result<()>| tally.step(&format!("{flink}: {name}"), act);
    step("deployed", &mut || story.deployed());
    step("deployed again: the same job", &mut || story.deployed_again());
    step("updated under load", &mut || story.updated());
    step("an unknown class stops nothing", &mut || story.unknown_class());
    step("a version that cannot be restored is rolled back", &mut || {
        story.rolled_back(&["--entry-class", "drey.examples.Counter"])
    });
    step("a version that finds no slots is rolled back", &mut || {
        story.rolled_back(&["--entry-class", ENTRY_CLASS, "--parallelism", "5", "--timeout", "15s"])
    });
    step("as flink-deployer", &mut || story.as_flink_deployer());
    for moment in MOMENTS {
        for signal in [Signal::KILL, Signal::INT] {
            step(&format!("{signal:?} after `{moment}`"), &mut || story.ended_after(moment, signal));
        }
    }
    let proxy = Proxy::before(&cluster.url)?;
    for post in POSTS {
        step(&format!("the answer to `{post}` is lost"), &mut || story.cut_off(&proxy, post));
    }
    step("two updates at the same moment", &mut || story.two_at_once());
    for death in DEATHS {
        step(&format!("Flink dies {}", death.when), &mut || story.bereft(cluster, &proxy, &death));
    }
    step("terminated, and its jars are gone", &mut || story.terminated());
    Ok(())
}

struct Story {
    drey: PathBuf,
    /// The jar as it was built.
    original: PathBuf,
    /// The jar that is deployed next.
    jar: PathBuf,
    output: PathBuf,
    directory: PathBuf,
    savepoints: String,
    url: String,
    /// What makes one version differ from the last.
    rate: u32,
}

impl Story {
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("FLINK_BASE_URL", &self.url).stdin(Stdio::null());
        command
    }

    fn output_of(&self, arguments: &[&str]) -> Result<Output> {
        self.command(&self.drey, arguments).output().context("drey cannot be started")
    }

    fn ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output_of(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`drey {}` ended with {}: {said}",
            arguments.join(" "),
            output.status
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// The end of a command line that starts the ledger.
    fn release(&self, flags: &[&str]) -> Vec<String> {
        let (jar, output) = (self.jar.display().to_string(), self.output.display().to_string());
        let mut words = vec!["--file-name".to_owned(), jar];
        words.extend(flags.iter().map(|&flag| flag.to_owned()));
        words.extend([
            "--".to_owned(),
            "--rate".to_owned(),
            self.rate.to_string(),
            "--output".to_owned(),
            output,
        ]);
        words
    }

    fn update_words(&self, flags: &[&str]) -> Vec<String> {
        let begin = ["job", "update", "--job-name-base", NAME, "--savepoint-dir", &self.savepoints];
        let class = ["--entry-class", ENTRY_CLASS];
        let release = self.release(if flags.is_empty() { &class } else { flags });
        begin.into_iter().map(str::to_owned).chain(release).collect()
    }

    fn update(&self, flags: &[&str]) -> Result<Output> {
        self.output_of(&as_str(&self.update_words(flags)))
    }

    fn jobs(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.ok(&["job", "list", "-o", "json"])?)?)
    }

    /// The id of the only job that has not ended.
    fn only(&self) -> Result<String> {
        let jobs = self.jobs()?;
        let is_active =
            |job: &&Value| !matches!(job["state"].as_str(), Some("FINISHED" | "CANCELED" | "FAILED"));
        let active: Vec<&Value> = jobs.iter().filter(is_active).collect();
        ensure!(active.len() == 1, "{} jobs are active: {active:?}", active.len());
        Ok(active[0]["id"].as_str().context("a job has an id")?.to_owned())
    }

    fn report(&self) -> Result<LedgerReport> {
        if !self.output.is_dir() {
            return Ok(LedgerReport::default());
        }
        Ok(ledger::check(&self.output)?)
    }

    /// The ledger goes on from where it is, and is whole.
    fn grows(&self) -> Result<()> {
        let (before, began) = (self.report()?.complete_to, Instant::now());
        loop {
            let report = self.report()?;
            must_be_whole(&report)?;
            if report.complete_to > before + u64::from(self.rate) {
                return self.only().map(drop);
            }
            ensure!(began.elapsed() < GROW, "the ledger does not grow: {report}");
            std::thread::sleep(LOOK);
        }
    }

    fn deploy(&self) -> Result<String> {
        let release = self.release(&["--entry-class", ENTRY_CLASS]);
        self.ok(&[&["job", "deploy"], as_str(&release).as_slice()].concat())
    }

    fn deployed(&mut self) -> Result<()> {
        let id = self.deploy()?;
        ensure!(self.only()? == id, "another job runs than the one that was told");
        self.grows()
    }

    fn deployed_again(&mut self) -> Result<()> {
        let id = self.deploy()?;
        ensure!(self.only()? == id && self.jobs()?.len() == 1, "there is a second job");
        Ok(())
    }

    fn updated(&mut self) -> Result<()> {
        let old = self.only()?;
        self.rate += 1;
        let output = self.update(&[])?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let new = self.only()?;
        ensure!(String::from_utf8_lossy(&output.stdout).trim() == new && new != old, "another id is told");
        let status: Value = serde_json::from_str(&self.ok(&["job", "status", &new, "-o", "json"])?)?;
        let from = status["restoredFrom"].as_str().unwrap_or_default();
        ensure!(from.contains(&format!("savepoint-{}", &old[..6])), "restored from `{from}`");
        self.grows()
    }

    fn unknown_class(&mut self) -> Result<()> {
        let old = self.only()?;
        let output = self.update(&["--entry-class", "drey.examples.Nowhere"])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1) && said.contains("nothing was changed"), "{said}");
        ensure!(self.only()? == old, "the job was touched");
        Ok(())
    }

    fn rolled_back(&mut self, flags: &[&str]) -> Result<()> {
        let old = self.only()?;
        let output = self.update(flags)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "ended with {}: {said}", output.status);
        let now = self.only()?;
        ensure!(now != old && said.contains(&format!("the old version runs again as job {now}")), "{said}");
        self.grows()
    }

    fn as_flink_deployer(&mut self) -> Result<()> {
        let deployer = self.directory.join("flink-deployer");
        std::os::unix::fs::symlink(&self.drey, &deployer)?;
        self.rate += 1;
        let (jar, arguments) = (
            self.jar.display().to_string(),
            format!("--rate {} --output {}", self.rate, self.output.display()),
        );
        let words = [
            "update",
            "-fn",
            &jar,
            "-ec",
            ENTRY_CLASS,
            "-jnb",
            NAME,
            "-sd",
            &self.savepoints,
            "-pa",
            &arguments,
        ];
        let output = self.command(&deployer, &words).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.contains("Job successfully updated"), "{said}");
        let listed = self.command(&deployer, &["list"]).output()?;
        let line = format!("Job {NAME} ({}) with status: RUNNING", self.only()?);
        ensure!(String::from_utf8_lossy(&listed.stderr).contains(&line), "the list has no `{line}`");
        let failed = self.command(&deployer, &["terminate", "-jnb", "nobody", "-m", "stop"]).output()?;
        ensure!(failed.status.code() == Some(255), "ended with {}", failed.status);
        self.grows()
    }

    /// An update that is ended in the middle, and run again.
    fn ended_after(&mut self, moment: &str, signal: Signal) -> Result<()> {
        self.rate += 1;
        let words = self.update_words(&[]);
        let words = as_str(&words);
        let mut update = self.command(&self.drey, &words);
        let mut child = update.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let said = end_after(&mut child, moment, signal)?;
        let code = child.wait()?.code();
        if signal == Signal::INT {
            ensure!(code == Some(130) && said.contains("interrupted while"), "{code:?}: {said}");
            ensure!(said.contains("run the same command again"), "it does not say how to go on: {said}");
        }
        let output = self.output_of(&words)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.grows()
    }

    fn cut_off(&mut self, proxy: &Proxy, post: &str) -> Result<()> {
        self.rate += 1;
        // A jar that Flink does not have yet, so that there is something to upload: the same with a comment at its end.
        let mut content = std::fs::read(&self.original)?;
        let comment = post.as_bytes();
        let length = content.len();
        ensure!(length > 2 && content.ends_with(&[0, 0]), "the jar has a comment already");
        content[length - 2] = u8::try_from(comment.len())?;
        content.extend_from_slice(comment);
        self.jar = self.directory.join("other.jar");
        std::fs::write(&self.jar, content)?;
        proxy.at(post, Act::Lose);
        let words = self.update_words(&[]);
        let words = as_str(&words);
        let output = self.command(&self.drey, &words).env("FLINK_BASE_URL", &proxy.url).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ensure!(proxy.has_acted(), "nothing was lost");
        self.grows()
    }

    fn terminated(&mut self) -> Result<()> {
        let words = [
            "job",
            "terminate",
            "--job-name-base",
            NAME,
            "--mode",
            "stop",
            "--savepoint-dir",
            &self.savepoints,
        ];
        self.ok(&words)?;
        ensure!(self.only().is_err(), "a job is left");
        let kept = self.directory.join("flink/upload/flink-web-upload");
        let kept: Vec<_> = std::fs::read_dir(&kept)?.flatten().map(|entry| entry.file_name()).collect();
        ensure!(kept.is_empty(), "jars are left: {kept:?}");
        must_be_whole(&self.report()?)
    }
}

fn as_str(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Reads what it says until the moment, signals it, and returns all that it has said.
fn end_after(child: &mut Child, moment: &str, signal: Signal) -> Result<String> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("it has a pid")?;
    let stderr = child.stderr.take().context("standard error is piped")?;
    let (mut said, mut signalled) = (String::new(), false);
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if !signalled && line.contains(moment) {
            kill_process(pid, signal)?;
            signalled = true;
        }
        said.push_str(&line);
        said.push('\n');
    }
    if !signalled {
        bail!("it never says `{moment}`: {said}");
    }
    Ok(said)
}
