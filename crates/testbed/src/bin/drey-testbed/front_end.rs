//! The dashboard as a process of its own, and walks through a dashboard in a real Chromium. The walks themselves are the
//! front end's own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use drey_testbed::usage::Usage;

/// `drey dashboard`. Dropping it kills it.
pub(crate) struct Dashboard {
    child: Child,
    /// Where it is, base path included, with a slash at the end.
    pub(crate) address: String,
}

impl Dashboard {
    pub(crate) fn start(drey: &Path, kubeconfig: &Path, args: &[&str]) -> Result<Dashboard> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(drey).arg("dashboard").args(args);
        command
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().context("drey cannot be started")?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut first = String::new();
        BufReader::new(output).read_line(&mut first)?;
        let address = first.split_whitespace().last().context("drey says where the dashboard is")?.to_owned();
        ensure!(!address.contains("token"), "an address that lets in was printed: {address}");
        Ok(Dashboard { child, address })
    }

    /// What it uses.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Ok(Usage::of(self.child.id())?)
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Walks through the dashboard at `url`; `ui` is the front end's directory.
pub(crate) fn walk(ui: &Path, walk: &str, url: &str, variables: &[(&str, &str)]) -> Result<()> {
    walk_asking(ui, walk, url, variables, &mut |what| bail!("nobody is there to do `{what}`"))
}

/// Walks, and does what the walk asks for on its way.
pub(crate) fn walk_asking(
    ui: &Path,
    walk: &str,
    url: &str,
    variables: &[(&str, &str)],
    deed: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut node = Command::new("node")
        .arg(format!("tests/{walk}.mjs"))
        .current_dir(ui)
        .env("DREY_URL", url)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("node cannot be started")?;
    let mut answers = node.stdin.take().context("its input is piped")?;
    let said = BufReader::new(node.stdout.take().context("its output is piped")?);
    for line in said.lines() {
        let line = line?;
        match line.strip_prefix("ask ") {
            // Who goes away unanswered is told so by the end of its input.
            Some(what) => {
                deed(what).with_context(|| format!("{walk} asked for `{what}`"))?;
                writeln!(answers, "done")?;
            }
            None => println!("          {line}"),
        }
    }
    drop(answers);
    let ended = node.wait()?;
    ensure!(ended.success(), "{walk} ended with {ended}");
    Ok(())
}
