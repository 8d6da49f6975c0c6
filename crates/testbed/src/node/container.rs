//! Runs one container of a pod: pulls its image, starts it, probes it, restarts it as its pod wants, ends it.
//!
//! ```text
//!   image? ─► environment, mounts? ─► start ─► running, probed ─► ended ─► again, after the back-off
//!     └ ErrImagePull     └ CreateContainerConfigError              └──────► or done
//! ```
//! Every state goes into the pod's record. It refuses to know the other containers.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rustix::process::Signal;
use tokio::sync::watch;

use super::back_off::BackOff;
use super::environment::{self, Variables};
use super::image::{Content, Image};
use super::probe::{Action, Rhythm, Tally, Target};
use super::process::{Launch, Mount, Process, exit_code};
use super::record::{Live, PodRecord};
use super::sandbox::Sandbox;
use super::status::waiting_state;
use super::volumes::Volumes;
use super::{Shared, container_log, limits, volumes};

/// That a container has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// How long it may take.
    pub(crate) grace: Duration,
    /// Whether the pod's object is gone already.
    pub(crate) is_gone: bool,
}

/// Annotation: milliseconds after which the container is ended as if it were out of memory.
pub const OOM_AFTER_ANNOTATION: &str = "testbed.drey.dev/oom-after-ms";
/// Annotation: name of the container that this happens to; the pod's first one if it is not given.
pub const OOM_CONTAINER_ANNOTATION: &str = "testbed.drey.dev/oom-container";

/// Which part a container has in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the others.
    Init,
    /// Starts before the others and ends after them.
    SideCar,
    /// What the pod is for.
    Main,
}

/// Runs one container.
#[derive(Clone)]
pub(crate) struct Supervisor {
    pub(crate) node: Arc<Shared>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) record: Arc<PodRecord>,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) container: Container,
    pub(crate) role: Role,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
}

/// What a container is started with.
struct Prepared {
    variables: Variables,
    root: Option<PathBuf>,
    mounts: Vec<Mount>,
    identity: Option<(i64, i64)>,
    program: Vec<String>,
    working_directory: String,
}

impl Supervisor {
    /// Runs the container until it is over for good; `true` if it then was a success.
    pub(crate) async fn run(self) -> bool {
        let mut back_off = BackOff::new(self.node.config.restart_times);
        for start in 0.. {
            let Some(prepared) = self.prepare().await else { return false };
            let began = Instant::now();
            let code = self.run_once(&prepared, start).await;
            if self.stop.borrow().is_some() || !self.is_restarted_after(code) {
                return code == 0;
            }
            if !self.wait_for_restart(back_off.wait(began.elapsed())).await {
                return false;
            }
        }
        false
    }

    fn is_restarted_after(&self, code: i32) -> bool {
        let policy =
            self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
        match (self.role, policy) {
            (Role::SideCar, _) | (Role::Main, "Always") => true,
            (_, "Never") => false,
            (Role::Init | Role::Main, _) => code != 0,
        }
    }

    /// Waits; `false` when the pod is to end.
    async fn wait_for_restart(&self, wait: Duration) -> bool {
        if !wait.is_zero() {
            let PodRecord { name, namespace, uid, .. } = &*self.record;
            let message = format!(
                "back-off {}s restarting failed container={} pod={name}_{namespace}({uid})",
                wait.as_secs(),
                self.container.name
            );
            let event = format!(
                "Back-off restarting failed container {} in pod {name}_{namespace}({uid})",
                self.container.name
            );
            self.node.event(&self.pod, "Warning", "BackOff", &event);
            self.set_waiting("CrashLoopBackOff", Some(message));
        }
        self.pause(wait).await
    }

    /// Sleeps, and for as long as the node is lost; `false` when the pod is to end.
    async fn pause(&self, wait: Duration) -> bool {
        let mut stop = self.stop.clone();
        let sleep = async {
            tokio::time::sleep(wait).await;
            self.node.online().await;
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => false,
            () = sleep => true,
        }
    }

