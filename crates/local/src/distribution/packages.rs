//! Flink from its Python packages, by the `pip` client, which checks what it downloads: `apache-flink-libraries`
//! has the jars of a distribution, `apache-flink` its scripts.
//!
//! It refuses to know package registries: where packages come from is the configuration of `pip`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use drey_flink::limits::shorten;
use tokio::process::Command;

use super::{Progress, Report, Unpacked};
use crate::{atomic_file, limits};

/// Python versions for which releases of Flink have packages. Only scripts are taken from them, which are the same
/// in all, so that it does not matter which Python is here.
const PYTHON_VERSIONS: [&str; 5] = ["311", "310", "39", "38", "37"];

/// Why there is no distribution from packages.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackagesError {
    /// Not to be tried.
    #[error("no Python is configured")]
    NoPython,
    /// A program failed.
    #[error("`{program}` failed: {reason}")]
    Program {
        /// What was run.
        program: String,
        /// The end of what it said.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("`{path}`: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Fetches both packages and puts them together. The result is a directory that is not yet in its place.
pub(super) async fn fetch(
    python: Option<&Path>,
    release: &str,
    cache: &Path,
    report: &Report,
) -> Result<Unpacked, PackagesError> {
    let python = python.ok_or(PackagesError::NoPython)?;
    let fetching = cache.join(format!(".fetch-{release}-packages"));
    let io_error = |source| PackagesError::Io { path: fetching.clone(), source };
    // `pip` begins anew each time; what an earlier attempt left could be anything.
    atomic_file::remove_directory(&fetching).map_err(io_error)?;
    atomic_file::create_private_directory(&fetching).map_err(io_error)?;
    match fetch_into(python, release, &fetching, report).await {
        Ok(home) => Ok(Unpacked { home, fetching }),
        Err(error) => {
            atomic_file::remove_directory(&fetching).map_err(io_error)?;
            Err(error)
        }
    }
}

async fn fetch_into(
    python: &Path,
    release: &str,
    directory: &Path,
    report: &Report,
) -> Result<PathBuf, PackagesError> {
    let (libraries, wheels, scripts) =
        (directory.join("libraries"), directory.join("wheels"), directory.join("scripts"));
    report(Progress::Package(format!("apache-flink=={release}")));
    fetch_scripts(python, release, &wheels).await?;
    // A wheel is a zip file.
    let wheel = only_file(&wheels)?;
    run(python, &["-m", "zipfile", "-e", &wheel.to_string_lossy(), &scripts.to_string_lossy()]).await?;
    report(Progress::Package(format!("apache-flink-libraries=={release}")));
    let package = format!("apache-flink-libraries=={release}");
    let target = libraries.to_string_lossy().into_owned();
    run(
        python,
        &["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", &target, &package],
    )
    .await?;
    let home = libraries.join("pyflink");
    for part in ["bin", "conf"] {
        merge(&scripts.join("pyflink").join(part), &home.join(part))?;
    }
    make_executable(&home.join("bin"))?;
    Ok(home)
}

async fn fetch_scripts(python: &Path, release: &str, wheels: &Path) -> Result<(), PackagesError> {
    let package = format!("apache-flink=={release}");
    let target = wheels.to_string_lossy().into_owned();
    let mut last = Err(PackagesError::NoPython);
    for version in PYTHON_VERSIONS {
        let abi = if version == "37" { "cp37m".to_owned() } else { format!("cp{version}") };
        let arguments = [
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--implementation",
            "cp",
            "--python-version",
            version,
            "--abi",
            &abi,
            "--platform",
            "manylinux1_x86_64",
            "--platform",
            "manylinux2014_x86_64",
            "--dest",
            &target,
            &package,
        ];
        last = run(python, &arguments).await;
        if last.is_ok() {
            break;
        }
    }
    last
}

async fn run(program: &Path, arguments: &[&str]) -> Result<(), PackagesError> {
    let shown =
        format!("{} {}", program.display(), arguments.iter().take(3).copied().collect::<Vec<_>>().join(" "));
    let failed = |reason: String| PackagesError::Program { program: shown.clone(), reason };
    let mut command = Command::new(program);
    command.args(arguments).env("PIP_DISABLE_PIP_VERSION_CHECK", "1").env("PIP_NO_INPUT", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ran = tokio::time::timeout(limits::PACKAGE_DEADLINE, command.output()).await;
    let output =
        ran.map_err(|_| failed("it took too long".to_owned()))?.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let error = text.lines().rev().find(|line| line.contains("ERROR")).or_else(|| text.lines().last());
    Err(failed(shorten(error.unwrap_or("it said nothing"), limits::CAUSE_BYTES_MAX)))
}

fn only_file(directory: &Path) -> Result<PathBuf, PackagesError> {
    let io_error = |source| PackagesError::Io { path: directory.to_owned(), source };
    let mut entries = fs::read_dir(directory).map_err(io_error)?;
    let first = entries.next().ok_or_else(|| io_error(io::ErrorKind::NotFound.into()))?;
    first.map(|entry| entry.path()).map_err(io_error)
}

/// Moves the files of a directory into another.
fn merge(from: &Path, to: &Path) -> Result<(), PackagesError> {
    let io_error = |source| PackagesError::Io { path: from.to_owned(), source };
    fs::create_dir_all(to).map_err(io_error)?;
    for entry in fs::read_dir(from).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        fs::rename(entry.path(), to.join(entry.file_name())).map_err(io_error)?;
    }
    Ok(())
}

/// Modes do not survive in a wheel.
fn make_executable(directory: &Path) -> Result<(), PackagesError> {
    let io_error = |source| PackagesError::Io { path: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(io_error)?;
    }
    Ok(())
}
