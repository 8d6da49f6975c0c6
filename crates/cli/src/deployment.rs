//! A `FlinkDeployment` as a person sees it: in which state it is, what it waits for, what it was
//! restored from and what comes next. Every word comes from its spec and status; refuses to ask Flink.

use drey_api::kinds::{
    self, Condition, FlinkDeploymentSpec, FlinkDeploymentStatus, FlinkJobState, IntentRecord, JobState,
    LifecycleState,
};
use kube::core::DynamicObject;

use crate::failure::{Failure, Kind};

/// A deployment whose spec and status could be read.
#[derive(Clone, Debug)]
pub struct View {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`, 0 when the server sets none.
    pub generation: i64,
    /// Whether deletion was asked for.
    pub deleting: bool,
    /// The spec.
    pub spec: FlinkDeploymentSpec,
    /// The status; an empty one before drey has looked at it.
    pub status: FlinkDeploymentStatus,
    /// The object as the API gave it.
    pub object: DynamicObject,
}

impl View {
    /// Reads an object.
    ///
    /// # Errors
    /// The field that cannot be read.
    pub fn from_object(object: DynamicObject) -> Result<Self, Failure> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let unreadable = |part: &str, error: &kinds::ReadError| {
            Failure::new(Kind::Invalid, format!("{part} cannot be read: {error}"))
                .on(format!("flinkdeployment/{name}"))
        };
        let part = |key: &str| object.data.get(key).filter(|value| !value.is_null());
        let spec = match part("spec") {
            Some(spec) => kinds::read(spec).map_err(|error| unreadable("spec", &error))?,
            None => FlinkDeploymentSpec::default(),
        };
        let status = match part("status") {
            Some(status) => kinds::read(status).map_err(|error| unreadable("status", &error))?,
            None => FlinkDeploymentStatus::default(),
        };
        Ok(Self {
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            deleting: object.metadata.deletion_timestamp.is_some(),
            name,
            spec,
            status,
            object,
        })
    }

    /// `flinkdeployment/name`.
    #[must_use]
    pub fn object_name(&self) -> String {
        format!("flinkdeployment/{}", self.name)
    }

    /// Whether the status answers to the newest spec.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.status.observed_generation.is_some_and(|observed| observed >= self.generation)
    }

    /// The state of the whole resource, when it answers to the newest spec.
    #[must_use]
    pub fn current_lifecycle(&self) -> Option<LifecycleState> {
        self.is_current().then_some(self.status.lifecycle_state).flatten()
    }

    /// Whether the job is suspended as the newest spec wants it, also one that has never run.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        let wants_to_run = self.spec.job.as_ref().is_some_and(|job| job.state == JobState::Running);
        match self.current_lifecycle() {
            Some(LifecycleState::Suspended) => true,
            Some(LifecycleState::Created) => !wants_to_run && self.open_intent().is_none(),
            Some(_) | None => false,
        }
    }

    /// State of the job, as far as it is known.
    #[must_use]
    pub fn job_state(&self) -> Option<FlinkJobState> {
        self.status.job_status.as_ref().and_then(|job| job.state)
    }

    /// Job id of the present run.
    #[must_use]
    pub fn job_id(&self) -> Option<&str> {
        let of_job = self.status.job_status.as_ref().and_then(|job| job.job_id.as_deref());
        let of_run = self.status.run.as_ref().map(|run| run.job_id.as_str());
        of_job.or(of_run).filter(|id| !id.is_empty())
    }

    /// A condition that is `True`.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
    }

    /// Why only a person can help, if that is so.
    #[must_use]
    pub fn stalled(&self) -> Option<&Condition> {
        self.condition("Stalled").filter(|condition| {
            condition.observed_generation.is_none_or(|observed| observed >= self.generation)
        })
    }

    /// What it waits for, in one sentence; empty at rest.
    #[must_use]
    pub fn sentence(&self) -> String {
        let condition = self.stalled().or_else(|| self.condition("Reconciling"));
        match condition {
            Some(condition) => condition.message.clone().or_else(|| condition.reason.clone()),
            None if self.deleting => Some("being deleted".to_owned()),
            None if !self.is_current() => Some("not looked at yet".to_owned()),
            None => None,
        }
        .unwrap_or_default()
    }

    /// What the error field of the status says, without its wrapping of JSON.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let text = self.status.error.as_deref()?;
        let message = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|error| error.get("message")?.as_str().map(str::to_owned));
        Some(message.unwrap_or_else(|| text.to_owned()))
    }

    /// Where the present run got its state from, in words.
    #[must_use]
    pub fn restored_from(&self) -> String {
        let Some(run) = &self.status.run else { return "nothing has run yet".to_owned() };
        match run.restored_from.as_deref() {
            None => "nothing: it started empty".to_owned(),
            Some("last-state") => "the newest checkpoint in high-availability data".to_owned(),
            Some(path) => path.to_owned(),
        }
    }

    /// The act that is under way.
    #[must_use]
    pub fn open_intent(&self) -> Option<&IntentRecord> {
        self.status.intent.as_ref().filter(|intent| !matches!(intent.kind.as_str(), "" | "None"))
    }

    /// What comes after the act that is under way, in words; empty at rest.
    #[must_use]
    pub fn next(&self) -> String {
        let Some(intent) = self.open_intent() else { return self.next_at_rest() };
        match intent.kind.as_str() {
            "Deploy" => "the JobManager starts, the job runs, and the deployment becomes STABLE",
            "StopWithSavepoint" => "the job stops, its savepoint is recorded, and the cluster is taken down",
            "Cancel" => "the job ends with its checkpoints kept, and the cluster is taken down",
            "Scale" => "the cluster gets as many TaskManagers as the spec says; the job adapts",
            "Complete" => "what is missing of the cluster is created again; the job runs on",
            "Teardown" if self.deleting => "the last process ends, and the resource goes away",
            "Teardown" => "the last process ends, and only then the next run's state is chosen",
            "Savepoint" => "the savepoint completes and is recorded; the job runs on",
            "Checkpoint" => "the checkpoint completes and is recorded; the job runs on",
            "DisposeSavepoint" => "the savepoint is removed from storage; the job runs on",
            _ => "the act that is under way completes",
        }
        .to_owned()
    }

    fn next_at_rest(&self) -> String {
        match (self.stalled(), self.current_lifecycle()) {
            (Some(_), _) => "nothing, until the spec is changed".to_owned(),
            (None, Some(_)) if self.is_suspended() => format!("`drey resume {}` runs it again", self.name),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kube::core::ApiResource;
    use serde_json::{Value, json};

    pub(crate) fn view(spec: &Value, status: &Value) -> View {
        let resource = ApiResource::erase::<kinds::FlinkDeployment>(&());
        let data = json!({"spec": spec, "status": status});
        let mut object = DynamicObject::new("a", &resource).within("default").data(data);
        object.metadata.generation = Some(2);
        View::from_object(object).expect("readable")
    }

    #[test]
    fn a_stalled_resource_says_why_before_anything_else() {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "Reconciling", "status": "True", "message": "waiting"},
            {"type": "Stalled", "status": "True", "reason": "JobFailed", "message": "the job failed"}]});
        let view = view(&json!({}), &status);
        assert_eq!(view.sentence(), "the job failed");
        assert_eq!(view.next(), "nothing, until the spec is changed");
    }

    #[test]
    fn a_status_of_an_older_spec_is_not_current() {
        let view = view(&json!({}), &json!({"observedGeneration": 1, "lifecycleState": "STABLE"}));
        assert_eq!(view.current_lifecycle(), None);
        assert_eq!(view.sentence(), "not looked at yet");
    }

    #[test]
    fn a_job_that_was_created_suspended_is_suspended() {
        let created = json!({"observedGeneration": 2, "lifecycleState": "CREATED"});
        assert!(view(&json!({"job": {"state": "suspended"}}), &created).is_suspended());
        assert!(!view(&json!({"job": {"state": "running"}}), &created).is_suspended());
    }

    #[test]
    fn the_restore_source_is_named() {
        let expected = [
            (json!(null), "nothing has run yet"),
            (json!({"jobId": "x"}), "nothing: it started empty"),
            (json!({"restoredFrom": "/s/1"}), "/s/1"),
            (json!({"restoredFrom": "last-state"}), "the newest checkpoint in high-availability data"),
        ];
        for (run, words) in expected {
            let mut status = json!({});
            if !run.is_null() {
                status["run"] = run;
            }
            assert_eq!(view(&json!({}), &status).restored_from(), words);
        }
    }

    #[test]
    fn a_broken_status_is_an_error_of_that_object() {
        let resource = ApiResource::erase::<kinds::FlinkDeployment>(&());
        let object =
            DynamicObject::new("a", &resource).data(json!({"status": {"lifecycleState": "SIDEWAYS"}}));
        let failure = View::from_object(object).expect_err("unknown word");
        assert!(failure.to_string().contains("lifecycleState"), "{failure}");
    }
}