    fn set_waiting(&self, reason: &str, message: Option<String>) {
        self.record.change_container(&self.container.name, |status| {
            let ended = status.state.take().filter(|state| state.terminated.is_some());
            status.last_state = ended.or(status.last_state.take());
            status.state = Some(waiting_state(reason, message));
            status.ready = false;
            status.started = Some(false);
        });
    }

    /// All that the container needs, waited for; `None` when the pod is to end.
    async fn prepare(&self) -> Option<Prepared> {
        if !self.pause(Duration::ZERO).await {
            return None;
        }
        let image = self.pull().await?;
        loop {
            match self.try_prepare(&image).await {
                Ok(prepared) => return Some(prepared),
                Err(error) => {
                    self.node.event(&self.pod, "Warning", "Failed", &format!("Error: {error}"));
                    self.set_waiting("CreateContainerConfigError", Some(error));
                }
            }
            if !self.pause(limits::SYNC).await {
                return None;
            }
        }
    }

    async fn pull(&self) -> Option<Image> {
        let name = self.container.image.clone().unwrap_or_default();
        let mut back_off = BackOff::new(self.node.config.restart_times);
        // The first try has no delay of its own: the failure comes before the back-off.
        back_off.wait(Duration::ZERO);
        loop {
            if let Some(image) = self.node.image(&name) {
                let pulled = format!("Container image \"{name}\" already present on machine");
                self.node.event(&self.pod, "Normal", "Pulled", &pulled);
                return Some(image);
            }
            let error = pull_error(&name);
            let failed = format!("Failed to pull image \"{name}\": {error}");
            self.node.event(&self.pod, "Warning", "Failed", &failed);
            self.set_waiting("ErrImagePull", Some(error.clone()));
            if !self.pause(limits::SYNC).await {
                return None;
            }
            self.node.event(&self.pod, "Normal", "BackOff", &format!("Back-off pulling image \"{name}\""));
            let message = format!("Back-off pulling image \"{name}\": ErrImagePull: {error}");
            self.set_waiting("ImagePullBackOff", Some(message));
            if !self.pause(back_off.wait(Duration::ZERO)).await {
                return None;
            }
        }
    }

    async fn try_prepare(&self, image: &Image) -> Result<Prepared, String> {
        let source = self.node.source(&self.pod, &self.container, self.sandbox.address).await?;
        let mut from_image = image.environment.clone();
        from_image.entry("HOME".to_owned()).or_insert_with(|| "/root".to_owned());
        from_image.insert("HOSTNAME".to_owned(), host_name(&self.pod));
        let variables =
            environment::variables(&self.pod, &self.container, &from_image, &self.node.variables(), &source)?;
        let mounts = self.mounts(image, &variables).map_err(|error| error.to_string())?;
        let program = program(&self.container, image, &variables.known);
        let given = self.container.working_dir.clone().filter(|directory| !directory.is_empty());
        let own = Some(image.working_directory.clone()).filter(|directory| !directory.is_empty());
        let working_directory = given.or(own).unwrap_or_else(|| "/".to_owned());
        let identity = identity(&self.pod, &self.container).or(image.user);
        Ok(Prepared { variables, root: image.root.clone(), mounts, identity, program, working_directory })
    }

    fn mounts(&self, image: &Image, variables: &Variables) -> io::Result<Vec<Mount>> {
        let bind = |source: PathBuf, target: &str, read_only| Mount::Bind {
            source,
            target: target.to_owned(),
            read_only,
        };
        let mut mounts = Vec::new();
        for layer in &image.layers {
            let target = layer.target.clone();
            mounts.push(match &layer.content {
                Content::Path(path) if path.is_dir() => Mount::Overlay { lower: path.clone(), target },
                Content::Path(path) => Mount::Bind { source: path.clone(), target, read_only: true },
                Content::Script(text) => bind(self.node.script(text)?, &target, true),
            });
        }
        mounts.push(bind(self.record.hosts_file(), "/etc/hosts", false));
        mounts.push(bind(self.node.resolver_file(), "/etc/resolv.conf", false));
        let own = volumes::mounts(&self.pod, &self.container, &self.volumes, &variables.known);
        mounts.extend(own.map_err(io::Error::other)?);
        Ok(mounts)
    }

