//! `cargo xtask kube`: builds etcd, kube-apiserver and kube-controller-manager from their Go modules into the cache, and
//! starts and stops clusters of them.
//!
//! ```text
//!   crates/testbed/kube/go.mod ─► go build ─► <cache>/kube/.building-<pid> ─► <cache>/kube/<version>/bin
//! ```
//! A finished build holds the `go.mod` that it was made from: another one, and it is made again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::needs;
use crate::shell::{command, is_installed, output, root, run};
use crate::testbed::testbed;

/// The modules, below the root of the repository.
const MODULE: &str = "crates/testbed/kube";
/// Packages, and what their programs are called in the cache.
const PROGRAMS: &[(&str, &str)] = &[
    ("go.etcd.io/etcd/server/v3", "etcd"),
    ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
    ("k8s.io/kubernetes/cmd/kube-controller-manager", "kube-controller-manager"),
];
/// Begins the names of directories in which a build is under way; the pid of the builder follows.
const STAGING_PREFIX: &str = ".building-";
/// The module whose version is that of the cluster.
const KUBERNETES: &str = "k8s.io/kubernetes";
/// What version numbers are linked into.
const VERSION_PACKAGE: &str = "k8s.io/component-base/version";

/// A real Kubernetes control plane on this machine: etcd, API server, controller manager.
#[derive(Debug, Subcommand)]
pub(crate) enum Chore {
    /// Build the programs into the cache, and print where they are
    Build,
    /// Start a cluster that stays, and print its kubeconfig
    Up(Up),
    /// Take a cluster away
    Down(Name),
    /// Say which clusters there are and what of them runs
    Status {
        /// Only this cluster
        #[arg(long)]
        name: Option<String>,
    },
    /// Write down anew what the real API server answers to the conformance probes
    Record,
}

/// The name of a cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Name {
    /// Name of the cluster
    #[arg(long, default_value = "drey")]
    name: String,
}

/// How to start.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    name: Name,
    /// Run also the controller that deletes pods whose Node object is missing
    #[arg(long)]
    pod_garbage_collector: bool,
}

pub(crate) fn execute(chore: &Chore) -> Result<()> {
    match chore {
        Chore::Build => {
            println!("export DREY_TEST_KUBE={}", programs()?.display());
            Ok(())
        }
        Chore::Up(up) => {
            let programs = prepare()?;
            let mut start = testbed("dev", &["kube", "up", "--name", &up.name.name]);
            if up.pod_garbage_collector {
                start.arg("--pod-garbage-collector");
            }
            start.arg("--programs").arg(programs);
            run(start)
        }
        Chore::Down(name) => run(testbed("dev", &["kube", "down", "--name", &name.name])),
        Chore::Status { name: Some(name) } => run(testbed("dev", &["kube", "status", "--name", name])),
        Chore::Status { name: None } => run(testbed("dev", &["kube", "status"])),
        Chore::Record => {
            let mut record = testbed("dev", &["conformance", "--record", "--programs"]);
            record.arg(prepare()?);
            run(record)
        }
    }
}

/// What starting clusters takes; the directory of the programs.
pub(crate) fn prepare() -> Result<PathBuf> {
    if !cfg!(target_os = "linux") || output(command("id", &["-u"]))?.trim() != "0" {
        bail!("a real Kubernetes takes root on Linux: each cluster has a bridge of its own");
    }
    needs::programs(&[("ip", "iproute2"), ("kubectl", "kubernetes-client")])?;
    programs()
}

