//! Performs one action. Each is harmless when repeated, because it names what it acts upon by uid, job id, trigger
//! id or version; so what became of it is not reported to the next decision. Only a certain refusal is remembered,
//! for the words.

use std::sync::Arc;
use std::time::Duration;

use drey_api::desired::Desired;
use drey_api::kinds::{CheckpointType, SavepointFormat};
use drey_core::Action;
use drey_flink::rest::{CheckpointKind, SavepointRequest, StopRequest};
use drey_flink::{FlinkRest, RestError};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::timeout;

use crate::high_availability;
use crate::journal::is_not_sent;
use crate::launcher::{LaunchError, Launcher};
use crate::limits::Limits;
use crate::object::{Stored, WireDeployment};

/// Why nobody knows what became of a request that was on its way.
pub(crate) const LEADERSHIP_ENDED: &str = "the leadership ended meanwhile";

/// What is known after an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was accepted. Whether it came about is seen by looking.
    Done,
    /// As `Done`; Flink gave the disposal this id of its own.
    Disposing(drey_flink::TriggerId),
    /// The resource itself was changed, and is this now.
    Changed(Box<Stored>),
    /// Certainly nothing was done.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

impl Outcome {
    /// The label of the metric.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Outcome::Done | Outcome::Disposing(_) | Outcome::Changed(_) => "accepted",
            Outcome::Refused(_) => "refused",
            Outcome::Unknown(_) => "unknown",
        }
    }

    /// Why it was not done, or is not known to be.
    pub(crate) fn failure(&self) -> Option<&str> {
        match self {
            Outcome::Done | Outcome::Disposing(_) | Outcome::Changed(_) => None,
            Outcome::Refused(message) | Outcome::Unknown(message) => Some(message),
        }
    }

    /// Judges a failed call to the API server.
    pub(crate) fn of_kube(what: &str, error: &kube::Error) -> Outcome {
        let message = format!("{what}: {error}");
        match error {
            kube::Error::Api(status) if (400..500).contains(&status.code) => {
                Outcome::Refused(format!("{what}: {}", status.message))
            }
            other if is_not_sent(other) => Outcome::Refused(message),
            _ => Outcome::Unknown(message),
        }
    }
}

impl From<Result<(), RestError>> for Outcome {
    fn from(result: Result<(), RestError>) -> Outcome {
        match result {
            Ok(()) => Outcome::Done,
            Err(error @ (RestError::Refused { .. } | RestError::NotFound { .. })) => {
                Outcome::Refused(error.to_string())
            }
            Err(error @ RestError::UnknownOutcome { .. }) => Outcome::Unknown(error.to_string()),
        }
    }
}

impl From<Result<(), LaunchError>> for Outcome {
    fn from(result: Result<(), LaunchError>) -> Outcome {
        match result {
            Ok(()) => Outcome::Done,
            Err(LaunchError::Refused(message)) => Outcome::Refused(message),
            Err(LaunchError::UnknownOutcome(message)) => Outcome::Unknown(message),
        }
    }
}

/// Everything that an action is performed with.
pub(crate) struct Actor {
    pub(crate) client: Client,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) http: reqwest::Client,
    pub(crate) limits: Arc<Limits>,
    pub(crate) label_selector: Option<String>,
}

/// The resource that is acted for, as it was when its journal was acknowledged.
pub(crate) struct Subject {
    pub(crate) stored: Arc<Stored>,
    /// The spec that the present cluster runs, which tells where its REST interface is.
    pub(crate) deployed: Option<Arc<Desired>>,
}

/// The label of the metric.
pub(crate) fn kind(action: &Action) -> &'static str {
    match action {
        Action::AddFinalizer => "add_finalizer",
        Action::RemoveFinalizer => "remove_finalizer",
        Action::Deploy(_) => "deploy",
        Action::Complete { .. } => "complete",
        Action::Scale { .. } => "scale",
        Action::DeleteHighAvailability(_) => "delete_high_availability",
        Action::StripJobGraphs(_) => "strip_job_graphs",
        Action::Stop { .. } => "stop",
        Action::Cancel { .. } => "cancel",
        Action::Savepoint { .. } => "savepoint",
        Action::Checkpoint { .. } => "checkpoint",
        Action::Dispose { .. } => "dispose",
        Action::DeleteCluster { .. } => "delete_cluster",
    }
}

