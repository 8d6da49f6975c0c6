//! What other tools of Kubernetes see of laptop mode: `kubectl` with `.drey/kubeconfig`, one command after
//! the other, over a job that runs and one that is suspended.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::laptop::Laptop;
use crate::ledger_job::{LedgerJob, NAME};
use crate::place::Place;
use crate::story::STABLE_TIMEOUT;

/// How long a command that waits may take.
const COMMAND_TIMEOUT: &str = "60s";

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
}

struct Tools {
    laptop: Laptop,
    passed: u64,
    failed: u64,
}

/// Runs every command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let mut laptop = Laptop::new(&args.drey, &temporary.path().join("work"))?;
    let jar = std::fs::canonicalize(&args.jar)?;
    let job = LedgerJob::new(&args.flink, &jar, laptop.directory().join("ledger-output"));
    std::fs::write(laptop.directory().join("ledger.yaml"), job.manifest().to_string())?;
    laptop.up()?;
    let mut tools = Tools { laptop, passed: 0, failed: 0 };
    tools.look_and_change();
    tools.delete();
    tools.laptop.down(&["--purge"])?;
    println!("{} passed, {} failed", tools.passed, tools.failed);
    if tools.failed > 0 {
        bail!("{} commands failed", tools.failed);
    }
    Ok(())
}

impl Tools {
    fn look_and_change(&mut self) {
        self.check("apply -f ledger.yaml", |out| {
            contains(out, "flinkdeployment.flink.apache.org/ledger created")
        });
        self.check(&format!("wait --for=condition=Ready flinkdep/{NAME} --timeout=240s"), |out| {
            contains(out, "condition met")
        });
        self.check("get flinkdep", |out| {
            contains(out, "JOB STATUS")?;
            contains(out, "LIFECYCLE STATE")?;
            contains(out, "STABLE")
        });
        self.check(&format!("get flinkdep {NAME} -o yaml"), |out| contains(out, "lifecycleState: STABLE"));
        self.check(&format!("describe flinkdep {NAME}"), |out| contains(out, "Events:"));
        self.check("api-resources --api-group=flink.apache.org", |out| contains(out, "flinkdeployments"));
        self.check("explain flinkdep.spec.job", |out| contains(out, "upgradeMode"));
        self.check(&format!("events --for flinkdeployment/{NAME}"), |out| contains(out, "Submit"));
        self.check("get configmaps", |out| contains(out, &format!("{NAME}-cluster-config-map")));
        self.check("apply -f ledger.yaml", |out| contains(out, "unchanged"));
        self.check(
            &format!("patch flinkdep {NAME} --type=merge -p {{\"metadata\":{{\"labels\":{{\"a\":\"1\"}}}}}}"),
            |out| contains(out, "patched"),
        );
        self.check(
            &format!("patch flinkdep {NAME} --type=json -p [{{\"op\":\"add\",\"path\":\"/metadata/labels/b\",\"value\":\"2\"}}]"),
            |out| contains(out, "patched"),
        );
        self.check("get flinkdep -l a=1,b=2 -o name", |out| contains(out, NAME));
        self.check(
            &format!("patch flinkdep {NAME} --subresource=status --type=merge -p {{\"status\":{{\"clusterInfo\":{{\"seen\":\"yes\"}}}}}}"),
            |out| contains(out, "patched"),
        );
        self.edit();
        self.check(&format!("scale flinkdep {NAME} --replicas=1"), |out| contains(out, "scaled"));
        self.check(
            &format!("wait --for=jsonpath={{.status.lifecycleState}}=STABLE flinkdep/{NAME} --timeout=240s"),
            |out| contains(out, "condition met"),
        );
        self.refused();
        self.watch();
    }

    /// An editor that changes the arguments of the job.
    fn edit(&mut self) {
        let script = self.laptop.directory().join("editor.sh");
        let written = std::fs::write(&script, "#!/bin/sh\nsed -i 's/- \"200\"/- \"210\"/' \"$1\"\n");
        let outcome = written.map_err(Into::into).and_then(|()| {
            let mut command = self.kubectl(&format!("edit flinkdep {NAME}"));
            command.env("KUBE_EDITOR", format!("sh {}", script.display()));
            finished(&command.output()?).and_then(|out| contains(&out, "edited"))
        });
        self.record("edit", outcome);
    }

    fn refused(&mut self) {
        let mut command = self.kubectl(&format!(
            "patch flinkdep {NAME} --type=merge -p {{\"spec\":{{\"job\":{{\"upgradeMode\":\"sideways\"}}}}}}"
        ));
        let outcome = command.output().context("kubectl").and_then(|output| {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(!output.status.success(), "an unknown upgradeMode was taken");
            contains(&errors, "spec.job.upgradeMode")
        });
        self.record("patch with an unknown word is refused", outcome);
    }

    fn watch(&mut self) {
        let outcome = self
            .kubectl("get flinkdep -w --request-timeout=2s")
            .output()
            .context("kubectl")
            .and_then(|output| contains(&String::from_utf8_lossy(&output.stdout), NAME));
        self.record("get -w", outcome);
    }

    fn delete(&mut self) {
        self.check(&format!("delete flinkdep {NAME} --wait --timeout={COMMAND_TIMEOUT}"), |out| {
            contains(out, "deleted")
        });
        let gone = self
            .laptop
            .wait_for("the processes to end", Duration::from_secs(30), |laptop| {
                Ok(laptop.records().is_empty().then_some(()))
            })
            .with_context(|| format!("after {} s", STABLE_TIMEOUT.as_secs()));
        self.record("nothing of it is left", gone);
    }

    fn kubectl(&self, line: &str) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.laptop.state_directory().join("kubeconfig"));
        command.args(line.split(' ')).current_dir(self.laptop.directory()).stdin(Stdio::null());
        command.env("KUBECACHEDIR", self.laptop.directory().join("kube-cache"));
        command
    }

    fn check(&mut self, line: &str, judge: impl FnOnce(&str) -> Result<()>) {
        let output = self.kubectl(line).output().context("kubectl cannot be started");
        let outcome = output.and_then(|output| finished(&output)).and_then(|out| judge(&out));
        self.record(line, outcome);
    }

    fn record(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok        kubectl {name}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED    kubectl {name}: {error:#}");
            }
        }
    }
}

fn finished(output: &Output) -> Result<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", output.status, errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn contains(text: &str, expected: &str) -> Result<()> {
    ensure!(text.contains(expected), "`{expected}` is not in: {}", text.trim());
    Ok(())
}
