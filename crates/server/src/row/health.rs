//! How a resource is, in one word and one sentence, from its spec and status alone: with drey's conditions, or with the
//! fewer words that the Java operator writes. Red is for what needs a person. Refuses to guess what is not written.

use drey_api::kinds::{self, FlinkDeploymentStatus};
use drey_api::story::error_message;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Fields, moment};
use crate::key::FleetKind;

/// How a resource is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Health {
    /// It needs a person.
    Failing,
    /// It works, and not as it should.
    Degraded,
    /// Something is under way.
    Changing,
    /// It cannot be told.
    Unknown,
    /// As it should be.
    Healthy,
    /// Stopped on purpose.
    Suspended,
    /// Its work is done.
    Finished,
}

impl Health {
    /// Every word.
    pub(crate) const ALL: [Health; 7] = [
        Health::Failing,
        Health::Degraded,
        Health::Changing,
        Health::Unknown,
        Health::Healthy,
        Health::Suspended,
        Health::Finished,
    ];

    /// The word in queries and facets.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Degraded => "degraded",
            Self::Changing => "changing",
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Suspended => "suspended",
            Self::Finished => "finished",
        }
    }
}

/// What is said of one resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) health: Health,
    pub(super) lifecycle: Option<String>,
    pub(super) job_state: Option<String>,
    pub(super) sentence: String,
    pub(super) since: Option<i64>,
    pub(super) warning: Option<String>,
}

/// Judges `object`.
pub(super) fn judge(kind: FleetKind, object: &Value) -> Verdict {
    let fields = Fields(object);
    let mut verdict = match kind {
        FleetKind::Snapshot => snapshot(&fields),
        FleetKind::BlueGreen => blue_green(&fields),
        FleetKind::Deployment | FleetKind::SessionJob => of_job(&fields),
    };
    if fields.text("/metadata/deletionTimestamp").is_some() && verdict.health != Health::Failing {
        verdict.health = Health::Changing;
        if verdict.sentence.is_empty() {
            "being deleted".clone_into(&mut verdict.sentence);
        }
        verdict.since = verdict.since.or_else(|| fields.moment("/metadata/deletionTimestamp"));
    }
    verdict.warning = unreadable(kind, object);
    if verdict.warning.is_some() && verdict.health == Health::Healthy {
        verdict.health = Health::Unknown;
    }
    verdict
}

/// Why spec or status cannot be read as what they should be.
fn unreadable(kind: FleetKind, object: &Value) -> Option<String> {
    if object.get("spec").is_none_or(Value::is_null) {
        return Some("it has no spec".to_owned());
    }
    let error = match kind {
        FleetKind::Deployment => kinds::read::<kinds::FlinkDeploymentSpec>(&object["spec"]).err(),
        FleetKind::SessionJob => kinds::read::<kinds::FlinkSessionJobSpec>(&object["spec"]).err(),
        FleetKind::BlueGreen => kinds::read::<kinds::FlinkBlueGreenDeploymentSpec>(&object["spec"]).err(),
        FleetKind::Snapshot => kinds::read::<kinds::FlinkStateSnapshotSpec>(&object["spec"]).err(),
    };
    if let Some(error) = error {
        return Some(format!("it cannot be read: spec.{error}"));
    }
    let status = object.get("status").filter(|status| !status.is_null())?;
    let error = match kind {
        FleetKind::Deployment => kinds::read::<FlinkDeploymentStatus>(status).err(),
        FleetKind::SessionJob => kinds::read::<kinds::FlinkSessionJobStatus>(status).err(),
        FleetKind::BlueGreen => kinds::read::<kinds::FlinkBlueGreenDeploymentStatus>(status).err(),
        FleetKind::Snapshot => kinds::read::<kinds::FlinkStateSnapshotStatus>(status).err(),
    };
    error.map(|error| format!("it cannot be read: status.{error}"))
}

/// A condition that is `True`: its reason, message and moment.
struct Condition<'a> {
    reason: &'a str,
    message: &'a str,
    since: Option<i64>,
}

