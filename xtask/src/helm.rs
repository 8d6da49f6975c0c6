//! `cargo xtask chart`, and Helm for it, built from its Go module into the cache. Refuses to know what a chart should be.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::lane::Lane;
use crate::shell::{command, is_installed, run};
use crate::{kube, needs, testbed};

/// The module of the program.
const PACKAGE: &str = "helm.sh/helm/v3/cmd/helm";
/// Its version. Go's checksum database vouches for what it is.
const VERSION: &str = "3.22.0";

/// Checks the chart alone, as the tests do.
pub(crate) fn check_chart() -> Result<()> {
    let programs = kube::prepare()?;
    let mut lane = Lane::default();
    testbed::chart(&program()?, &programs, &mut lane)?;
    println!("{} passed, {} failed", lane.counts.passed, lane.counts.failed);
    if lane.counts.failed > 0 {
        bail!("{} failed", lane.counts.failed);
    }
    Ok(())
}

/// The program, built into the cache when it is not there.
pub(crate) fn program() -> Result<PathBuf> {
    let tools = needs::cache().join("tools");
    let directory = tools.join(format!("helm-{VERSION}"));
    let program = directory.join("helm");
    if program.is_file() {
        return Ok(program);
    }
    if !is_installed("go") {
        bail!("Helm is built by Go 1.25 or newer, and there is no `go`: install it from https://go.dev/dl/");
    }
    let staging = tools.join(format!(".helm-{VERSION}.{}", std::process::id()));
    std::fs::create_dir_all(&staging)?;
    eprintln!("building Helm {VERSION}: minutes when it is the first time");
    let mut install = command("go", &["install", &format!("{PACKAGE}@v{VERSION}")]);
    install.env("GOBIN", &staging).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    let outcome = run(install).and_then(|()| {
        std::fs::create_dir_all(&directory)?;
        std::fs::rename(staging.join("helm"), &program)
            .with_context(|| format!("cannot move to {}", program.display()))
    });
    // It was emptied, or is of no use.
    let _absent = std::fs::remove_dir_all(&staging);
    outcome?;
    Ok(program)
}