    /// Starts the container once and sees it to its end; its exit code.
    async fn run_once(&self, prepared: &Prepared, start: i32) -> i32 {
        let state = self.record.directory.join("starts").join(&self.container.name).join(start.to_string());
        let id = format!("testbed://{}-{}-{start}", self.record.uid, self.container.name);
        let started_at = Timestamp::now();
        let outcome = self.start(prepared, start, &state).await;
        let ended = match outcome {
            Ok(process) => self.see_through(process, prepared, start, &state, (&id, started_at)).await,
            Err(error) => Ended { code: 128, reason: "StartError", message: Some(error.to_string()) },
        };
        self.record.set_live(&self.container.name, None);
        // The marks of this start are of no use any more; the message has been read.
        drop(std::fs::remove_dir_all(&state));
        let Ended { code, reason, message } = ended;
        let terminated = ContainerStateTerminated {
            container_id: Some(id.clone()),
            exit_code: code,
            reason: Some(reason.to_owned()),
            message: message.map(limited),
            started_at: Some(Time(started_at)),
            finished_at: Some(Time(Timestamp::now())),
            signal: None,
        };
        self.record.change_container(&self.container.name, |status| {
            if let Some(old) = status.state.take().filter(|state| state.terminated.is_some()) {
                status.last_state = Some(old);
            }
            status.state = Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() });
            status.ready = self.role == Role::Init && code == 0;
            status.started = Some(false);
            status.container_id = Some(id);
            status.restart_count = start;
        });
        code
    }

    async fn start(&self, prepared: &Prepared, start: i32, state: &Path) -> io::Result<Process> {
        std::fs::create_dir_all(state)?;
        let message_file = state.join("message");
        std::fs::write(&message_file, "")?;
        let path = self.container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        let mut mounts = prepared.mounts.clone();
        mounts.push(Mount::Bind { source: message_file, target: path.to_owned(), read_only: false });
        let variables: Vec<(String, String)> = prepared.variables.all.clone().into_iter().collect();
        let log = container_log::create(&self.record.log_file(&self.container.name, start))?;
        let launch = Launch {
            enter: self.sandbox.enter(),
            state: &state.canonicalize()?,
            setup: &self.node.script(include_str!("container-setup.sh"))?,
            root: prepared.root.as_deref(),
            is_root_read_only: self
                .container
                .security_context
                .as_ref()
                .is_some_and(|context| context.read_only_root_filesystem == Some(true)),
            mounts: &mounts,
            environment: &variables,
            working_directory: &prepared.working_directory,
            identity: prepared.identity,
            program: &prepared.program,
        };
        let mut process = launch.start(&self.node.spawner).await?;
        let (stdout, stderr) = (process.child.stdout.take(), process.child.stderr.take());
        let errors = log.clone();
        process.output = Some(tokio::spawn(async move {
            let out = async {
                if let Some(pipe) = stdout {
                    container_log::copy(pipe, log).await;
                }
            };
            let err = async {
                if let Some(pipe) = stderr {
                    container_log::copy(pipe, errors).await;
                }
            };
            tokio::join!(out, err);
        }));
        Ok(process)
    }

    /// Watches over a started container until it has ended.
    async fn see_through(
        &self,
        mut process: Process,
        prepared: &Prepared,
        start: i32,
        state: &Path,
        (id, started_at): (&str, Timestamp),
    ) -> Ended {
        let live = Live::new(process.grip);
        self.record.set_live(&self.container.name, Some(live.clone()));
        let code = if has_started(&mut process, state).await {
            self.set_running(start, id, started_at);
            let words: Vec<String> =
                prepared.variables.all.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let target = Target {
                http: &self.node.http,
                address: self.sandbox.address.into(),
                container: &self.container,
                live: &live,
                environment: &words,
                working_directory: &prepared.working_directory,
            };
            self.until_end(&mut process, &target).await
        } else {
            process.child.wait().await.map_or(128, exit_code)
        };
        // Process 1 is gone and so are all others of the container: the pipes end, too.
        if let Some(output) = process.output.take() {
            drop(tokio::time::timeout(limits::OUTPUT_DRAIN, output).await);
        }
        if live.ran_out_of_memory() {
            return Ended { code, reason: "OOMKilled", message: None };
        }
        if let Ok(problem) = std::fs::read_to_string(state.join("failed")) {
            let message = format!(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: {problem}"
            );
            self.node.event(&self.pod, "Warning", "Failed", &format!("Error: {message}"));
            return Ended { code, reason: "StartError", message: Some(message) };
        }
        let message =
            std::fs::read_to_string(state.join("message")).ok().filter(|message| !message.is_empty());
        let from_log = || self.last_words(code, start);
        Ended {
            code,
            reason: if code == 0 { "Completed" } else { "Error" },
            message: message.or_else(from_log),
        }
    }

    /// The end of the log, for a container that wants it as its message when it fails.
    fn last_words(&self, code: i32, start: i32) -> Option<String> {
        if code == 0 || self.container.termination_message_policy.as_deref() != Some("FallbackToLogsOnError")
        {
            return None;
        }
        let log = std::fs::read(self.record.log_file(&self.container.name, start)).ok()?;
        let end =
            container_log::Selection { tail_lines: Some(80), ..container_log::Selection::default() }.of(&log);
        let text = String::from_utf8_lossy(&end).into_owned();
        let surplus = text.len().saturating_sub(limits::MESSAGE_BYTES * 2);
        let begin = (surplus..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        Some(text[begin..].to_owned()).filter(|text| !text.is_empty())
    }

    fn set_running(&self, start: i32, id: &str, started_at: Timestamp) {
        let has_readiness = self.container.readiness_probe.is_some();
        let has_startup = self.container.startup_probe.is_some();
        let image = self.container.image.clone().unwrap_or_default();
        self.record.change_container(&self.container.name, |status: &mut ContainerStatus| {
            let ended = status.state.take().filter(|state| state.terminated.is_some());
            status.last_state = ended.or(status.last_state.take());
            let running = ContainerStateRunning { started_at: Some(Time(started_at)) };
            status.state = Some(ContainerState { running: Some(running), ..ContainerState::default() });
            status.image_id = format!("testbed://{image}");
            status.image = image;
            status.container_id = Some(id.to_owned());
            status.restart_count = start;
            status.started = Some(!has_startup);
            status.ready = self.role != Role::Init && !has_startup && !has_readiness;
        });
        self.node.event(
            &self.pod,
            "Normal",
            "Started",
            &format!("Container started: {}", self.container.name),
        );
    }

    /// Waits for the end of a running container, and brings it about when there is a reason.
    async fn until_end(&self, process: &mut Process, target: &Target<'_>) -> i32 {
        let oom = self.oom_after();
        let out_of_memory = async {
            match oom {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            target.live.run_out_of_memory();
            std::future::pending::<()>().await;
        };
        let mut stop = self.stop.clone();
        let grace = tokio::select! {
            ended = process.child.wait() => return ended.map_or(137, exit_code),
            () = out_of_memory => self.own_grace(),
            grace = self.probed(target) => grace,
            told = stop.wait_for(Option::is_some) => {
                told.ok().and_then(|stop| *stop).map_or(limits::GRACE_MIN, |stop| stop.grace)
            }
        };
        let killing = format!("Stopping container {}", self.container.name);
        self.node.event(&self.pod, "Normal", "Killing", &killing);
        tokio::select! {
            ended = process.child.wait() => ended.map_or(137, exit_code),
            () = self.end(target, grace) => 137,
        }
    }

    /// Asks the container to end, and makes it end when its time is over. It does not return.
    async fn end(&self, target: &Target<'_>, grace: Duration) {
        let began = tokio::time::Instant::now();
        let mut stop = self.stop.clone();
        let politely = async {
            let hook = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
            if let Some(hook) = hook
                && let Err(error) = target.perform(&Action::of_hook(hook), grace).await
            {
                self.node.event(
                    &self.pod,
                    "Warning",
                    "FailedPreStopHook",
                    &format!("PreStopHook failed: {error}"),
                );
            }
            target.live.signal(Signal::TERM);
            std::future::pending::<()>().await;
        };
        let out_of_patience = async {
            let mut deadline = began + grace;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(deadline) => return,
                    // A second deletion can shorten the grace.
                    changed = stop.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        if let Some(stop) = *stop.borrow_and_update() {
                            deadline = deadline.min(tokio::time::Instant::now() + stop.grace);
                        }
                    }
                }
            }
        };
        tokio::select! {
            () = politely => {}
            () = out_of_patience => {}
        }
        target.live.signal(Signal::KILL);
        std::future::pending::<()>().await;
    }

    fn own_grace(&self) -> Duration {
        let seconds = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        Duration::from_secs(u64::try_from(seconds.unwrap_or(limits::GRACE_SECONDS)).unwrap_or(0))
    }

    fn oom_after(&self) -> Option<Duration> {
        let annotations = self.pod.metadata.annotations.as_ref()?;
        let after = annotations.get(OOM_AFTER_ANNOTATION)?.parse().ok()?;
        let first = self.pod.spec.as_ref()?.containers.first()?;
        let name = annotations.get(OOM_CONTAINER_ANNOTATION).unwrap_or(&first.name);
        (*name == self.container.name).then(|| Duration::from_millis(after))
    }

    /// Makes the probes; returns, with the grace, when one of them wants the container to end.
    async fn probed(&self, target: &Target<'_>) -> Duration {
        if let Some(hook) =
            self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref())
            && let Err(error) = target.perform(&Action::of_hook(hook), Duration::MAX).await
        {
            self.node.event(
                &self.pod,
                "Warning",
                "FailedPostStartHook",
                &format!("PostStartHook failed: {error}"),
            );
            return self.own_grace();
        }
        if let Some(probe) = &self.container.startup_probe {
            let verdict = self.until_verdict(target, probe, "Startup", |verdict| verdict.is_some()).await;
            if !verdict {
                return self.killed_for(probe, "startup");
            }
        }
        let has_readiness = self.container.readiness_probe.is_some();
        self.record.change_container(&self.container.name, |status| {
            status.started = Some(true);
            status.ready = self.role != Role::Init && !has_readiness;
        });
        let readiness = async {
            if let Some(probe) = &self.container.readiness_probe {
                self.until_verdict(target, probe, "Readiness", |verdict| {
                    if let Some(ready) = verdict {
                        self.set_ready(ready);
                    }
                    false
                })
                .await;
            }
            std::future::pending::<()>().await;
        };
        let liveness = async {
            match &self.container.liveness_probe {
                Some(probe) => {
                    self.until_verdict(target, probe, "Liveness", |verdict| verdict == Some(false)).await;
                    self.killed_for(probe, "liveness")
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            grace = liveness => grace,
            () = readiness => self.own_grace(),
        }
    }

    fn set_ready(&self, ready: bool) {
        let name = &self.container.name;
        let is_news = self.record.view().container(name).is_some_and(|status| status.ready != ready);
        if is_news {
            self.record.change_container(name, |status| status.ready = ready);
        }
    }

    fn killed_for(&self, probe: &k8s_openapi::api::core::v1::Probe, kind: &str) -> Duration {
        let message = format!("Container {} failed {kind} probe, will be restarted", self.container.name);
        self.node.event(&self.pod, "Normal", "Killing", &message);
        let given = probe.termination_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        given.map_or_else(|| self.own_grace(), Duration::from_secs)
    }

    /// Makes one probe again and again until `is_enough`; the last verdict.
    async fn until_verdict(
        &self,
        target: &Target<'_>,
        probe: &k8s_openapi::api::core::v1::Probe,
        kind: &str,
        mut is_enough: impl FnMut(Option<bool>) -> bool,
    ) -> bool {
        let rhythm = Rhythm::of(probe);
        let mut tally = Tally::new(rhythm);
        tokio::time::sleep(rhythm.initial_delay).await;
        let mut ticks = tokio::time::interval(rhythm.period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.node.online().await;
            let result = target.perform(&Action::of_probe(probe), rhythm.timeout).await;
            if let Err(error) = &result {
                let message = format!("{kind} probe failed: {error}");
                self.node.event(&self.pod, "Warning", "Unhealthy", &message);
            }
            let verdict = tally.add(result.is_ok());
            if is_enough(verdict) {
                return verdict == Some(true);
            }
        }
    }
}

