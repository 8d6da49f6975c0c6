//! What a person sees while `drey up` runs: a table that is repainted on a terminal, one line for every
//! change elsewhere. Refuses to know more than the resources and the records of clusters.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use drey_cli::deployment::View;
use drey_cli::failure::Failure;
use drey_cli::follow::progress;
use drey_cli::kinds::FlinkKind;
use drey_cli::output;
use drey_cli::table::Table;
use drey_local::LocalLauncher;
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};

/// How often a table is repainted when nothing changes.
const REPAINT: Duration = Duration::from_secs(1);
/// Columns of a terminal that does not tell its width.
const COLUMNS: usize = 120;

type Key = (String, String);

/// Shows deployments until it is dropped.
pub(crate) struct Display {
    api: Api<DynamicObject>,
    launcher: Arc<LocalLauncher>,
    views: BTreeMap<Key, View>,
    said: BTreeMap<Key, String>,
    painted_lines: usize,
    is_live: bool,
}

impl Display {
    /// A display of every deployment of this API.
    pub(crate) fn new(client: kube::Client, launcher: Arc<LocalLauncher>) -> Self {
        let api = Api::all_with(client, &FlinkKind::Deployment.resource());
        let is_live = output::is_live(&std::io::stdout());
        Self { api, launcher, views: BTreeMap::new(), said: BTreeMap::new(), painted_lines: 0, is_live }
    }

    /// Shows until somebody drops the future; a standard output that is gone ends only the showing.
    pub(crate) async fn run(&mut self) {
        let mut changes = watcher(self.api.clone(), watcher::Config::default()).default_backoff().boxed();
        let mut repaint = tokio::time::interval(REPAINT);
        loop {
            let shown = tokio::select! {
                change = changes.try_next() => match change {
                    Ok(Some(event)) => self.take(event),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "the display cannot watch");
                        Ok(())
                    }
                },
                _ = repaint.tick(), if self.is_live => self.paint(),
            };
            if shown.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    }

    fn take(&mut self, event: Event<DynamicObject>) -> Result<(), Failure> {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                let key = key_of(&object);
                match View::from_object(object) {
                    Ok(view) => {
                        self.views.insert(key.clone(), view);
                        self.tell(&key)
                    }
                    Err(failure) => self.tell_text(&key, failure.to_string()),
                }
            }
            Event::Delete(object) => {
                let key = key_of(&object);
                self.views.remove(&key);
                self.tell_text(&key, "deleted".to_owned())
            }
            Event::Init | Event::InitDone => Ok(()),
        }
    }

    fn tell(&mut self, key: &Key) -> Result<(), Failure> {
        let Some(view) = self.views.get(key) else { return Ok(()) };
        let text = match self.flink_pages(key) {
            Some(pages) if view.job_state().is_some_and(|state| state.as_str() == "RUNNING") => {
                format!("{} · {pages}", progress(view))
            }
            Some(_) | None => progress(view),
        };
        self.tell_text(key, text)
    }

    fn tell_text(&mut self, key: &Key, text: String) -> Result<(), Failure> {
        if self.is_live {
            return self.paint();
        }
        if self.said.get(key) == Some(&text) {
            return Ok(());
        }
        let line = output::line(&format!("{}: {text}", shown_name(key)));
        self.said.insert(key.clone(), text);
        line
    }

    /// Address of Flink's own pages for a deployment.
    fn flink_pages(&self, (namespace, name): &Key) -> Option<String> {
        let records = self.launcher.records();
        let record = records
            .iter()
            .find(|record| record.namespace == *namespace && record.name == *name && !record.deleting)?;
        record.ever_available.then(|| format!("http://127.0.0.1:{}/", record.ports.rest))
    }

    fn paint(&mut self) -> Result<(), Failure> {
        let lines = self.lines();
        let mut frame = String::new();
        if self.painted_lines > 0 {
            frame.push_str(&format!("\u{1b}[{}A\u{1b}[J", self.painted_lines));
        }
        for line in &lines {
            frame.push_str(line);
            frame.push('\n');
        }
        self.painted_lines = lines.len();
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(frame.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        if self.views.is_empty() {
            return vec!["no deployments yet: `drey apply -f job.yaml` in another terminal".to_owned()];
        }
        let mut table = Table::new(["NAME", "JOB", "STATE", "FLINK", "WAITING FOR"]);
        for (key, view) in &self.views {
            table.push(vec![
                shown_name(key),
                view.job_state().map_or_else(String::new, |state| state.to_string()),
                view.status.lifecycle_state.map_or_else(String::new, |state| state.to_string()),
                self.flink_pages(key).unwrap_or_default(),
                view.sentence(),
            ]);
        }
        let columns = terminal_columns();
        table.lines().iter().map(|line| line.chars().take(columns).collect()).collect()
    }
}

fn key_of(object: &DynamicObject) -> Key {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}

fn shown_name((namespace, name): &Key) -> String {
    if namespace == super::stack::NAMESPACE { name.clone() } else { format!("{namespace}/{name}") }
}

/// A line that wraps would break the repainting.
fn terminal_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}
