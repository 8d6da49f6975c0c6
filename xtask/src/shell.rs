//! Running other programs, visibly.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the repository that `cargo run` was called in. Several clones may share one target directory, so that
/// where this was compiled says nothing.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().expect("xtask is a directory of the workspace").to_owned()
}

/// A command that runs in the root of the repository, with nothing to read.
pub(crate) fn command<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// The same `cargo` that runs us, without what it told us of our own package: build scripts that look at that, such as
/// ring's, would run again each time, and most of the workspace be built again after them.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut cargo = command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_our_package) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Whether cargo sets this variable anew for each package that it builds or runs.
fn is_of_our_package(variable: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    prefixes.iter().any(|prefix| variable.starts_with(prefix))
}

/// What of the workspace is built where only the command line is wanted.
pub(crate) const COMMAND_LINE_ALONE: [&str; 5] =
    ["--package", "drey", "--no-default-features", "--features", "cli"];

/// Shows a command, runs it, and fails when it does.
pub(crate) fn run(mut command: Command) -> Result<()> {
    eprintln!("$ {}", shown(&command));
    let status = command.status().with_context(|| format!("`{}` cannot be started", shown(&command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(&command));
    }
    Ok(())
}

/// Standard output of a command that must succeed.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("`{}` cannot be started", shown(&command)))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", shown(&command), output.status, errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = output(cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("cargo metadata is JSON")?;
    let target =
        metadata["target_directory"].as_str().context("cargo metadata names the target directory")?;
    Ok(PathBuf::from(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_tells_cargo_is_passed_on_and_what_cargo_tells_us_is_not() {
        for variable in
            ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL", "CARGO_PROFILE_DEV_DEBUG", "CARGO"]
        {
            assert!(!is_of_our_package(variable), "{variable}");
        }
        // Cargo has set this one for the test itself.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let passed = cargo(&["version"]);
        let taken: Vec<_> =
            passed.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert!(taken.contains(&OsStr::new("CARGO_MANIFEST_DIR")), "{taken:?}");
    }
}
