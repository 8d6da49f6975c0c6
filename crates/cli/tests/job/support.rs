//! What the tests of `drey job` share: a jar, a session with the fake, and the flags of a command.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser;
use drey_cli::failure::Failure;
use drey_cli::job::flink::{FlinkArgs, Session};
use drey_cli::job::limits::Pace;
use drey_cli::job::talk::Talk;
use drey_cli::job::version::EMPTY_JAR;
use drey_cli::job::{Command, perform};
use drey_flink::FlinkRest;
use drey_flink::rest::tls::{TlsSettings, client};
use futures::StreamExt;
use tempfile::TempDir;

use crate::fake::Fake;

/// A fake, a jar, and what was said.
pub(crate) struct Bench {
    pub(crate) fake: Fake,
    directory: TempDir,
}

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) outcome: Result<(), Failure>,
    pub(crate) said: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.outcome, Ok(()), "{}", self.said);
        self.said
    }

    /// What it says when it fails.
    #[track_caller]
    pub(crate) fn badly(self) -> String {
        self.outcome.expect_err(&self.said).to_string()
    }

    #[track_caller]
    pub(crate) fn failure(self) -> Failure {
        self.outcome.expect_err(&self.said)
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        // Another test of the same process may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bench = Self { fake: Fake::start().await, directory: tempfile::tempdir().expect("a directory") };
        bench.jar("job.jar", b"");
        bench
    }

    /// A jar with something in it that makes it differ from others.
    pub(crate) fn jar(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, [b"PK\x03\x04", content, EMPTY_JAR.as_slice()].concat()).expect("written");
        path
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    pub(crate) fn flink(&self) -> FlinkArgs {
        FlinkArgs { flink_url: Some(self.fake.url.clone()), flink_timeout: 3, ..FlinkArgs::default() }
    }

    pub(crate) fn session(&self) -> Session {
        // One for all tests: it is slow to make, and each fake has a port of its own.
        static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
        let http = HTTP.get_or_init(|| client(&TlsSettings::default()).expect("a client")).clone();
        let base = self.fake.url.parse().expect("an address");
        let rest = FlinkRest::new(http, base).with_deadline(Duration::from_secs(3));
        // The fake is as quick as this process.
        let pace = Pace {
            look: Duration::from_millis(20),
            settle: Duration::from_millis(80),
            appear: Duration::from_millis(300),
            statistics_age: Duration::from_millis(140),
            away: Duration::from_millis(400),
        };
        Session { rest, talk: Talk::kept(), pace }
    }

    /// Runs a command line, where `JAR` stands for the jar.
    pub(crate) async fn run(&self, line: &str) -> Ended {
        self.run_as(line, &self.session()).await
    }

    pub(crate) async fn run_as(&self, line: &str, session: &Session) -> Ended {
        let outcome = perform(&self.command(line), session).await;
        Ended { outcome, said: session.talk.lines().join("\n") }
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let words = line.split_whitespace().map(|word| word.replace("JAR", &self.path("job.jar")));
        Line::try_parse_from(std::iter::once("job".to_owned()).chain(words))
            .unwrap_or_else(|error| panic!("{error}"))
            .command
    }

    /// Deploys a job named `name` as drey does, and returns its id.
    pub(crate) async fn deployed(&self, name: &str) -> String {
        self.run(&format!("deploy --file-name JAR -- --name {name} --version 1")).await.well();
        self.only().id
    }

    /// The one job that is active.
    #[track_caller]
    pub(crate) fn only(&self) -> crate::fake::Job {
        let mut active = self.fake.active();
        assert_eq!(active.len(), 1, "{active:?}");
        active.remove(0)
    }
}

/// Does all of it, some at a time: each has its own fake and its own client, which are slow to make.
pub(crate) async fn all<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures::stream::iter(work).buffered(20).collect().await
}

/// An update of the job `a` to another version, with more arguments of the new one.
pub(crate) fn update(more: &str) -> String {
    format!("update --file-name JAR --job-name-base a --savepoint-dir /s -- --name a --version 2 {more}")
}
