//! One process of `drey operator`, and what it says: by its log, by its probe, by its end, on its resources.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use drey_operator::rights::Without;
use kube::Api;
use kube::api::ListParams;
use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::{LOOK, PATIENCE};

/// Words of an API server that refuses.
const REFUSALS: &[&str] = &["is forbidden", "cannot ", "Unauthorized", "may not be "];

/// The process. Dropping it kills it.
pub(super) struct Operator {
    child: Child,
    probes: u16,
    log: PathBuf,
}

impl Operator {
    /// Starts it and waits until it has looked for its rights, or has ended.
    pub(super) async fn start(drey: &Path, account: &Account, has_webhook: bool) -> Result<Operator> {
        let mut operator = Operator::start_anyhow(drey, account, has_webhook)?;
        let began = Instant::now();
        while !operator.answers().await && operator.exit_code()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "drey serves no probe\n{}", operator.log_tail()?);
            tokio::time::sleep(LOOK).await;
        }
        Ok(operator)
    }

    /// Starts it.
    pub(super) fn start_anyhow(drey: &Path, account: &Account, has_webhook: bool) -> Result<Operator> {
        let [probes, metrics, webhook] = free_ports()?;
        let configuration = account.directory().join(format!("configuration-{probes}"));
        std::fs::create_dir_all(&configuration)?;
        let text = format!(
            "kubernetes.operator.health.probe.port: {probes}\n\
             kubernetes.operator.metrics.reporter.prom.port: {metrics}\n\
             kubernetes.operator.watched.namespaces: {}\n\
             kubernetes.operator.leader-election.enabled: true\n\
             kubernetes.operator.leader-election.lease-name: drey\n\
             kubernetes.operator.leader-election.lease-duration: 6 s\n\
             kubernetes.operator.leader-election.renew-deadline: 4 s\n\
             kubernetes.operator.leader-election.retry-period: 1 s\n",
            account.namespace()
        );
        std::fs::write(configuration.join("flink-conf.yaml"), text)?;
        let log = account.directory().join(format!("log-{probes}"));
        let output = std::fs::File::create(&log)?;
        // It must not outlive this program, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(drey).args(["operator", "--config"]).arg(&configuration);
        command.env("KUBECONFIG", account.kubeconfig()).env("OPERATOR_NAMESPACE", account.namespace());
        if has_webhook {
            command.env("WEBHOOK_SERVER_PORT", webhook.to_string());
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("drey cannot be started")?;
        Ok(Operator { child, probes, log })
    }

    async fn get(&self, path: &str) -> Option<reqwest::Response> {
        reqwest::get(format!("http://127.0.0.1:{}{path}", self.probes)).await.ok()
    }

    async fn answers(&self) -> bool {
        self.get("/healthz").await.is_some()
    }

    /// What its probe says is missing; `None` when it is ready.
    pub(super) async fn not_ready(&self) -> Option<String> {
        let Some(answer) = self.get("/readyz").await else { return Some("no answer".to_owned()) };
        if answer.status().is_success() {
            return None;
        }
        Some(answer.text().await.unwrap_or_default().lines().skip(1).collect::<Vec<_>>().join("; "))
    }

    /// How it ended; `None` while it runs.
    pub(super) fn exit_code(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }

    /// Waits until it says that it does nothing any more, or ends.
    pub(super) async fn until_powerless(&mut self) -> Result<Without> {
        let began = Instant::now();
        loop {
            if let Some(code) = self.exit_code()? {
                return Ok(Without::Ends(code));
            }
            if self.not_ready().await.is_some_and(|why| why.contains("nothing is done")) {
                return Ok(Without::StopsActing);
            }
            if began.elapsed() > PATIENCE {
                return Ok(Without::Later);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    pub(super) fn log_tail(&self) -> Result<String> {
        let log = self.log()?;
        let lines: Vec<&str> = log.lines().collect();
        Ok(lines[lines.len().saturating_sub(12)..].join("\n"))
    }

    /// Whether its log tells of a refusal, but for the list of rights, beyond this many bytes.
    pub(super) fn is_refused_after(&self, bytes: usize) -> Result<bool> {
        Ok(self.log()?.get(bytes..).unwrap_or_default().lines().any(is_refusal))
    }

    /// The first thing that it said about a refusal: on a resource, by its probe, or in its log.
    pub(super) async fn said(
        &self,
        resources: &Api<drey_api::kinds::FlinkDeployment>,
    ) -> Result<Option<String>> {
        for resource in resources.list(&ListParams::default()).await? {
            let status = serde_json::to_value(&resource.status)?;
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let said = conditions.filter_map(|condition| {
                let message = condition["message"].as_str().filter(|message| is_refusal(message))?;
                let (kind, reason) = (condition["type"].as_str()?, condition["reason"].as_str()?);
                Some(format!("condition {kind} {reason}: {}", short(message)))
            });
            if let Some(said) = said.into_iter().next() {
                return Ok(Some(said));
            }
        }
        if let Some(why) = self.not_ready().await.filter(|why| why != "no answer") {
            return Ok(Some(format!("/readyz: {}", short(&why))));
        }
        Ok(self.log()?.lines().find(|line| is_refusal(line)).map(|line| format!("log: {}", short(line))))
    }

    /// Ends it as a kubelet does, and waits.
    pub(super) async fn stop(&mut self) -> Result<()> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && self.exit_code()?.is_none()
        {
            kill_process(pid, Signal::TERM)?;
        }
        let began = Instant::now();
        while self.exit_code()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "drey does not end\n{}", self.log_tail()?);
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn is_refusal(line: &str) -> bool {
    !line.contains("rights: ") && REFUSALS.iter().any(|refusal| line.contains(refusal))
}

/// A line without its time, and not all of a long one.
fn short(line: &str) -> String {
    let line =
        line.split_once("Z ").filter(|(time, _)| time.starts_with("20")).map_or(line, |(_, rest)| rest);
    let mut text: String = line.trim().chars().take(160).collect();
    if text.len() < line.trim().len() {
        text.push('…');
    }
    text
}

/// Ports that nobody listened on a moment ago.
fn free_ports() -> Result<[u16; 3]> {
    let listeners =
        [TcpListener::bind("0.0.0.0:0")?, TcpListener::bind("0.0.0.0:0")?, TcpListener::bind("0.0.0.0:0")?];
    Ok([
        listeners[0].local_addr()?.port(),
        listeners[1].local_addr()?.port(),
        listeners[2].local_addr()?.port(),
    ])
}