fn condition<'a>(fields: &Fields<'a>, kind: &str) -> Option<Condition<'a>> {
    let conditions = fields.0.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|found| found["type"] == kind && found["status"] == "True")?;
    let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
    let (reason, message) = (text("reason"), text("message"));
    let message = if message.is_empty() { reason } else { message };
    Some(Condition { reason, message, since: moment(text("lastTransitionTime")) })
}

/// What the error field says, without its wrapping of JSON.
fn error(fields: &Fields<'_>) -> Option<String> {
    fields.text("/status/error").map(error_message)
}

fn of_job(fields: &Fields<'_>) -> Verdict {
    let lifecycle = fields.text("/status/lifecycleState");
    let job_state = fields.text("/status/jobStatus/state");
    let (health, sentence, since) = tell(fields, lifecycle, job_state);
    Verdict {
        health,
        lifecycle: lifecycle.map(str::to_owned),
        job_state: job_state.map(str::to_owned),
        sentence,
        since,
        warning: None,
    }
}

type Told = (Health, String, Option<i64>);

fn tell(fields: &Fields<'_>, lifecycle: Option<&str>, job_state: Option<&str>) -> Told {
    let wants_to_run = fields.text("/spec/job/state") != Some("suspended");
    let current = match (fields.integer("/status/observedGeneration"), fields.integer("/metadata/generation"))
    {
        (Some(observed), Some(generation)) => observed >= generation,
        (None, _) | (_, None) => true,
    };
    if let Some(stalled) = condition(fields, "Stalled") {
        let health = match stalled.reason {
            // Nothing that drey looks after yet.
            "SessionCluster" => Health::Unknown,
            _ if matches!(lifecycle, Some("ROLLED_BACK")) && job_state == Some("RUNNING") => Health::Degraded,
            _ => Health::Failing,
        };
        return (health, stalled.message.to_owned(), stalled.since);
    }
    let reconciling = condition(fields, "Reconciling");
    let (words, since) = match &reconciling {
        Some(reconciling) => (reconciling.message.to_owned(), reconciling.since),
        None => (error(fields).unwrap_or_default(), None),
    };
    let health = match (lifecycle, job_state) {
        _ if reconciling.as_ref().is_some_and(|it| it.reason == "JobManagerFailing") => Health::Failing,
        (Some("FAILED"), _) | (_, Some("FAILED")) => Health::Failing,
        (Some("SUSPENDED"), _) => Health::Suspended,
        (Some("CREATED"), _) if !wants_to_run && reconciling.is_none() && current => Health::Suspended,
        (Some("ROLLING_BACK" | "ROLLED_BACK"), _) => Health::Degraded,
        (_, Some("RESTARTING" | "FAILING")) => Health::Degraded,
        (Some("DELETING"), _) => Health::Changing,
        (_, Some("FINISHED" | "CANCELED")) if reconciling.is_none() && wants_to_run => Health::Finished,
        _ if reconciling.as_ref().is_some_and(|it| it.reason == "JobManagerUnreachable") => Health::Degraded,
        _ if fields.text("/status/jobManagerDeploymentStatus") == Some("ERROR") => Health::Failing,
        (Some("STABLE"), _) if reconciling.is_none() && current && !words.is_empty() => Health::Degraded,
        (Some("STABLE"), _) if reconciling.is_none() && current => Health::Healthy,
        (Some(_) | None, _) => Health::Changing,
    };
    let words = match health {
        Health::Changing if words.is_empty() && (!current || lifecycle.is_none()) => {
            "not looked at yet".to_owned()
        }
        _ => words,
    };
    (health, words, since)
}

fn snapshot(fields: &Fields<'_>) -> Verdict {
    let state = fields.text("/status/state");
    let health = match state {
        Some("COMPLETED") => Health::Healthy,
        Some("FAILED") => Health::Failing,
        Some("ABANDONED") => Health::Degraded,
        Some(_) | None => Health::Changing,
    };
    Verdict {
        health,
        lifecycle: state.map(str::to_owned),
        job_state: None,
        sentence: error(fields).unwrap_or_default(),
        since: fields.moment("/status/resultTimestamp").or_else(|| fields.moment("/status/triggerTimestamp")),
        warning: None,
    }
}

