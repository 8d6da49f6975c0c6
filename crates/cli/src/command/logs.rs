//! `drey logs`: the logs of the pods of a deployment. Refuses to know laptop mode, whose processes write files.

use clap_complete::engine::ArgValueCandidates;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::io::{AsyncBufReadExt, BufReader};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams};
use tokio::sync::mpsc;

use super::deployment_name;
use crate::complete;
use crate::connection::Connection;
use crate::failure::{Failure, Kind};
use crate::output::{bytes, say};

/// The container that Flink runs in.
const MAIN_CONTAINER: &str = "flink-main-container";
/// Most lines of a pod that are shown without `--all`.
const TAIL_LINES: i64 = 500;
/// How often new pods are looked for while logs are followed.
const LOOK: Duration = Duration::from_secs(3);

/// Print the logs of a deployment
///
/// The log of the JobManager, or with `tm` those of the TaskManagers, among them what the job prints. The
/// newest part is shown; `--all` shows everything. Of laptop mode, when the cluster is gone, the last logs that were
/// kept.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// `jm` for the JobManager, `tm` for the TaskManagers
    #[arg(value_enum, default_value_t)]
    pub component: Component,
    /// Stay, and print what is added
    #[arg(short, long)]
    pub follow: bool,
    /// From the beginning
    #[arg(long)]
    pub all: bool,
    /// Of the container before the present one, which crashed
    #[arg(short, long, conflicts_with = "follow")]
    pub previous: bool,
}

/// Which processes of a Flink cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Component {
    /// The JobManager
    #[default]
    Jm,
    /// The TaskManagers
    Tm,
}

impl Component {
    const fn label(self) -> &'static str {
        match self {
            Self::Jm => "jobmanager",
            Self::Tm => "taskmanager",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When there is no pod, or its log cannot be read.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let logs = Logs {
        args,
        name: deployment_name(&args.name)?,
        pods: Api::namespaced(connection.client.clone(), &connection.namespace),
    };
    let printing = async { if args.follow { logs.follow().await } else { logs.print().await } };
    tokio::select! {
        outcome = printing => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Kind::Interrupted, "stopped reading logs")),
    }
}

struct Logs<'a> {
    args: &'a Args,
    name: &'a str,
    pods: Api<Pod>,
}

impl Logs<'_> {
    async fn names(&self) -> Result<Vec<String>, Failure> {
        let selector = format!("app={},component={}", self.name, self.args.component.label());
        let found = self
            .pods
            .list(&ListParams::default().labels(&selector))
            .await
            .map_err(|error| Failure::from_kube(&error, "pods"))?;
        Ok(found.items.into_iter().filter_map(|pod| pod.metadata.name).collect())
    }

    fn none(&self) -> Failure {
        Failure::new(Kind::NotFound, format!("it has no {} pod", self.args.component.label()))
            .on(format!("flinkdeployment/{}", self.name))
            .hint(format!("see what exists: `drey tree {}`", self.name))
    }

    fn parameters(&self) -> LogParams {
        LogParams {
            container: Some(MAIN_CONTAINER.to_owned()),
            follow: self.args.follow,
            previous: self.args.previous,
            tail_lines: (!self.args.all).then_some(TAIL_LINES),
            ..LogParams::default()
        }
    }

    /// One pod after the other.
    async fn print(&self) -> Result<(), Failure> {
        let names = self.names().await?;
        if names.is_empty() {
            return Err(self.none());
        }
        let several = names.len() > 1;
        for name in &names {
            if several {
                bytes(format!("==> {name} <==\n").as_bytes())?;
            }
            let log = self.pods.logs(name, &self.parameters()).await;
            let text = log.map_err(|error| Failure::from_kube(&error, &format!("pod/{name}")))?;
            bytes(text.as_bytes())?;
            if !text.is_empty() && !text.ends_with('\n') {
                bytes(b"\n")?;
            }
        }
        Ok(())
    }

    /// All pods at once, also those that come later, with the pod in front of each line when there are several.
    async fn follow(&self) -> Result<(), Failure> {
        let (lines, mut read) = mpsc::channel(64);
        let (mut open, mut reading) = (BTreeSet::new(), FuturesUnordered::new());
        // Until when each was read before, and why it was not read on.
        let mut ended: BTreeMap<String, (Timestamp, String)> = BTreeMap::new();
        let mut look = tokio::time::interval(LOOK);
        let mut said = false;
        loop {
            tokio::select! {
                _ = look.tick() => {
                    let names = self.names().await?;
                    if names.is_empty() && !said {
                        say(&format!("waiting for a pod: {}", self.none().message()));
                        said = true;
                    }
                    for name in names.into_iter().filter(|name| open.insert(name.clone())) {
                        let since = ended.get(&name).map(|(at, _)| *at);
                        reading.push(self.read(name, since, lines.clone()));
                    }
                }
                Some((name, line)) = read.recv() => {
                    let prefix = if open.len() > 1 { format!("{name}: ") } else { String::new() };
                    bytes(prefix.as_bytes())?;
                    bytes(&line)?;
                }
                Some((name, outcome)) = reading.next(), if !reading.is_empty() => {
                    let why = outcome.map_or_else(|failure| failure.message().to_owned(), |()| String::new());
                    if !why.is_empty() && ended.get(&name).is_none_or(|(_, before)| *before != why) {
                        say(&format!("pod/{name}: {why}"));
                    }
                    // Its container may start again, or has not started yet.
                    open.remove(&name);
                    ended.insert(name, (Timestamp::now(), why));
                }
            }
        }
    }

    async fn read(
        &self,
        name: String,
        since: Option<Timestamp>,
        lines: mpsc::Sender<(String, Vec<u8>)>,
    ) -> (String, Result<(), Failure>) {
        let outcome = async {
            let mut parameters = self.parameters();
            if since.is_some() {
                (parameters.since_time, parameters.tail_lines) = (since, None);
            }
            let log = self.pods.log_stream(&name, &parameters).await;
            let log = log.map_err(|error| Failure::from_kube(&error, &format!("pod/{name}")))?;
            let mut log = std::pin::pin!(BufReader::new(log));
            loop {
                let mut line = Vec::new();
                if log.read_until(b'\n', &mut line).await? == 0 {
                    return Ok(());
                }
                // Nobody reads any more: the command ends.
                if lines.send((name.clone(), line)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let outcome = outcome.await;
        (name, outcome)
    }
}
