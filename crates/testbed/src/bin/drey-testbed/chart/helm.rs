//! The real Helm. Refuses to know what is in a chart.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::objects::Objects;

/// The namespace that the chart is installed into.
pub(crate) const RELEASE_NAMESPACE: &str = "drey-system";

/// A Helm, and the chart that it renders.
pub(crate) struct Helm {
    /// The program.
    pub(crate) program: PathBuf,
    /// Directory of the chart.
    pub(crate) chart: PathBuf,
    /// Version of Kubernetes that is rendered for.
    pub(crate) kubernetes: String,
}

impl Helm {
    /// Warnings count as errors.
    pub(crate) fn lint(&self, values: &Path) -> Result<()> {
        let mut lint = self.for_version(&["lint", "--strict"]);
        lint.arg(&self.chart).arg("--values").arg(values);
        output(lint).map(drop)
    }

    /// The objects that these values make.
    pub(crate) fn template(&self, values: &Path) -> Result<Objects> {
        let mut template = self.for_version(&["template", "drey"]);
        template.arg(&self.chart).arg("--values").arg(values);
        Objects::parse(&output(template)?)
    }

    /// The objects that the chart's own values make with one more.
    pub(crate) fn template_with(&self, assignment: &str) -> Result<Objects> {
        let mut template = self.for_version(&["template", "drey"]);
        template.arg(&self.chart).args(["--set", assignment]);
        Objects::parse(&output(template)?)
    }

    /// Installs the chart into a cluster and waits until all of it is ready.
    pub(crate) fn install(&self, kubeconfig: &Path, assignments: &[&str], timeout: Duration) -> Result<()> {
        let mut install = self.command(&["install", "drey"]);
        install.arg(&self.chart).args(["--create-namespace", "--wait", "--timeout"]);
        install.arg(format!("{}s", timeout.as_secs())).arg("--kubeconfig").arg(kubeconfig);
        for assignment in assignments {
            install.args(["--set", assignment]);
        }
        output(install).map(drop)
    }

    /// Takes away what was installed.
    pub(crate) fn uninstall(&self, kubeconfig: &Path, timeout: Duration) -> Result<()> {
        let timeout = format!("{}s", timeout.as_secs());
        let mut uninstall = self.command(&["uninstall", "drey", "--wait", "--timeout", &timeout]);
        uninstall.arg("--kubeconfig").arg(kubeconfig);
        output(uninstall).map(drop)
    }

    /// Where no cluster tells its version.
    fn for_version(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.args(["--kube-version", &self.kubernetes]);
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--namespace", RELEASE_NAMESPACE]);
        // Nobody's own settings count, and no cluster is asked but the one that is named.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("HELM_") || name == "KUBECONFIG") {
                command.env_remove(name);
            }
        }
        command
    }
}

fn output(mut command: Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{}{}", out, err.trim());
    }
    String::from_utf8(output.stdout).context("Helm writes UTF-8")
}
