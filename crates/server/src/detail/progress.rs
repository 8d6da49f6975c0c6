//! What is under way as its steps: which are done, which one it is at, what it waits for and what comes next. The record
//! of the intent tells; refuses to guess how long a step takes.

use drey_api::kinds::{IntentRecord, JobState};
use drey_api::story::Story;
use schemars::JsonSchema;
use serde::Serialize;

/// What is under way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    title: String,
    note: Option<String>,
    asked_at: Option<i64>,
    steps: Vec<Step>,
    pub(crate) waiting: Option<String>,
    next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Step {
    name: &'static str,
    state: State,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StepState")]
#[serde(rename_all = "camelCase")]
enum State {
    Done,
    Now,
    Todo,
}

impl Progress {
    /// What is under way with this resource; `None` at rest.
    pub(crate) fn of(story: &Story) -> Option<Progress> {
        let waiting = Some(story.sentence()).filter(|sentence| !sentence.is_empty());
        let next = Some(story.next()).filter(|next| !next.is_empty());
        let Some(intent) = story.open_intent() else {
            let waiting = waiting?;
            let title = if story.stalled().is_some() { "It needs a person" } else { "It waits" };
            return Some(Progress {
                title: title.to_owned(),
                note: None,
                asked_at: None,
                steps: Vec::new(),
                waiting: Some(waiting),
                next,
            });
        };
        let names = steps(intent, story);
        let at = names.iter().position(|name| *name == at(intent)).unwrap_or_default();
        let steps = names.iter().enumerate().map(|(index, name)| {
            let state = match index.cmp(&at) {
                std::cmp::Ordering::Less => State::Done,
                std::cmp::Ordering::Equal => State::Now,
                std::cmp::Ordering::Greater => State::Todo,
            };
            Step { name, state, detail: if index == at { evidence(intent) } else { String::new() } }
        });
        Some(Progress {
            title: title(intent, story),
            note: intent.restore_from.as_ref().map(|from| match from.as_str() {
                "last-state" => "starts from the newest checkpoint in high-availability data".to_owned(),
                path => format!("starts from {path}"),
            }),
            asked_at: intent.started_at,
            steps: steps.collect(),
            waiting,
            next,
        })
    }
}

fn title(intent: &IntentRecord, story: &Story) -> String {
    let generation = intent.generation.unwrap_or(story.generation);
    match intent.kind.as_str() {
        _ if story.deleting => "Deletion".to_owned(),
        "Savepoint" => "A savepoint".to_owned(),
        "Checkpoint" => "A checkpoint".to_owned(),
        "DisposeSavepoint" => "An old savepoint is removed".to_owned(),
        "Complete" => "What is missing of the cluster is made again".to_owned(),
        "Scale" => format!("Scaling to generation {generation}"),
        _ if !wants_to_run(story) => "Suspension".to_owned(),
        _ if story.status.run.is_none() => "The first start".to_owned(),
        _ => format!("Upgrade to generation {generation}"),
    }
}

fn wants_to_run(story: &Story) -> bool {
    story.spec.job.as_ref().is_none_or(|job| job.state == JobState::Running)
}

/// All the steps of which this intent is one.
fn steps(intent: &IntentRecord, story: &Story) -> Vec<&'static str> {
    let first = match intent.kind.as_str() {
        "StopWithSavepoint" => "Savepoint and stop",
        "Cancel" => "Cancel",
        "Savepoint" => return vec!["Savepoint"],
        "Checkpoint" => return vec!["Checkpoint"],
        "DisposeSavepoint" => return vec!["Removal"],
        "Complete" => return vec!["Completion", "Running"],
        "Scale" => return vec!["Scaling", "Running"],
        _ => "Stop",
    };
    let is_first_start = story.status.run.is_none();
    match (story.deleting, wants_to_run(story), is_first_start) {
        (true, _, _) => vec![first, "Take down", "Gone"],
        (false, false, _) => vec![first, "Take down", "Suspended"],
        (false, true, true) => vec!["Start", "Running"],
        (false, true, false) => vec![first, "Take down", "Start", "Running"],
    }
}

/// The step that the intent itself is.
fn at(intent: &IntentRecord) -> &'static str {
    match intent.kind.as_str() {
        "StopWithSavepoint" => "Savepoint and stop",
        "Cancel" => "Cancel",
        "Teardown" => "Take down",
        "Deploy" => "Start",
        "Savepoint" => "Savepoint",
        "Checkpoint" => "Checkpoint",
        "DisposeSavepoint" => "Removal",
        "Complete" => "Completion",
        "Scale" => "Scaling",
        _ => "",
    }
}

fn evidence(intent: &IntentRecord) -> String {
    let mut words = vec![format!("intent {}", intent.seq)];
    if let Some(attempts) = intent.attempts.filter(|attempts| *attempts > 1) {
        words.push(format!("tried {attempts} times"));
    }
    if let Some(directory) = &intent.target_directory {
        words.push(format!("to {directory}"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn progress(state: &str, intent: &str) -> Progress {
        let object = json!({ "metadata": { "name": "a", "generation": 3 }, "spec": { "job": { "state": state } },
            "status": { "run": { "jobId": "ab" }, "intent": { "seq": 4, "kind": intent, "generation": 3 } } });
        Progress::of(&Story::read(&object).expect("readable")).expect("under way")
    }

    fn steps(progress: &Progress) -> Vec<(&str, State)> {
        progress.steps.iter().map(|step| (step.name, step.state)).collect()
    }

    #[test]
    fn an_upgrade_and_a_suspension_are_told_by_their_steps() {
        let upgrade = progress("running", "Teardown");
        assert_eq!(upgrade.title, "Upgrade to generation 3");
        let (done, now, todo) = (State::Done, State::Now, State::Todo);
        assert_eq!(steps(&upgrade), [("Stop", done), ("Take down", now), ("Start", todo), ("Running", todo)]);
        let suspension = progress("suspended", "StopWithSavepoint");
        assert_eq!(suspension.title, "Suspension");
        assert_eq!(
            steps(&suspension),
            [("Savepoint and stop", now), ("Take down", todo), ("Suspended", todo)]
        );
        assert_eq!(steps(&progress("running", "Savepoint")), [("Savepoint", now)]);
    }
}
