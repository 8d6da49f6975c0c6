//! Where a story takes place: a drey that runs, its command line, and what of it can be killed. It refuses to know
//! what the story is.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::kills::Victim;

/// How often something is looked at while it is waited for.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// A drey with its Flink processes.
pub(crate) trait Place {
    /// A directory that the story may write to, and that Flink's processes see under the same path.
    fn directory(&self) -> &Path;

    /// Starts drey and waits until it works.
    fn up(&mut self) -> Result<()>;

    /// A command of drey in the directory, with nothing of the caller's that leads elsewhere.
    fn command(&self, arguments: &[&str]) -> Command;

    /// Kills without a chance to clean up, and starts drey again if it was hit. Returns how many processes were.
    fn kill(&mut self, victim: Victim) -> Result<usize>;

    /// Whether any process of Flink is there.
    fn has_cluster(&self) -> Result<bool>;

    /// The last lines that drey has written.
    fn output_tail(&self) -> String;

    /// Runs a command of drey that must succeed and returns its standard output.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().context("drey cannot be started")?;
        let (errors, line) = (String::from_utf8_lossy(&output.stderr), arguments.join(" "));
        ensure!(output.status.success(), "`drey {line}` {}: {}", output.status, errors.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Applies an object.
    fn apply(&self, object: &Value) -> Result<()> {
        let file = self.directory().join("applied.yaml");
        std::fs::write(&file, format!("{object:#}"))?;
        self.run(&["apply", "-f", &file.to_string_lossy()]).map(drop)
    }

    /// A deployment as the API has it.
    fn resource(&self, name: &str) -> Result<Value> {
        let text = self.run(&["get", name, "-o", "json"])?;
        serde_json::from_str(&text).context("`drey get -o json` writes JSON")
    }

    /// Waits for a state, with `drey wait`.
    fn wait(&self, name: &str, state: &str, timeout: Duration) -> Result<()> {
        let timeout = format!("{}s", timeout.as_secs());
        let waited = self.run(&["wait", name, "--for", state, "--timeout", &timeout]);
        waited.map(drop).with_context(|| self.output_tail())
    }

    /// Looks until there is something to see.
    fn wait_for<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(seen) = look(self)? {
                return Ok(seen);
            }
            if began.elapsed() > timeout {
                bail!("waited {} s for {what}\n{}", timeout.as_secs(), self.output_tail());
            }
            std::thread::sleep(LOOK);
        }
    }
}
