//! `cargo xtask goldens`: records anew what Flink's own clients make of the cases of the golden tests, on a real API
//! server.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::needs;
use crate::shell::{cargo, command, root, run};

/// The versions that are recorded, and the distributions whose clients they are.
const CLIENTS: &[(&str, &str)] = &[("v1_18", "1.18.1"), ("v1_20", "1.20.3"), ("v2_1", "2.1.3")];

/// Takes a cluster of `cargo xtask kube up`. Nothing stays on it but a service account.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kubeconfig of the cluster
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: PathBuf,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    needs::flink_programs()?;
    needs::programs(&[("kubectl", "kubernetes-client")])?;
    let work = std::env::temp_dir().join(format!("drey-goldens-{}", std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let outcome = CLIENTS.iter().try_for_each(|(version, exact)| {
        let libraries = format!("{}/lib/*", needs::flink_home(exact)?.display());
        let classes = work.join(version);
        let mut compile = command("javac", &["-cp", &libraries, "-d"]);
        compile.arg(&classes).arg(root().join("crates/kubernetes/java/RecordCluster.java"));
        run(compile)?;
        let cases = classes.join("cases");
        std::fs::create_dir_all(&cases)?;
        let mut record = cargo(&["run", "--quiet", "--locked", "--package", "drey-kubernetes"]);
        record.args(["--example", "record-goldens", "--", version]);
        record.arg(format!("{}:{libraries}", classes.display())).arg(&args.kubeconfig).arg(&cases);
        run(record)
    });
    // It is of no use, whatever came of it.
    let _absent = std::fs::remove_dir_all(&work);
    outcome
}
