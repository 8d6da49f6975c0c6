//! Builds drey for a machine that need not be this one, as one static file: Rust's own linker and C library (musl), and a
//! C compiler that has the headers of every machine. Refuses to know images.
//!
//! ```text
//!   rustup target ─► the standard library, musl ─┐
//!   Python package `ziglang` ─► cc, ar ──────────┴─► cargo build ─► drey
//! ```

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::binary::Architecture;
use crate::needs;
use crate::shell::{cargo, command, is_installed, output, root, run, target_directory};

/// Version of the Python package that holds the C compiler, for SQLite, ring and jemalloc.
const COMPILER_VERSION: &str = "0.17.1";

/// Builds drey and returns where it is.
pub(super) fn build(architecture: Architecture, profile: &str) -> Result<PathBuf> {
    let target = target(architecture);
    needs::build_programs()?;
    standard_library(&target)?;
    let compiler = compiler()?;
    let mut build = cargo(&["build", "--locked", "--package", "drey", "--bin", "drey"]);
    build.args(["--profile", profile, "--target", &target]);
    let variable = target.replace('-', "_");
    build.env(format!("CC_{variable}"), script(&compiler, architecture, "cc")?);
    build.env(format!("AR_{variable}"), script(&compiler, architecture, "ar")?);
    build.env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), "rust-lld");
    build.env("RUSTFLAGS", without_paths_of_this_machine()?);
    run(build)?;
    let directory = if profile == "dev" { "debug" } else { profile };
    Ok(target_directory()?.join(target).join(directory).join("drey"))
}

fn target(architecture: Architecture) -> String {
    format!("{}-unknown-linux-musl", architecture.name())
}

/// Rust's standard library for the target, fetched if it is not there.
fn standard_library(target: &str) -> Result<()> {
    let libraries = output(command("rustc", &["--print", "target-libdir", "--target", target]))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    if !is_installed("rustup") {
        bail!(
            "Rust's standard library for {target} is missing, and there is no `rustup` to add it: install it, or leave \
             this machine out with `--arch`"
        );
    }
    run(command("rustup", &["target", "add", target])).with_context(|| {
        format!("Rust's standard library for {target} is missing; leave this machine out with `--arch`")
    })
}

/// The program of the C compiler, fetched into the cache if it is not there.
fn compiler() -> Result<PathBuf> {
    let tools = needs::cache().join("tools");
    let directory = tools.join(format!("ziglang-{COMPILER_VERSION}"));
    let program = directory.join("ziglang/zig");
    if program.is_file() {
        return Ok(program);
    }
    needs::programs(&[("python3", "python3"), ("pip3", "python3-pip")])?;
    let staging = tools.join(format!(".ziglang-{COMPILER_VERSION}.{}", std::process::id()));
    std::fs::create_dir_all(&tools)?;
    let mut install = command("python3", &["-m", "pip", "install", "--quiet", "--no-deps", "--target"]);
    install.arg(&staging).arg(format!("ziglang=={COMPILER_VERSION}"));
    let outcome = run(install).and_then(|()| {
        std::fs::rename(&staging, &directory)
            .with_context(|| format!("cannot move to {}", directory.display()))
    });
    // It was moved, or is of no use.
    let _absent = std::fs::remove_dir_all(&staging);
    outcome.context("the C compiler for SQLite, ring and jemalloc cannot be fetched")?;
    Ok(program)
}

/// A program that stands for `cc` or `ar` of a machine. Names of targets are not the compiler's own ones, and build
/// scripts give them all the same.
fn script(compiler: &Path, architecture: Architecture, tool: &str) -> Result<PathBuf> {
    let directory = compiler.parent().context("a program has a directory")?;
    let (machine, zig) = (architecture.name(), compiler.display());
    let text = match tool {
        "cc" => format!(
            "#!/bin/sh\nfor word; do\n    shift\n    case $word in\n    --target=*) ;;\n    *) set -- \"$@\" \"$word\" ;;\n    \
             esac\ndone\nexec '{zig}' cc -target {machine}-linux-musl -fno-sanitize=undefined \"$@\"\n"
        ),
        other => format!("#!/bin/sh\nexec '{zig}' {other} \"$@\"\n"),
    };
    let path = directory.join(format!("{machine}-{tool}"));
    // Written once: a newer file would make cargo build everything again.
    if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(path);
    }
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Two machines make the same program, whatever their directories are called.
fn without_paths_of_this_machine() -> Result<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    Ok(format!(
        "--remap-path-prefix={}=/cargo --remap-path-prefix={}=/drey",
        home.display(),
        root().display()
    ))
}
