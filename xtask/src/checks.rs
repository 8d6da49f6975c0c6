//! What CI checks beside the tests. Each check says how to mend what it finds.

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::shell::{COMMAND_LINE_ALONE, cargo, command, root, run};
use crate::{needs, testbed};

/// Check format, lints, dependencies and generated files.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these
    #[arg(value_enum)]
    checks: Vec<Check>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Check {
    /// rustfmt
    Format,
    /// clippy on all targets, warnings denied
    Lint,
    /// clippy on the command line alone, and its size
    Small,
    /// cargo-deny: duplicate versions, licences, sources
    Deny,
    /// Generated files equal what the code generates
    Generated,
}

pub(crate) fn run_check(check: &str) -> Result<()> {
    let check = Check::from_str(check, true).map_err(|error| anyhow::anyhow!(error))?;
    one(check)
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let all = Check::value_variants();
    let chosen = if args.checks.is_empty() { all } else { &args.checks };
    chosen.iter().try_for_each(|check| one(*check))
}

fn one(check: Check) -> Result<()> {
    match check {
        Check::Format => run(cargo(&["fmt", "--all", "--check"])).context("mend it with `cargo fmt --all`"),
        Check::Lint => run(cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ])),
        Check::Small => small(),
        Check::Deny => deny(),
        Check::Generated => {
            testbed::check_generated()?;
            made_manual()?;
            made_front_end()
        }
    }
}

/// The most that the command line alone may have, in bytes: what it has, and a little. The goal is half of it.
const SMALL_BYTES_MAX: u64 = 10_500_000;

/// That the command line goes on to compile without the rest, and does not grow unseen.
fn small() -> Result<()> {
    let mut clippy = cargo(&["clippy", "--locked"]);
    clippy.args(COMMAND_LINE_ALONE).args(["--", "--deny", "warnings"]);
    run(clippy)?;
    let bytes = std::fs::metadata(needs::build_small_drey()?)?.len();
    println!("the command line alone: {bytes} bytes, of at most {SMALL_BYTES_MAX}");
    anyhow::ensure!(
        bytes <= SMALL_BYTES_MAX,
        "the command line alone has grown; `cargo xtask bench size` says how"
    );
    Ok(())
}

/// Where the pages of the manual are.
const MANUAL: &str = "docs/manual";

/// Makes the manual by the binary itself, which alone has the whole command line. Pages of commands that are gone go.
pub(crate) fn make_manual() -> Result<()> {
    let drey = needs::build_drey("dev")?;
    let drey = drey.to_str().context("the target directory has a name in UTF-8")?;
    let pages = root().join(MANUAL);
    if pages.exists() {
        std::fs::remove_dir_all(&pages)?;
    }
    run(command(drey, &["manual", "--format", "markdown", "--output", MANUAL]))
}

fn made_manual() -> Result<()> {
    make_manual()?;
    must_be_committed(&[MANUAL], MANUAL)
}

/// What was made now is what is committed.
fn must_be_committed(made: &[&str], commit: &str) -> Result<()> {
    let mut difference = command("git", &["diff", "--exit-code", "--stat", "--"]);
    difference.args(made);
    run(difference).with_context(|| format!("mend it with `cargo xtask generate`, and commit `{commit}`"))?;
    let mut status = command("git", &["status", "--porcelain", "--"]);
    status.args(made);
    let unknown = crate::shell::output(status)?;
    anyhow::ensure!(unknown.trim().is_empty(), "generated files are not committed:\n{unknown}");
    Ok(())
}

/// Makes what of the front end is made: the types of the server's answers, and the pages as they are served.
pub(crate) fn make_front_end() -> Result<()> {
    front_end(&["types", "build"])
}

fn front_end(scripts: &[&str]) -> Result<()> {
    let ui = needs::front_end()?;
    for script in scripts {
        let mut npm = command("npm", &["run", "--silent", script]);
        npm.current_dir(&ui);
        run(npm)?;
    }
    Ok(())
}

/// What of the front end is made is what its sources make.
fn made_front_end() -> Result<()> {
    front_end(&["types", "check", "test", "build"])?;
    must_be_committed(&["ui/dist", "ui/src/api/schema.ts"], "ui")
}

fn deny() -> Result<()> {
    let tools = needs::cache().join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install = cargo(&["install", "--locked", "cargo-deny", "--root"]);
        // The tool's own build must not fill the project's target directory.
        install.arg(&tools).env_remove("CARGO_TARGET_DIR");
        run(install)?;
    }
    let program = program.to_str().context("the cache directory has a name in UTF-8")?;
    run(command(program, &["--workspace", "check", "bans", "licenses", "sources"]))
}