/// How a container ended.
struct Ended {
    code: i32,
    reason: &'static str,
    message: Option<String>,
}

/// Waits until the container's file system is made and its program is about to run; `false` if it ended before.
async fn has_started(process: &mut Process, state: &Path) -> bool {
    let marker = state.join("started");
    let deadline = Instant::now() + limits::SETUP;
    while Instant::now() < deadline {
        if marker.exists() {
            return true;
        }
        if let Ok(ended) = tokio::time::timeout(limits::LOOK, process.child.wait()).await {
            drop(ended);
            return marker.exists();
        }
    }
    process.grip.signal(Signal::KILL);
    false
}

fn pull_error(name: &str) -> String {
    let full = qualified(name);
    format!(
        "failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\": {full}: not found"
    )
}

/// The name with its registry and tag, as container runtimes say it.
fn qualified(name: &str) -> String {
    let (first, has_path) = name.split_once('/').map_or((name, false), |(first, _)| (first, true));
    let has_registry = has_path && (first.contains(['.', ':']) || first == "localhost");
    let registry = match (has_registry, has_path) {
        (true, _) => "",
        (false, true) => "docker.io/",
        (false, false) => "docker.io/library/",
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = if last.contains([':', '@']) { "" } else { ":latest" };
    format!("{registry}{name}{tag}")
}

fn program(container: &Container, image: &Image, known: &BTreeMap<String, String>) -> Vec<String> {
    let given = |words: &Option<Vec<String>>| words.clone().filter(|words| !words.is_empty());
    let expanded =
        |words: Vec<String>| words.iter().map(|word| environment::expand(word, known)).collect::<Vec<_>>();
    let (command, args) = (given(&container.command), given(&container.args));
    let arguments = match (&command, args) {
        (_, Some(args)) => expanded(args),
        (Some(_), None) => Vec::new(),
        (None, None) => image.command.clone(),
    };
    let mut program = command.map_or_else(|| image.entrypoint.clone(), expanded);
    program.extend(arguments);
    program
}

fn identity(pod: &Pod, container: &Container) -> Option<(i64, i64)> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let own = container.security_context.as_ref();
    let user =
        own.and_then(|own| own.run_as_user).or_else(|| of_pod.and_then(|of_pod| of_pod.run_as_user))?;
    let group =
        own.and_then(|own| own.run_as_group).or_else(|| of_pod.and_then(|of_pod| of_pod.run_as_group));
    Some((user, group.unwrap_or(0)))
}

