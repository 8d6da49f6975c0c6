//! Measurements over the built binary: how long a start takes beside Flink's own scripts, and what drey
//! itself costs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drey_local::record::ClusterRecord;
use drey_testbed::usage::Usage;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::laptop::Laptop;
use crate::ledger_job::{LedgerJob, NAME};
use crate::place::Place;

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// How often it is looked whether the job runs.
const LOOK: Duration = Duration::from_millis(50);
/// How large the command line alone may be.
const SMALL_BYTES_MAX: u64 = 5_000_000;
/// How much longer a start by drey may take than one by hand.
const RATIO_MAX: f64 = 1.15;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct LocalArgs {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
    /// How often each is measured; the medians are compared
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct SizeArgs {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The binary with the command line alone
    #[arg(long)]
    small: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
}

/// Seconds from `drey up` to RUNNING, beside those of Flink's scripts with the same configuration.
pub(crate) fn local(args: &LocalArgs) -> Result<()> {
    let jar = std::fs::canonicalize(&args.jar)?;
    let (mut by_drey, mut by_hand) = (Vec::new(), Vec::new());
    for run in 1..=args.runs {
        let temporary = tempfile::tempdir()?;
        let mut laptop = Laptop::new(&args.drey, &temporary.path().join("work"))?;
        let job = LedgerJob::new(&args.flink, &jar, laptop.directory().join("ledger-output"));
        let (seconds, record) = start_by_drey(&mut laptop, &job)?;
        by_drey.push(seconds);
        let kept = keep_configuration(&laptop, &record, temporary.path())?;
        laptop.down(&["--purge"])?;
        let seconds = start_by_hand(&record, &kept, &job, temporary.path())?;
        by_hand.push(seconds);
        println!("run {run}: drey {:.1} s, scripts {:.1} s", by_drey[run - 1], by_hand[run - 1]);
    }
    let (drey, scripts) = (median(&mut by_drey), median(&mut by_hand));
    let ratio = drey / scripts;
    println!("median: drey {drey:.1} s, scripts {scripts:.1} s, ratio {ratio:.2}");
    ensure!(ratio <= RATIO_MAX, "the ratio is above {RATIO_MAX}");
    Ok(())
}

/// The middle one.
pub(crate) fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn start_by_drey(laptop: &mut Laptop, job: &LedgerJob) -> Result<(f64, ClusterRecord)> {
    let file = laptop.directory().join("ledger.yaml");
    std::fs::write(&file, job.manifest().to_string())?;
    let began = Instant::now();
    laptop.begin_up(&["ledger.yaml"])?;
    let record = laptop.wait_for("the job to run", START_TIMEOUT, |laptop| {
        let record = laptop.records().into_iter().next();
        Ok(record.filter(|record| is_running(record.ports.rest)))
    })?;
    Ok((began.elapsed().as_secs_f64(), record))
}

/// The configuration that drey gave to Flink, without the high availability that only drey's API gives.
fn keep_configuration(laptop: &Laptop, record: &ClusterRecord, to: &Path) -> Result<PathBuf> {
    let clusters = laptop.state_directory().join("clusters");
    let from = clusters.join(&record.namespace).join(&record.name).join(&record.uid).join("conf");
    let kept = to.join("conf");
    std::fs::create_dir_all(&kept)?;
    for entry in std::fs::read_dir(&from)? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let name = path.file_name().context("a file has a name")?;
        std::fs::write(kept.join(name), without_high_availability(&text))?;
    }
    Ok(kept)
}

/// An option that Flink refuses without high availability.
const ONLY_WITH_HIGH_AVAILABILITY: &str = "submit-failed-job-on-application-error";