/// The directory of the programs, built into the cache when they are not there.
fn programs() -> Result<PathBuf> {
    let module = root().join(MODULE);
    let manifest = std::fs::read_to_string(module.join("go.mod")).context("the modules are committed")?;
    let version = version(&manifest).with_context(|| format!("{MODULE}/go.mod requires no {KUBERNETES}"))?;
    let parent = needs::cache().join("kube");
    let programs = parent.join(version).join("bin");
    if is_built_from(&programs, &manifest) {
        return Ok(programs);
    }
    if !is_installed("go") {
        bail!(
            "Kubernetes is built by Go 1.25 or newer, and there is no `go`: install it from https://go.dev/dl/, \
             or by `apt-get install golang-go` where that is new enough"
        );
    }
    sweep(&parent)?;
    let staging = parent.join(format!("{STAGING_PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&staging)?;
    eprintln!("building Kubernetes {version} and etcd: minutes when it is the first time");
    let outcome = build(&module, version, &staging).and_then(|()| {
        std::fs::write(staging.join("go.mod"), &manifest)?;
        adopt(&staging, &programs)
    });
    // It was moved, or is of no use.
    let _absent = std::fs::remove_dir_all(&staging);
    outcome?;
    Ok(programs)
}

fn is_built_from(programs: &Path, manifest: &str) -> bool {
    let made_from = std::fs::read_to_string(programs.join("go.mod"));
    made_from.is_ok_and(|made_from| made_from == manifest)
        && PROGRAMS.iter().all(|(_, name)| programs.join(name).is_file())
}

fn build(module: &Path, version: &str, staging: &Path) -> Result<()> {
    let (major, rest) = version.split_once('.').context("versions have dots")?;
    let (minor, _) = rest.split_once('.').context("versions have two dots")?;
    let stamps = [
        ("gitVersion", format!("v{version}")),
        ("gitMajor", major.to_owned()),
        ("gitMinor", minor.to_owned()),
    ];
    let stamps = stamps.map(|(name, value)| format!(" -X {VERSION_PACKAGE}.{name}={value}")).concat();
    for (position, (package, name)) in PROGRAMS.iter().enumerate() {
        eprintln!("{} of {}: {name}", position + 1, PROGRAMS.len());
        let mut build = command("go", &["build", "-mod=readonly", "-buildvcs=false", "-ldflags"]);
        build.arg(format!("-s -w{stamps}")).arg("-o").arg(staging.join(name)).arg(package);
        build.current_dir(module).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
        run(build)?;
    }
    Ok(())
}

/// Moves a finished build to its place, also where an older or a half one is.
fn adopt(staging: &Path, programs: &Path) -> Result<()> {
    let aside = staging.with_extension("replaced");
    std::fs::create_dir_all(programs.parent().context("the cache has a parent")?)?;
    if programs.exists() {
        std::fs::rename(programs, &aside)?;
    }
    std::fs::rename(staging, programs).with_context(|| format!("cannot move to {}", programs.display()))?;
    // Clusters that run on the old programs go on: their files stay until they end.
    let _absent = std::fs::remove_dir_all(&aside);
    Ok(())
}

/// Removes what builds have left that were killed.
fn sweep(parent: &Path) -> Result<()> {
    std::fs::create_dir_all(parent)?;
    for entry in std::fs::read_dir(parent)? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(STAGING_PREFIX)?.split('.').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            std::fs::remove_dir_all(parent.join(name))?;
        }
    }
    Ok(())
}

/// The version of Kubernetes that a `go.mod` requires.
fn version(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next()? == KUBERNETES).then(|| words.next()?.strip_prefix('v')).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_module() {
        let manifest = std::fs::read_to_string(root().join(MODULE).join("go.mod")).unwrap();
        let version = version(&manifest).unwrap();
        assert_eq!(version.split('.').count(), 3, "{version}");
        for (package, _) in PROGRAMS {
            assert!(manifest.contains(package), "{package} is no tool of the module");
        }
    }

    #[test]
    fn a_build_counts_when_it_is_whole_and_of_these_modules() {
        let directory = std::env::temp_dir().join(format!("drey-kube-build-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("go.mod"), "module a\n").unwrap();
        assert!(!is_built_from(&directory, "module a\n"));
        for (_, name) in PROGRAMS {
            std::fs::write(directory.join(name), "").unwrap();
        }
        assert!(is_built_from(&directory, "module a\n"));
        assert!(!is_built_from(&directory, "module b\n"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