/// The name that a pod gives itself.
pub(crate) fn host_name(pod: &Pod) -> String {
    let given = pod.spec.as_ref().and_then(|spec| spec.hostname.clone()).filter(|name| !name.is_empty());
    given.or_else(|| pod.metadata.name.clone()).unwrap_or_default()
}

fn limited(mut message: String) -> String {
    let end = (0..=limits::MESSAGE_BYTES.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    message.truncate(end.unwrap_or(0));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_in_full_when_they_cannot_be_pulled() {
        let check = |name: &str, expected: &str| assert_eq!(qualified(name), expected);
        check("nope", "docker.io/library/nope:latest");
        check("team/nope:1", "docker.io/team/nope:1");
        check("ghcr.io/team/nope", "ghcr.io/team/nope:latest");
        check("localhost:5000/nope:1", "localhost:5000/nope:1");
    }

    #[test]
    fn a_command_replaces_both_entry_point_and_arguments_of_an_image() {
        let image =
            Image { entrypoint: vec!["/e".to_owned()], command: vec!["help".to_owned()], ..Image::default() };
        let known = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let check = |command: &[&str], args: &[&str], expected: &[&str]| {
            let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
            let container = Container { command: words(command), args: words(args), ..Container::default() };
            assert_eq!(program(&container, &image, &known), expected);
        };
        check(&[], &[], &["/e", "help"]);
        check(&[], &["x$(A)"], &["/e", "x1"]);
        check(&["sh"], &[], &["sh"]);
        check(&["sh"], &["-c", "$$(A)"], &["sh", "-c", "$(A)"]);
    }
}
