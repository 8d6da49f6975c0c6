//! `cargo xtask krew`: the archives and the manifest by which krew installs `kubectl drey`. Refuses to build programs and
//! to publish anything.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::shell::{root, target_directory};

/// Name of the program that `kubectl drey` looks for.
const PROGRAM: &str = "kubectl-drey";

/// Write the archives and the manifest of the kubectl plug-in.
///
/// The same programs make the same archives. The manifest is JSON, which is YAML.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A program with its system, such as `linux/amd64=target/release/drey`
    #[arg(long, value_name = "SYSTEM=FILE", required = true, value_parser = program)]
    binary: Vec<(String, PathBuf)>,
    /// Address of the directory that the archives will be downloaded from
    #[arg(long, value_name = "ADDRESS")]
    base: String,
    /// Directory that they are written to; `krew` in cargo's target directory when it is not given
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Reads `linux/amd64=FILE`.
fn program(text: &str) -> Result<(String, PathBuf), String> {
    let known =
        |system: &str| matches!(system.split_once('/'), Some(("linux" | "darwin", "amd64" | "arm64")));
    match text.split_once('=') {
        Some((system, file)) if known(system) && !file.is_empty() => Ok((system.to_owned(), file.into())),
        Some(_) | None => {
            Err("expected `linux/amd64=FILE`; systems are linux and darwin, amd64 and arm64".to_owned())
        }
    }
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let directory = match &args.output {
        Some(directory) => std::env::current_dir()?.join(directory),
        None => target_directory()?.join("krew"),
    };
    ensure!(args.base.starts_with("https://"), "krew downloads by https: {}", args.base);
    std::fs::create_dir_all(&directory)?;
    let license = std::fs::read(root().join("LICENSE")).context("LICENSE")?;
    let mut platforms = Vec::new();
    for (system, file) in &args.binary {
        let content = std::fs::read(file).with_context(|| file.display().to_string())?;
        let archive = archive(&content, &license)?;
        let name = format!("{PROGRAM}-{}.tar.gz", system.replace('/', "-"));
        std::fs::write(directory.join(&name), &archive)?;
        platforms.push(platform(system, &format!("{}/{name}", args.base.trim_end_matches('/')), &archive)?);
    }
    let manifest = directory.join("drey.yaml");
    std::fs::write(&manifest, format!("{:#}\n", manifest_of(&platforms)))?;
    println!("{}", manifest.display());
    try_out(&directory, &args.binary)
}

fn archive(program: &[u8], license: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (path, content, mode) in [(PROGRAM, program, 0o755), ("LICENSE", license, 0o644)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content)?;
    }
    Ok(archive.into_inner()?.finish()?)
}

fn platform(system: &str, uri: &str, archive: &[u8]) -> Result<Value> {
    let (os, arch) = system.split_once('/').context("a system has two words")?;
    let sum: String = Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({
        "selector": { "matchLabels": { "os": os, "arch": arch } },
        "uri": uri,
        "sha256": sum,
        "bin": PROGRAM,
        "files": [{ "from": PROGRAM, "to": "." }, { "from": "LICENSE", "to": "." }],
    }))
}

fn manifest_of(platforms: &[Value]) -> Value {
    json!({
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": { "name": "drey" },
        "spec": {
            "version": format!("v{}", env!("CARGO_PKG_VERSION")),
            "shortDescription": "Deploy, watch and mend Apache Flink jobs",
            "description": "Lists, describes, upgrades, rescales, suspends and restores FlinkDeployments; waits \
                            until they run, says what they wait for, and finds what keeps them from running.",
            "caveats": "Works with the CRDs of flink.apache.org/v1beta1, whichever operator acts on them.",
            "platforms": platforms,
        },
    })
}

/// What this machine can run is unpacked and called as krew would.
fn try_out(directory: &Path, programs: &[(String, PathBuf)]) -> Result<()> {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let own = format!("{}/{arch}", if cfg!(target_os = "macos") { "darwin" } else { "linux" });
    if !programs.iter().any(|(system, _)| *system == own) {
        return Ok(());
    }
    let archive = directory.join(format!("{PROGRAM}-{}.tar.gz", own.replace('/', "-")));
    let unpacked = directory.join(".unpacked");
    let unpack = || -> Result<()> {
        let reader = flate2::read::GzDecoder::new(std::fs::File::open(&archive)?);
        tar::Archive::new(reader).unpack(&unpacked)?;
        let output = std::process::Command::new(unpacked.join(PROGRAM)).arg("--help").output()?;
        if !String::from_utf8_lossy(&output.stdout).contains("Usage: kubectl drey") {
            bail!("the program in {} does not know that it is a plug-in", archive.display());
        }
        Ok(())
    };
    let outcome = unpack();
    if unpacked.exists() {
        std::fs::remove_dir_all(&unpacked)?;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_and_its_program() {
        assert_eq!(program("linux/arm64=a"), Ok(("linux/arm64".to_owned(), "a".into())));
        for text in ["linux=a", "plan9/amd64=a", "linux/amd64=", "a"] {
            assert!(program(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_manifest_says_what_krew_checks() {
        let archive = archive(b"program", b"license").expect("packed");
        assert_eq!(archive, super::archive(b"program", b"license").expect("packed"), "the same each time");
        let platform =
            platform("linux/amd64", "https://example/kubectl-drey.tar.gz", &archive).expect("known");
        let manifest = manifest_of(&[platform]);
        let first = &manifest["spec"]["platforms"][0];
        assert_eq!(first["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(first["selector"]["matchLabels"]["arch"], "amd64");
        let words = manifest["spec"]["shortDescription"].as_str().unwrap_or_default();
        assert!(words.len() < 50 && !words.to_lowercase().contains("kubectl"), "{words}");
        assert!(manifest["spec"]["version"].as_str().is_some_and(|version| version.starts_with("v0.")));
    }
}
