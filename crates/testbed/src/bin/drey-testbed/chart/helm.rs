//! The real Helm. Refuses to know what is in a chart.

use std::path::{Path, PathBuf};
use std::process::Command;

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
        let mut lint = self.command(&["lint", "--strict"]);
        lint.arg(&self.chart).arg("--values").arg(values);
        output(lint).map(drop)
    }

    /// The objects that these values make.
    pub(crate) fn template(&self, values: &Path) -> Result<Objects> {
        let mut template = self.command(&["template", "drey"]);
        template.arg(&self.chart).arg("--values").arg(values);
        Objects::parse(&output(template)?)
    }

    /// The objects that the chart's own values make with one more.
    pub(crate) fn template_with(&self, assignment: &str) -> Result<Objects> {
        let mut template = self.command(&["template", "drey"]);
        template.arg(&self.chart).args(["--set", assignment]);
        Objects::parse(&output(template)?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--namespace", RELEASE_NAMESPACE, "--kube-version", &self.kubernetes]);
        // No cluster is asked, and nobody's own settings count.
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