fn blue_green(fields: &Fields<'_>) -> Verdict {
    let state = fields.text("/status/blueGreenState");
    let job_state = fields.text("/status/jobStatus/state");
    let sentence = error(fields).unwrap_or_default();
    let health = match (state, job_state) {
        _ if !sentence.is_empty() => Health::Failing,
        (_, Some("FAILED" | "FAILING")) => Health::Failing,
        (Some("ACTIVE_BLUE" | "ACTIVE_GREEN"), Some("SUSPENDED")) => Health::Suspended,
        (Some("ACTIVE_BLUE" | "ACTIVE_GREEN"), _) => Health::Healthy,
        (Some(_) | None, _) => Health::Changing,
    };
    Verdict {
        health,
        lifecycle: state.map(str::to_owned),
        job_state: job_state.map(str::to_owned),
        sentence,
        since: fields.moment("/status/lastReconciledTimestamp"),
        warning: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(spec: &Value, status: &Value) -> Verdict {
        let object = json!({ "metadata": { "name": "a", "generation": 2 }, "spec": spec, "status": status });
        judge(FleetKind::Deployment, &object)
    }

    #[test]
    fn each_state_has_its_word() {
        let running = json!({ "job": { "state": "running" } });
        let suspended = json!({ "job": { "state": "suspended" } });
        let table = [
            (
                &running,
                json!({ "lifecycleState": "STABLE", "observedGeneration": 2, "jobStatus": { "state": "RUNNING" } }),
                Health::Healthy,
            ),
            (
                &running,
                json!({ "lifecycleState": "STABLE", "observedGeneration": 1, "jobStatus": { "state": "RUNNING" } }),
                Health::Changing,
            ),
            (
                &running,
                json!({ "lifecycleState": "STABLE", "error": "it hurts", "observedGeneration": 2 }),
                Health::Degraded,
            ),
            (
                &running,
                json!({ "lifecycleState": "STABLE", "observedGeneration": 2, "jobStatus": { "state": "FINISHED" } }),
                Health::Finished,
            ),
            (
                &running,
                json!({ "lifecycleState": "DEPLOYED", "jobStatus": { "state": "RESTARTING" } }),
                Health::Degraded,
            ),
            (&running, json!({ "lifecycleState": "UPGRADING" }), Health::Changing),
            (
                &running,
                json!({ "lifecycleState": "FAILED", "jobStatus": { "state": "FAILED" } }),
                Health::Failing,
            ),
            (&running, json!({ "lifecycleState": "ROLLED_BACK" }), Health::Degraded),
            (
                &suspended,
                json!({ "lifecycleState": "SUSPENDED", "jobStatus": { "state": "FINISHED" } }),
                Health::Suspended,
            ),
            (&suspended, json!({ "lifecycleState": "CREATED", "observedGeneration": 2 }), Health::Suspended),
            (&running, json!({ "lifecycleState": "CREATED", "observedGeneration": 2 }), Health::Changing),
            (&running, json!(null), Health::Changing),
        ];
        for (spec, status, expected) in table {
            assert_eq!(deployment(spec, &status).health, expected, "{status}");
        }
    }

    #[test]
    fn what_drey_says_counts_before_upstreams_words() {
        let stalled = json!({ "lifecycleState": "STABLE", "observedGeneration": 2, "conditions": [
            { "type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "the spec is refused",
              "lastTransitionTime": "1970-01-01T00:00:01Z" } ] });
        let verdict = deployment(&json!({ "job": {} }), &stalled);
        assert_eq!(
            (verdict.health, verdict.sentence.as_str(), verdict.since),
            (Health::Failing, "the spec is refused", Some(1_000))
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_warning_of_that_row() {
        let verdict = deployment(
            &json!({ "job": { "parallelism": "many" } }),
            &json!({ "lifecycleState": "STABLE", "observedGeneration": 2 }),
        );
        assert_eq!(verdict.health, Health::Unknown);
        assert!(verdict.warning.is_some_and(|warning| warning.contains("job.parallelism")));
        let verdict = judge(FleetKind::Deployment, &json!({ "metadata": { "name": "canary" } }));
        assert_eq!(verdict.warning.as_deref(), Some("it has no spec"));
    }
}