/// What is being done, for people.
pub(crate) fn words(action: &Action) -> &'static str {
    match action {
        Action::AddFinalizer => "adding the finalizer",
        Action::RemoveFinalizer => "removing the finalizer",
        Action::Deploy(_) => "creating the cluster",
        Action::Complete { .. } => "creating what is missing of the cluster",
        Action::Scale { .. } => "changing the number of TaskManagers",
        Action::DeleteHighAvailability(_) => "removing the high-availability data of earlier runs",
        Action::StripJobGraphs(_) => "removing the old job graph from the high-availability data",
        Action::Stop { .. } => "stopping the job with a savepoint",
        Action::Cancel { .. } => "cancelling the job",
        Action::Savepoint { .. } => "triggering a savepoint",
        Action::Checkpoint { .. } => "triggering a checkpoint",
        Action::Dispose { .. } => "disposing of an old savepoint",
        Action::DeleteCluster { .. } => "taking the cluster down",
    }
}

impl Actor {
    /// Performs `action`, within its time limit.
    pub(crate) async fn perform(&self, subject: &Subject, action: &Action) -> Outcome {
        let limit = self.limit(action);
        match timeout(limit, self.attempt(subject, action)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unknown(format!("{}: not over within {limit:?}", words(action))),
        }
    }

    fn limit(&self, action: &Action) -> Duration {
        match action {
            Action::Deploy(_) | Action::Complete { .. } | Action::DeleteCluster { .. } => {
                self.limits.launch_timeout
            }
            Action::AddFinalizer
            | Action::RemoveFinalizer
            | Action::DeleteHighAvailability(_)
            | Action::StripJobGraphs(_)
            | Action::Scale { .. }
            | Action::Stop { .. }
            | Action::Cancel { .. }
            | Action::Savepoint { .. }
            | Action::Checkpoint { .. }
            | Action::Dispose { .. } => self.limits.action_timeout,
        }
    }

    async fn attempt(&self, subject: &Subject, action: &Action) -> Outcome {
        let target = subject.stored.target();
        match action {
            Action::AddFinalizer => self.change_finalizers(&subject.stored, true).await,
            Action::RemoveFinalizer => self.change_finalizers(&subject.stored, false).await,
            Action::Deploy(deployment) => self.launcher.apply(&target, deployment).await.into(),
            Action::Complete { cluster_uid, deployment } => {
                self.launcher.complete(&target, cluster_uid, deployment).await.into()
            }
            Action::Scale { cluster_uid, task_managers } => {
                self.launcher.scale(&target, cluster_uid, *task_managers).await.into()
            }
            Action::DeleteCluster { uid } => self.launcher.delete(&target, uid).await.into(),
            Action::DeleteHighAvailability(maps) => {
                high_availability::delete(&self.client, &subject.stored.key, maps).await
            }
            Action::StripJobGraphs(maps) => {
                high_availability::strip_job_graphs(&self.client, &subject.stored.key, maps).await
            }
            Action::Stop { .. }
            | Action::Cancel { .. }
            | Action::Savepoint { .. }
            | Action::Checkpoint { .. }
            | Action::Dispose { .. } => self.ask_flink(subject, action).await,
        }
    }

