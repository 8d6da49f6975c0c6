//! What a change of a FlinkDeployment will bring about, in words that a person can say yes or no to. Pure. The rules are
//! those of the diff and of the upgrade modes; refuses to carry anything out.

use std::sync::Arc;

use crate::configuration::flatten;
use crate::diff::{self, Effect, SpecChange};
use crate::kinds::{FlinkDeploymentSpec, JobState, UpgradeMode};
use crate::reconciled;
use crate::story::Story;

/// What a change comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In words.
    pub effect: String,
    /// State may be given up, or the resource goes away: asks for its name.
    pub dangerous: bool,
}

impl Outcome {
    fn safe(effect: impl Into<String>) -> Outcome {
        Outcome { effect: effect.into(), dangerous: false }
    }

    fn dangerous(effect: impl Into<String>) -> Outcome {
        Outcome { effect: effect.into(), dangerous: true }
    }
}

/// What becomes of a job that runs `deployed` when its spec becomes `new`; `kept` is the state that is kept for the next
/// run.
pub fn of_change(
    deployed: Option<&FlinkDeploymentSpec>,
    new: &FlinkDeploymentSpec,
    kept: Option<&str>,
) -> Outcome {
    let Some(deployed) = deployed else { return first_start(new) };
    let Some(change) = diff::compare(deployed, new) else {
        return Outcome::safe("Nothing changes for the job.");
    };
    match change.effect {
        Effect::Ignore => Outcome::safe(noted(&change)),
        Effect::Scale if is_reactive(deployed) && is_reactive(new) => {
            Outcome::safe("Changes the number of TaskManagers. The job adapts without a restart.")
        }
        Effect::SavepointRedeploy => {
            let path = new.job.as_ref().and_then(|job| job.initial_savepoint_path.as_deref());
            let path = path.unwrap_or("an empty state");
            let state = |spec: &FlinkDeploymentSpec| spec.job.as_ref().map(|job| job.state);
            match (state(deployed), state(new)) {
                (_, Some(JobState::Suspended)) => {
                    Outcome::safe("The job stays suspended, and is not restored.")
                }
                (Some(JobState::Suspended), _) if kept == Some(path) => {
                    Outcome::safe(format!("Starts the job from {path}, which is what it was stopped with."))
                }
                (Some(JobState::Suspended), _) => Outcome::dangerous(format!(
                    "Gives up the state that is kept and starts the job from {path}."
                )),
                _ => Outcome::dangerous(format!(
                    "Stops the job, gives its present state up and starts it from {path}."
                )),
            }
        }
        Effect::Scale | Effect::Upgrade => upgrade(deployed, new, kept),
    }
}

/// What becomes of the job of `story` when its spec becomes `new`.
pub fn of_edit(story: &Story, new: &FlinkDeploymentSpec) -> Outcome {
    let kept = story.status.job_status.as_ref().and_then(|job| job.upgrade_savepoint_path.as_deref());
    of_change(deployed(story).as_deref(), new, kept)
}

/// The spec that the present cluster of `story` was made from, when there is one on record.
pub fn deployed(story: &Story) -> Option<Arc<FlinkDeploymentSpec>> {
    let record = story.status.reconciliation_status.as_ref()?.last_reconciled_spec.as_deref()?;
    Some(reconciled::decode(record).ok()?.spec)
}

/// What becomes of a job whose resource is deleted.
pub fn of_deletion(spec: &FlinkDeploymentSpec) -> Outcome {
    let takes_savepoint = option(spec, "kubernetes.operator.job.savepoint-on-deletion")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if spec.job.is_none() {
        return Outcome::dangerous("Deletes the session cluster, and what runs on it ends.");
    }
    if takes_savepoint {
        return Outcome::dangerous(
            "Takes a savepoint, stops the job, and deletes the cluster and the resource. The savepoint stays.",
        );
    }
    Outcome::dangerous(
        "Stops the job without a savepoint and deletes the cluster and the resource. Checkpoints stay only where they are retained.",
    )
}

fn first_start(new: &FlinkDeploymentSpec) -> Outcome {
    match &new.job {
        Some(job) if job.state == JobState::Suspended => {
            Outcome::safe("Nothing is started: the job is suspended.")
        }
        Some(job) => Outcome::safe(match &job.initial_savepoint_path {
            Some(path) => format!("Starts the job from {path}."),
            None => "Starts the job without state.".to_owned(),
        }),
        None => Outcome::safe("Starts the session cluster."),
    }
}

fn noted(change: &SpecChange) -> String {
    let has = |path: &str| change.changes.iter().any(|change| change.path == path);
    if has("job.savepointTriggerNonce") {
        "Takes a savepoint. The job runs on.".to_owned()
    } else if has("job.checkpointTriggerNonce") {
        "Takes a checkpoint. The job runs on.".to_owned()
    } else {
        "Is taken note of. The job runs on.".to_owned()
    }
}

