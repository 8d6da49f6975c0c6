//! The operators that are measured: each as one process of this machine that sees the world as its pod would, with the
//! same account, the same intervals and the same way to JobManagers.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drey_testbed::usage::Usage;
use rustix::process::{Pid, Signal, kill_process};

use super::kubelet::NAMESPACE;
use crate::java_operator;

/// How long one may take until its probe says that it works.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// How long one may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How many files and connections it may have open.
const FILES_MAX: u32 = 20_000;

/// Which operator.
#[derive(Clone, Debug)]
pub(super) enum Operator {
    /// drey.
    Drey {
        /// The binary.
        binary: PathBuf,
    },
    /// The Java operator.
    Java {
        /// Its shaded jar.
        jar: PathBuf,
        /// What it needs for logging.
        logging: Vec<PathBuf>,
        /// `-Xmx`, when it is not to be the default.
        heap: Option<String>,
    },
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drey { .. } => f.write_str("drey"),
            Self::Java { heap: None, .. } => f.write_str("Java"),
            Self::Java { heap: Some(heap), .. } => write!(f, "Java -Xmx{heap}"),
        }
    }
}

/// Where an operator is started.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// With `resolv.conf` and `account/`; configuration and output are added.
    pub(super) directory: PathBuf,
    /// The API server.
    pub(super) api_server: SocketAddr,
}

/// An operator that runs. It ends with this value.
pub(super) struct Running {
    child: Child,
    health: u16,
    output: PathBuf,
}

impl Operator {
    /// Starts it.
    pub(super) fn start(&self, site: &Site) -> Result<Running> {
        let [health, metrics] = free_ports()?;
        let configuration = site.directory.join("configuration");
        std::fs::create_dir_all(&configuration)?;
        std::fs::write(configuration.join("flink-conf.yaml"), settings(health, metrics))?;
        let output = site.directory.join("operator.out");
        let file = std::fs::File::options().append(true).create(true).open(&output)?;
        let enter = site.directory.join("enter.sh");
        std::fs::write(&enter, include_str!("enter.sh"))?;
        // It must not outlive this program, however that ends.
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "prlimit",
            &format!("--nofile={FILES_MAX}"),
            "unshare",
            "--mount",
            "sh",
        ]);
        command.arg(&enter).arg(&site.directory);
        self.program(&mut command, &configuration)?;
        command
            .current_dir(&site.directory)
            .env_remove("KUBECONFIG")
            .env("HOME", &site.directory)
            .env("HOSTNAME", "operator")
            .env("KUBERNETES_SERVICE_HOST", site.api_server.ip().to_string())
            .env("KUBERNETES_SERVICE_PORT", site.api_server.port().to_string())
            .env("OPERATOR_NAMESPACE", NAMESPACE)
            .env("OPERATOR_NAME", "flink-kubernetes-operator")
            .env("FLINK_CONF_DIR", &configuration)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command.spawn().with_context(|| format!("{self} cannot be started"))?;
        Ok(Running { child, health, output })
    }

    fn program(&self, command: &mut Command, configuration: &Path) -> Result<()> {
        match self {
            Self::Drey { binary } => {
                command.arg(binary).args(["operator", "--config"]).arg(configuration);
            }
            Self::Java { jar, logging, heap } => {
                let properties = configuration.join("log4j-operator.properties");
                std::fs::write(&properties, java_operator::LOGGING)?;
                let class_path = logging.iter().chain([jar]).map(|file| file.display().to_string());
                command.arg("java").args(heap.iter().map(|heap| format!("-Xmx{heap}")));
                command.arg(format!("-Dlog4j.configurationFile={}", properties.display()));
                command.args(["-cp", &class_path.collect::<Vec<_>>().join(":"), java_operator::CLASS]);
            }
        }
        Ok(())
    }
}

/// The same for all: the intervals that the Java operator's chart sets.
fn settings(health: u16, metrics: u16) -> String {
    format!(
        "kubernetes.operator.reconcile.interval: 15 s\n\
         kubernetes.operator.observer.progress-check.interval: 5 s\n\
         kubernetes.operator.watched.namespaces: {NAMESPACE}\n\
         kubernetes.operator.health.probe.enabled: true\n\
         kubernetes.operator.health.probe.port: {health}\n\
         kubernetes.operator.metrics.reporter.prom.port: {metrics}\n\
         taskmanager.numberOfTaskSlots: 1\n\
         parallelism.default: 1\n"
    )
}

impl Running {
    /// Waits until its probe says that it works.
    pub(super) async fn ready(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/", self.health);
        let began = Instant::now();
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            self.must_run()?;
            ensure!(began.elapsed() < READY_TIMEOUT, "not ready in time: {}", self.tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Fails when it has ended.
    pub(super) fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the operator ended with {status}: {}", self.tail()),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<()> {
        kill_process(self.pid()?, Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < STOP_TIMEOUT, "the operator does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// What it uses.
    pub(super) fn usage(&self) -> Result<Usage> {
        Ok(Usage::of(self.child.id())?)
    }

    /// The end of what it has written.
    pub(super) fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process has a pid")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; either way it is waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Two ports that nobody listened on a moment ago.
fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("0.0.0.0:0")?, TcpListener::bind("0.0.0.0:0")?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}
