//! Startup, readiness and liveness probes, and the hooks that use the same actions. It refuses to decide what
//! follows from a verdict: the caller ends the container.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, ExecAction, HTTPGetAction, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::process::TOOL_PATH;
use super::record::Live;

/// What to do to find out.
#[derive(Debug)]
pub(crate) enum Action<'a> {
    Http(&'a HTTPGetAction),
    Tcp(&'a TCPSocketAction),
    Exec(&'a ExecAction),
    Sleep(&'a SleepAction),
    /// Nothing that this node can do.
    Unsupported,
}

impl<'a> Action<'a> {
    /// The action of a probe.
    pub(crate) fn of_probe(probe: &'a Probe) -> Action<'a> {
        Action::choose(probe.http_get.as_ref(), probe.tcp_socket.as_ref(), probe.exec.as_ref(), None)
    }

    /// The action of a hook.
    pub(crate) fn of_hook(hook: &'a LifecycleHandler) -> Action<'a> {
        Action::choose(
            hook.http_get.as_ref(),
            hook.tcp_socket.as_ref(),
            hook.exec.as_ref(),
            hook.sleep.as_ref(),
        )
    }

    fn choose(
        http: Option<&'a HTTPGetAction>,
        tcp: Option<&'a TCPSocketAction>,
        exec: Option<&'a ExecAction>,
        sleep: Option<&'a SleepAction>,
    ) -> Action<'a> {
        let action = http.map(Action::Http).or(tcp.map(Action::Tcp));
        action.or(exec.map(Action::Exec)).or(sleep.map(Action::Sleep)).unwrap_or(Action::Unsupported)
    }
}

/// A container as its probes reach it.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) address: IpAddr,
    pub(crate) container: &'a Container,
    pub(crate) live: &'a Live,
    /// `NAME=VALUE`.
    pub(crate) environment: &'a [String],
    pub(crate) working_directory: &'a str,
}

impl Target<'_> {
    /// Performs the action.
    ///
    /// # Errors
    /// Why it is a failure, in a kubelet's words.
    pub(crate) async fn perform(&self, action: &Action<'_>, timeout: Duration) -> Result<(), String> {
        let outcome = async {
            match action {
                Action::Http(get) => self.http_get(get).await,
                Action::Tcp(socket) => self.tcp_connect(socket).await,
                Action::Exec(exec) => self.execute(exec).await,
                Action::Sleep(sleep) => {
                    tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
                    Ok(())
                }
                Action::Unsupported => {
                    Err("this node knows httpGet, tcpSocket, exec and sleep only".to_owned())
                }
            }
        };
        let late = || format!("timed out after {}s", timeout.as_secs());
        tokio::time::timeout(timeout, outcome).await.unwrap_or_else(|_| Err(late()))
    }

    async fn http_get(&self, get: &HTTPGetAction) -> Result<(), String> {
        let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let host =
            get.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| self.address.to_string());
        let path = get.path.as_deref().unwrap_or("/");
        let url = format!("{scheme}://{host}:{}/{}", self.port(&get.port)?, path.trim_start_matches('/'));
        let mut request = self.http.get(&url).header("User-Agent", "kube-probe/1.35");
        for header in get.http_headers.iter().flatten() {
            request = request.header(&header.name, &header.value);
        }
        let response = request.send().await.map_err(|error| format!("Get \"{url}\": {}", cause(&error)))?;
        match response.status().as_u16() {
            200..=399 => Ok(()),
            code => Err(format!("HTTP probe failed with statuscode: {code}")),
        }
    }

    async fn tcp_connect(&self, socket: &TCPSocketAction) -> Result<(), String> {
        let host =
            socket.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| self.address.to_string());
        let place = format!("{host}:{}", self.port(&socket.port)?);
        match TcpStream::connect(&place).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("dial tcp {place}: {error}")),
        }
    }

    async fn execute(&self, exec: &ExecAction) -> Result<(), String> {
        let first = self.live.first_process().ok_or("the container has ended")?.to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &first, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--"]);
        command.args(["env", "-i", "-C", self.working_directory]).args(self.environment);
        command.args(exec.command.iter().flatten()).env_clear().env("PATH", TOOL_PATH);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(String::from_utf8_lossy(&said).trim_end().to_owned())
    }

    fn port(&self, port: &IntOrString) -> Result<i32, String> {
        match port {
            IntOrString::Int(number) => Ok(*number),
            IntOrString::String(name) => {
                let mut ports = self.container.ports.iter().flatten();
                let named =
                    ports.find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port);
                named.or_else(|| name.parse().ok()).ok_or_else(|| format!("couldn't find port: {name}"))
            }
        }
    }
}

/// What lies at the bottom of an error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// How often, how patiently and how long a probe is made, with the defaults of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub(crate) initial_delay: Duration,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    pub(crate) successes: i32,
    pub(crate) failures: i32,
}

impl Rhythm {
    pub(crate) fn of(probe: &Probe) -> Rhythm {
        let seconds = |value: Option<i32>, default: u64| {
            let given = value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
            Duration::from_secs(given.unwrap_or(default))
        };
        Rhythm {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            successes: probe.success_threshold.unwrap_or(1).max(1),
            failures: probe.failure_threshold.unwrap_or(3).max(1),
        }
    }
}

/// Results in a row: a verdict changes when there are enough of the other kind.
#[derive(Debug)]
pub(crate) struct Tally {
    rhythm: Rhythm,
    last: Option<bool>,
    in_a_row: i32,
}

impl Tally {
    pub(crate) fn new(rhythm: Rhythm) -> Tally {
        Tally { rhythm, last: None, in_a_row: 0 }
    }

    /// The verdict after one more result; `None` while there are not enough of them.
    pub(crate) fn add(&mut self, success: bool) -> Option<bool> {
        self.in_a_row = if self.last == Some(success) { self.in_a_row.saturating_add(1) } else { 1 };
        self.last = Some(success);
        let needed = if success { self.rhythm.successes } else { self.rhythm.failures };
        (self.in_a_row >= needed).then_some(success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_enough_results_in_a_row() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut tally = Tally::new(Rhythm::of(&probe));
        let results = [true, true, false, false, true, false, false, false];
        let verdicts = results.map(|result| tally.add(result));
        assert_eq!(verdicts, [None, Some(true), None, None, None, None, None, Some(false)]);
    }
}