/// Works on flat files, and on nested ones by leaving out the whole block.
fn without_high_availability(text: &str) -> String {
    let mut kept = String::new();
    let mut in_block = false;
    for line in text.lines() {
        let is_top = !line.starts_with([' ', '-']);
        if is_top {
            in_block = line.starts_with("high-availability") || line.starts_with("job-result-store");
        }
        if !in_block && !line.contains(ONLY_WITH_HIGH_AVAILABILITY) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn start_by_hand(
    record: &ClusterRecord,
    configuration: &Path,
    job: &LedgerJob,
    directory: &Path,
) -> Result<f64> {
    let flink_home = record.flink_home.clone().context("drey has found a Flink")?;
    let log = directory.join("log");
    let user_jars = directory.join("by-hand");
    std::fs::create_dir_all(&log)?;
    std::fs::create_dir_all(&user_jars)?;
    // The temporary directories of the cluster went with it.
    recreate_directories(configuration)?;
    let script = |name: &str| {
        let mut command = Command::new(flink_home.join("bin").join(name));
        command.env("FLINK_CONF_DIR", configuration).env("FLINK_LOG_DIR", &log).current_dir(&user_jars);
        // The log configuration that drey has written asks for it.
        command.env("DREY_LOG_FILE", log.join(name).with_extension("log"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        if let Some(java_home) = &record.java_home {
            command.env("JAVA_HOME", java_home);
        }
        command
    };
    let began = Instant::now();
    let mut job_manager = script("standalone-job.sh");
    job_manager.arg("start-foreground").arg("--jars").arg(&job.jar);
    job_manager.args(["--job-classname", job.entry_class, "--", "--rate", &job.rate.to_string(), "--output"]);
    job_manager.arg(directory.join("by-hand-output"));
    let mut task_manager = script("taskmanager.sh");
    task_manager.arg("start-foreground");
    let mut processes = Group(vec![job_manager.spawn()?, task_manager.spawn()?]);
    while !is_running(record.ports.rest) {
        for child in &mut processes.0 {
            if let Some(status) = child.try_wait()? {
                bail!("a script of Flink ended with {status}; its logs are in {}", log.display());
            }
        }
        if began.elapsed() > START_TIMEOUT {
            bail!("Flink's scripts did not bring the job to run; the logs are in {}", log.display());
        }
        std::thread::sleep(LOOK);
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(processes);
    Ok(seconds)
}

fn recreate_directories(configuration: &Path) -> Result<()> {
    for entry in std::fs::read_dir(configuration)? {
        let text = std::fs::read_to_string(entry?.path())?;
        for line in text.lines() {
            let value = line.split_once(": ").map(|(_, value)| value.trim_matches(['"', '\'', ' ']));
            if let Some(path) = value.filter(|value| value.starts_with('/') && value.contains("/tmp")) {
                std::fs::create_dir_all(path)?;
            }
        }
    }
    Ok(())
}

/// Processes that end with their groups when the value goes.
struct Group(Vec<Child>);

impl Drop for Group {
    fn drop(&mut self) {
        for child in &mut self.0 {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It may have ended already, and then there is nothing to kill.
                let _ended = kill_process_group(pid, Signal::KILL);
            }
            let _waited = child.wait();
        }
    }
}

/// Whether Flink says that a job is RUNNING with all its tasks.
fn is_running(port: u16) -> bool {
    let Ok(text) = get(port, "/jobs/overview") else { return false };
    let Some(body) = text.split_once("\r\n\r\n").map(|(_, body)| body) else { return false };
    let Ok(overview) = serde_json::from_str::<serde_json::Value>(body.trim()) else { return false };
    overview["jobs"].as_array().is_some_and(|jobs| {
        jobs.iter().any(|job| job["state"] == "RUNNING" && job["tasks"]["running"] == job["tasks"]["total"])
    })
}

fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut text = String::new();
    stream.take(1_000_000).read_to_string(&mut text)?;
    Ok(text)
}

/// The sizes of both binaries, and that of the small one beside its goal.
pub(crate) fn print_sizes(drey: &Path, small: &Path) -> Result<()> {
    println!("binary: {} bytes", std::fs::metadata(drey)?.len());
    println!(
        "binary with the command line alone: {} bytes, goal {SMALL_BYTES_MAX}",
        std::fs::metadata(small)?.len()
    );
    Ok(())
}

/// Sizes of the binaries, and the resident memory while one job runs.
pub(crate) fn size(args: &SizeArgs) -> Result<()> {
    print_sizes(&args.drey, &args.small)?;
    let temporary = tempfile::tempdir()?;
    let mut laptop = Laptop::new(&args.drey, &temporary.path().join("work"))?;
    let jar = std::fs::canonicalize(&args.jar)?;
    let job = LedgerJob::new(&args.flink, &jar, laptop.directory().join("ledger-output"));
    laptop.up()?;
    laptop.apply(&job.manifest())?;
    laptop.wait(NAME, "stable", START_TIMEOUT)?;
    laptop.wait(NAME, "checkpoint", START_TIMEOUT)?;
    let pid = laptop.pid().context("drey runs")?;
    let resident = Usage::of(pid)?.resident_bytes;
    println!("memory with one job running: {:.1} MB", resident as f64 / 1e6);
    laptop.down(&["--purge"])
}