    async fn change_finalizers(&self, stored: &Stored, present: bool) -> Outcome {
        if stored.has_finalizer() == present {
            return Outcome::Done;
        }
        let others = stored.finalizers.iter().map(|name| &**name).filter(|name| *name != crate::FINALIZER);
        let wanted: Vec<&str> = others.chain(present.then_some(crate::FINALIZER)).collect();
        let patch = json!({ "metadata": {
            "resourceVersion": stored.version.as_str(),
            "uid": &*stored.uid,
            "finalizers": wanted,
        }});
        let api: Api<WireDeployment> = Api::namespaced(self.client.clone(), &stored.key.namespace);
        match api.patch(&stored.key.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(wire) => {
                Stored::from_wire(wire).map_or(Outcome::Done, |stored| Outcome::Changed(Box::new(stored)))
            }
            // Somebody changed the object in between: the next step sees it.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Outcome::Unknown(status.message.clone())
            }
            Err(error) => Outcome::of_kube("changing the finalizers", &error),
        }
    }

    async fn ask_flink(&self, subject: &Subject, action: &Action) -> Outcome {
        let flink = match self.flink(subject).await {
            Ok(flink) => flink,
            Err(message) => return Outcome::Refused(message),
        };
        let kind = checkpoint_kind(subject.deployed.as_deref());
        match request(&flink, action, kind).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }

    async fn flink(&self, subject: &Subject) -> Result<FlinkRest, String> {
        let deployed = subject.deployed.as_ref().ok_or("the deployed spec is not known")?;
        let endpoint = self.launcher.rest_endpoint(&subject.stored.target(), deployed).await;
        let endpoint = endpoint.ok_or("the JobManager's address is not known")?;
        let base = endpoint
            .parse()
            .map_err(|error| format!("the JobManager's address `{endpoint}` is not a URL: {error}"))?;
        Ok(FlinkRest::new(self.http.clone(), base).with_deadline(self.limits.poll.call_timeout))
    }
}

/// Sends the request of `action`. An id that is not Flink's 32 digits is refused.
async fn request(
    flink: &FlinkRest,
    action: &Action,
    checkpoint_kind: CheckpointKind,
) -> Result<Outcome, drey_flink::IdentifierError> {
    let outcome = match action {
        Action::Stop { job_id, trigger_id, target_directory, drain, format } => {
            let request = StopRequest {
                trigger: trigger_id.as_str().parse()?,
                target_directory: Some(target_directory.to_string()),
                drain: *drain,
                format: format_of(*format),
            };
            flink.stop_with_savepoint(job_id.as_str().parse()?, &request).await.into()
        }
        Action::Cancel { job_id } => flink.cancel(job_id.as_str().parse()?).await.into(),
        Action::Savepoint { job_id, trigger_id, target_directory, format } => {
            let request = SavepointRequest {
                trigger: trigger_id.as_str().parse()?,
                target_directory: Some(target_directory.to_string()),
                format: format_of(*format),
            };
            flink.trigger_savepoint(job_id.as_str().parse()?, &request).await.into()
        }
        Action::Checkpoint { job_id, trigger_id } => {
            let trigger = trigger_id.as_str().parse()?;
            let job_id = job_id.as_str().parse()?;
            flink.trigger_checkpoint(job_id, trigger, checkpoint_kind).await.into()
        }
        Action::Dispose { path } => match flink.dispose_savepoint(path).await {
            Ok(trigger) => Outcome::Disposing(trigger),
            Err(error) => Err(error).into(),
        },
        Action::AddFinalizer
        | Action::RemoveFinalizer
        | Action::Deploy(_)
        | Action::Complete { .. }
        | Action::Scale { .. }
        | Action::DeleteHighAvailability(_)
        | Action::StripJobGraphs(_)
        | Action::DeleteCluster { .. } => Outcome::Refused("this is no request to Flink".to_owned()),
    };
    Ok(outcome)
}

/// `kubernetes.operator.checkpoint.type`.
fn checkpoint_kind(deployed: Option<&Desired>) -> CheckpointKind {
    match deployed.map(|deployed| deployed.options.checkpoint_type) {
        Some(CheckpointType::Incremental) => CheckpointKind::Incremental,
        Some(CheckpointType::Full | CheckpointType::Unknown) | None => CheckpointKind::Full,
    }
}

fn format_of(format: SavepointFormat) -> drey_flink::rest::SavepointFormat {
    match format {
        SavepointFormat::Native => drey_flink::rest::SavepointFormat::Native,
        SavepointFormat::Canonical | SavepointFormat::Unknown => drey_flink::rest::SavepointFormat::Canonical,
    }
}
