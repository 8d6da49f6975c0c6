//! What CI checks beside the tests. Each check says how to mend what it finds.

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::shell::{cargo, command, run};
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
        Check::Deny => deny(),
        Check::Generated => testbed::check_generated().and_then(|()| made_front_end()),
    }
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
    run(command("git", &["diff", "--exit-code", "--stat", "--", "ui/dist", "ui/src/api/schema.ts"]))
        .context("mend it with `cargo xtask generate`, and commit `ui`")?;
    let unknown = crate::shell::output(command("git", &["status", "--porcelain", "--", "ui/dist"]))?;
    anyhow::ensure!(unknown.trim().is_empty(), "files of ui/dist are not committed:\n{unknown}");
    Ok(())
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
