//! `cargo xtask demo`: the first thing that a visitor runs. It builds drey, gets Flink, compiles the
//! example jobs, runs one of them and shows its results growing.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::needs;
use crate::shell::{output, root, run};

/// How long the job may take to write its first results.
const RESULTS_TIMEOUT: Duration = Duration::from_secs(180);
/// How often the results are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How many times the growing results are shown before the job is left alone.
const LOOKS: u32 = 4;

/// Build drey, get Flink, compile the example jobs and run one of them.
///
/// On a terminal it stays until Ctrl-C; otherwise it leaves the job running in the background and says how
/// to stop it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory to run in; `.drey/` and the results of the job are made there
    #[arg(long, default_value = "target/demo")]
    directory: PathBuf,
    /// Cargo profile of the binary
    #[arg(long, default_value = "release")]
    profile: String,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    needs::flink_programs()?;
    let drey = needs::build_drey(&args.profile)?;
    needs::example_jar()?;
    let directory = root().join(&args.directory);
    std::fs::create_dir_all(&directory)?;
    let job = root().join("examples/ledger.yaml");
    let began = Instant::now();
    if std::io::stdout().is_terminal() {
        on_a_terminal(&drey, &directory, &job)
    } else {
        in_the_background(&drey, &directory, &job, began)
    }
}

/// The live table is drey's own; Ctrl-C reaches it directly.
fn on_a_terminal(drey: &Path, directory: &Path, job: &Path) -> Result<()> {
    println!("results: {}", results(directory).display());
    let mut up = Command::new(drey).arg("up").arg(job).current_dir(directory).spawn()?;
    let outcome = wait(&mut up);
    println!("go on with `{} up` in {}", drey.display(), directory.display());
    outcome
}

fn wait(up: &mut Child) -> Result<()> {
    let status = up.wait()?;
    if !status.success() {
        bail!("drey ended with {status}");
    }
    Ok(())
}

fn in_the_background(drey: &Path, directory: &Path, job: &Path, began: Instant) -> Result<()> {
    let command = |arguments: &[&str]| {
        let mut command = Command::new(drey);
        command.args(arguments).current_dir(directory).env_remove("KUBECONFIG");
        command
    };
    let mut up = command(&["up", "--detach"]);
    up.arg(job);
    run(up)?;
    run(command(&["wait", "ledger", "--for", "stable", "--timeout", "10m"]))?;
    println!("RUNNING after {:.1} s", began.elapsed().as_secs_f64());
    show_results(&results(directory))?;
    print!("{}", output(command(&["describe", "ledger"]))?);
    println!("results grow in {}", results(directory).display());
    println!("look:  cd {} && {} get -w", directory.display(), drey.display());
    println!("stop:  {} down --dir {}", drey.display(), directory.display());
    println!("clean: {} down --purge --dir {}", drey.display(), directory.display());
    Ok(())
}

fn results(directory: &Path) -> PathBuf {
    directory.join("ledger-output")
}

fn show_results(directory: &Path) -> Result<()> {
    let began = Instant::now();
    let mut shown = 0;
    let mut last = 0;
    while shown < LOOKS {
        let lines = lines_below(directory).unwrap_or(0);
        if lines > last {
            println!("{lines} lines of results");
            (last, shown) = (lines, shown + 1);
        } else if began.elapsed() > RESULTS_TIMEOUT {
            bail!("the job has written nothing new to {}", directory.display());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Lines in committed files; those that a checkpoint has not committed begin with a dot.
fn lines_below(directory: &Path) -> Result<usize> {
    let mut lines = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            lines += lines_below(&path)?;
        } else {
            let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
            if !name.starts_with('.') {
                lines += std::fs::read_to_string(&path)?.lines().count();
            }
        }
    }
    Ok(lines)
}
