//! A FlinkDeployment as every face tells of it: in which state it is, what it waits for, what it was restored from and
//! what comes next. Every word comes from its spec and status. Refuses to ask anybody.

use serde_json::Value;

use crate::kinds::{
    Condition, FlinkDeploymentSpec, FlinkDeploymentStatus, FlinkJobState, IntentRecord, JobState,
    LifecycleState, ReadError, read,
};

/// A FlinkDeployment whose spec and status could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.generation`, 0 when the server sets none.
    pub generation: i64,
    /// Whether deletion was asked for.
    pub deleting: bool,
    /// The spec.
    pub spec: FlinkDeploymentSpec,
    /// The status; an empty one before drey has looked at it.
    pub status: FlinkDeploymentStatus,
}

impl Story {
    /// Reads a whole object.
    ///
    /// # Errors
    /// The field that cannot be read, with `spec` or `status` in front.
    pub fn read(object: &Value) -> Result<Story, ReadError> {
        let metadata = &object["metadata"];
        Ok(Story {
            name: metadata["name"].as_str().unwrap_or_default().to_owned(),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            deleting: metadata.get("deletionTimestamp").is_some_and(|at| !at.is_null()),
            spec: part(object, "spec")?,
            status: part(object, "status")?,
        })
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
        self.status.error.as_deref().map(error_message)
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

/// What an error field says, without its wrapping of JSON.
#[must_use]
pub fn error_message(text: &str) -> String {
    let parsed = serde_json::from_str::<Value>(text).ok();
    let message = parsed.as_ref().and_then(|error| error.get("message")?.as_str());
    message.unwrap_or(text).to_owned()
}

fn part<T: serde::de::DeserializeOwned + Default>(object: &Value, key: &str) -> Result<T, ReadError> {
    let Some(part) = object.get(key).filter(|part| !part.is_null()) else { return Ok(T::default()) };
    read(part).map_err(|error| ReadError { path: format!("{key}.{}", error.path), message: error.message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn story(spec: &Value, status: &Value) -> Story {
        let metadata = json!({ "name": "a", "generation": 2 });
        Story::read(&json!({ "metadata": metadata, "spec": spec, "status": status })).expect("readable")
    }

    #[test]
    fn a_stalled_resource_says_why_before_anything_else() {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "Reconciling", "status": "True", "message": "waiting"},
            {"type": "Stalled", "status": "True", "reason": "JobFailed", "message": "the job failed"}]});
        let story = story(&json!({}), &status);
        assert_eq!(story.sentence(), "the job failed");
        assert_eq!(story.next(), "nothing, until the spec is changed");
    }

    #[test]
    fn a_status_of_an_older_spec_is_not_current() {
        let story = story(&json!({}), &json!({"observedGeneration": 1, "lifecycleState": "STABLE"}));
        assert_eq!(story.current_lifecycle(), None);
        assert_eq!(story.sentence(), "not looked at yet");
    }

    #[test]
    fn a_job_that_was_created_suspended_is_suspended() {
        let created = json!({"observedGeneration": 2, "lifecycleState": "CREATED"});
        assert!(story(&json!({"job": {"state": "suspended"}}), &created).is_suspended());
        assert!(!story(&json!({"job": {"state": "running"}}), &created).is_suspended());
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
            assert_eq!(story(&json!({}), &status).restored_from(), words);
        }
    }

    #[test]
    fn a_broken_status_is_an_error_that_names_the_field() {
        let error =
            Story::read(&json!({ "status": { "lifecycleState": "SIDEWAYS" } })).expect_err("unknown word");
        assert_eq!(error.path, "status.lifecycleState");
    }
}