fn upgrade(deployed: &FlinkDeploymentSpec, new: &FlinkDeploymentSpec, kept: Option<&str>) -> Outcome {
    let (Some(before), Some(after)) = (&deployed.job, &new.job) else {
        return Outcome::safe("Takes the cluster down and starts it as the spec says.");
    };
    let starts = starts(before.parallelism, after.parallelism);
    match (before.state, after.state, after.upgrade_mode) {
        (JobState::Suspended, JobState::Suspended, _) => {
            Outcome::safe("The job stays suspended. The change counts when it is resumed.")
        }
        (JobState::Suspended, JobState::Running, UpgradeMode::Stateless) => {
            Outcome::safe(format!("Starts the job without state{starts}."))
        }
        (JobState::Suspended, JobState::Running, UpgradeMode::Savepoint | UpgradeMode::LastState) => {
            let from = kept.map_or_else(|| " from its kept state".to_owned(), |path| format!(" from {path}"));
            Outcome::safe(format!("Starts the job{from}{starts}."))
        }
        (JobState::Running, JobState::Suspended, mode) => match mode {
            UpgradeMode::Savepoint => Outcome::safe(
                "Takes a savepoint, stops the job and takes its cluster down. Resuming starts from that savepoint.",
            ),
            UpgradeMode::LastState => Outcome::safe(
                "Takes the cluster down and keeps the newest checkpoint. Resuming starts from it.",
            ),
            UpgradeMode::Stateless => Outcome::dangerous(
                "Stops the job and takes its cluster down. No state is kept: the upgrade mode is stateless.",
            ),
        },
        (JobState::Running, JobState::Running, mode) => match mode {
            UpgradeMode::Savepoint => {
                Outcome::safe(format!("Takes a savepoint, stops the job and starts it from there{starts}."))
            }
            UpgradeMode::LastState => Outcome::safe(format!(
                "Takes the cluster down and starts it from the newest checkpoint{starts}."
            )),
            UpgradeMode::Stateless => Outcome::dangerous(format!(
                "Stops the job and starts it without state{starts}: the upgrade mode is stateless."
            )),
        },
    }
}

fn starts(before: i32, after: i32) -> String {
    if before == after { String::new() } else { format!(" at parallelism {after}") }
}

fn is_reactive(spec: &FlinkDeploymentSpec) -> bool {
    option(spec, "scheduler-mode").is_some_and(|mode| mode.trim().eq_ignore_ascii_case("reactive"))
}

fn option(spec: &FlinkDeploymentSpec, key: &str) -> Option<String> {
    flatten(spec.flink_configuration.as_ref()?).ok()?.get(key).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::read;
    use serde_json::{Value, json};

    fn spec(job: &Value) -> FlinkDeploymentSpec {
        read(&json!({ "flinkVersion": "v1_20", "job": job })).expect("readable")
    }

    fn becomes(before: &Value, after: &Value) -> Outcome {
        of_change(Some(&spec(before)), &spec(after), Some("/kept"))
    }

    #[test]
    fn each_change_is_said_and_what_costs_state_is_dangerous() {
        let table = [
            (
                json!({ "parallelism": 2, "upgradeMode": "savepoint" }),
                json!({ "parallelism": 4, "upgradeMode": "savepoint" }),
                "Takes a savepoint, stops the job and starts it from there at parallelism 4.",
                false,
            ),
            (
                json!({ "args": ["a"], "upgradeMode": "last-state" }),
                json!({ "args": ["b"], "upgradeMode": "last-state" }),
                "Takes the cluster down and starts it from the newest checkpoint.",
                false,
            ),
            (
                json!({ "args": ["a"] }),
                json!({ "args": ["b"], "upgradeMode": "stateless" }),
                "Stops the job and starts it without state: the upgrade mode is stateless.",
                true,
            ),
            (
                json!({ "upgradeMode": "savepoint" }),
                json!({ "upgradeMode": "savepoint", "state": "suspended" }),
                "Takes a savepoint, stops the job and takes its cluster down. Resuming starts from that savepoint.",
                false,
            ),
            (
                json!({ "upgradeMode": "savepoint", "state": "suspended" }),
                json!({ "upgradeMode": "savepoint" }),
                "Starts the job from /kept.",
                false,
            ),
            (json!({}), json!({ "savepointTriggerNonce": 1 }), "Takes a savepoint. The job runs on.", false),
            (
                json!({}),
                json!({ "savepointRedeployNonce": 1, "initialSavepointPath": "/s" }),
                "Stops the job, gives its present state up and starts it from /s.",
                true,
            ),
            (json!({}), json!({}), "Nothing changes for the job.", false),
        ];
        for (before, after, effect, dangerous) in table {
            let outcome = becomes(&before, &after);
            assert_eq!((outcome.effect.as_str(), outcome.dangerous), (effect, dangerous), "{before} {after}");
        }
    }

    #[test]
    fn a_deletion_says_whether_state_is_kept() {
        let mut with = spec(&json!({}));
        assert!(of_deletion(&with).effect.contains("without a savepoint"));
        with.flink_configuration = Some(json!({ "kubernetes.operator.job.savepoint-on-deletion": "true" }));
        assert!(of_deletion(&with).effect.starts_with("Takes a savepoint"));
    }
}
