//! What tests and demonstrations need on a machine: programs, drey itself, Flink distributions, the example jar. Each
//! is looked for first, then got; what cannot be got is named with the command that would get it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{COMMAND_LINE_ALONE, cargo, command, is_installed, output, run, target_directory};

/// Flink versions of the real-Flink tests: exact versions of the Python packages, minor version first.
pub(crate) const FLINK: &[(&str, &str)] = &[("1.20", "1.20.3"), ("2.1", "2.1.3")];

/// Directory that keeps what was fetched between runs.
pub(crate) fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("DREY_CACHE").filter(|cache| !cache.is_empty()) {
        return PathBuf::from(cache);
    }
    let xdg = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| ".".into()));
    xdg.unwrap_or_else(|| home().join(".cache")).join("drey")
}

/// Installs the programs of these Debian packages where they are missing.
pub(crate) fn programs(needed: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        needed.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = output(command("id", &["-u"]))?.trim() == "0";
    let line = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !is_root || !is_installed("apt-get") {
        bail!("missing on this machine: {}; install them: `sudo {line}`", missing.join(", "));
    }
    let mut update = command("apt-get", &["update", "--quiet"]);
    update.env("DEBIAN_FRONTEND", "noninteractive");
    run(update)?;
    let mut install = command("apt-get", &["install", "--yes", "--quiet", "--no-install-recommends"]);
    install.args(&missing).env("DEBIAN_FRONTEND", "noninteractive");
    run(install)
}

/// What building drey takes beside Rust and its linker.
pub(crate) fn build_programs() -> Result<()> {
    programs(&[("make", "make")])
}

/// The binary `drey` of a profile, built now.
pub(crate) fn build_drey(profile: &str) -> Result<PathBuf> {
    build_programs()?;
    run(cargo(&["build", "--package", "drey", "--profile", profile]))?;
    let directory = if profile == "dev" { "debug" } else { profile };
    Ok(target_directory()?.join(directory).join("drey"))
}

/// The binary `drey` with the command line alone, as small as it gets, built now.
pub(crate) fn build_small_drey() -> Result<PathBuf> {
    let mut build = cargo(&["build", "--locked", "--profile", "small"]);
    build.args(COMMAND_LINE_ALONE);
    run(build)?;
    Ok(target_directory()?.join("small/drey"))
}

/// What running Flink takes: a JDK, and `pip` to fetch distributions.
pub(crate) fn flink_programs() -> Result<()> {
    programs(&[("javac", "default-jdk-headless"), ("python3", "python3"), ("pip3", "python3-pip")])
}

/// The front end's directory, with the packages of its lock file installed.
pub(crate) fn front_end() -> Result<PathBuf> {
    programs(&[("node", "nodejs"), ("npm", "npm")])?;
    let directory = crate::shell::root().join("ui");
    let installed = directory.join("node_modules/.package-lock.json");
    let changed = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if changed(&installed) < changed(&directory.join("package-lock.json")) {
        let mut install = command("npm", &["ci", "--no-audit", "--no-fund"]);
        install.current_dir(&directory);
        run(install)?;
    }
    Ok(directory)
}

/// `FLINK_HOME` of an exact version, fetched into the cache when it is not there.
pub(crate) fn flink_home(version: &str) -> Result<PathBuf> {
    let home = cache().join("flink").join(version);
    if home.join("bin/flink").is_file() {
        return Ok(home);
    }
    let parent = home.parent().context("the cache has a parent")?;
    std::fs::create_dir_all(parent)?;
    let staging = parent.join(format!(".{version}.{}", std::process::id()));
    let mut install = command("python3", &["-m", "pip", "install", "--quiet", "--no-deps", "--target"]);
    // The one has the scripts of a distribution, the other its jars.
    install
        .arg(&staging)
        .args(["apache-flink", "apache-flink-libraries"].map(|name| format!("{name}=={version}")));
    let outcome = run(install).and_then(|()| adopt(&staging.join("pyflink"), &home));
    // What is left of the package is of no use, whatever came of it.
    let _absent = std::fs::remove_dir_all(&staging);
    outcome.with_context(|| format!("Flink {version} cannot be fetched"))?;
    Ok(home)
}

fn adopt(unpacked: &Path, home: &Path) -> Result<()> {
    if !unpacked.join("bin/flink").is_file() {
        bail!("the packages hold no `bin/flink`");
    }
    if home.exists() {
        // One that was not complete.
        std::fs::remove_dir_all(home)?;
    }
    let scripts = std::fs::read_dir(unpacked.join("bin")).context("the package holds no `bin`")?;
    for script in scripts {
        let path = script?.path();
        let mut executable = command("chmod", &["+x"]);
        executable.arg(&path);
        output(executable)?;
    }
    std::fs::rename(unpacked, home).with_context(|| format!("cannot move to {}", home.display()))
}

/// Every Flink of the tests, fetched.
pub(crate) fn all_flinks() -> Result<()> {
    FLINK.iter().try_for_each(|(_, exact)| flink_home(exact).map(drop))
}

/// The jar of the example jobs, compiled now. It lies where the YAMLs of the examples look for it.
pub(crate) fn example_jar() -> Result<PathBuf> {
    let (_, oldest) = FLINK.first().context("there is a Flink to compile against")?;
    let flink_home = flink_home(oldest)?;
    let jar = crate::shell::root().join("examples/jobs/examples.jar");
    let mut build = command("sh", &["examples/jobs/build.sh"]);
    build.arg(flink_home).arg(&jar);
    run(build)?;
    Ok(jar)
}
