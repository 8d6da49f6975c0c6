//! One resource in depth, from its spec, its status and its row. Pure. Refuses to ask anybody.

mod progress;

use std::sync::Arc;

use drey_api::change;
use drey_api::diff;
use drey_api::effect;
use drey_api::kinds::{DeploymentMode, FlinkDeploymentSpec};
use drey_api::story::Story;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::key::{FleetKind, Key};
use crate::row::{Row, moment};
use progress::Progress;

/// One resource in depth.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    pub(crate) row: Arc<Row>,
    pub(crate) now: i64,
    pub(crate) title: Title,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) progress: Option<Progress>,
    pub(crate) restored_from: Option<Restored>,
    pub(crate) job_id: Option<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) gitops: Option<GitOps>,
    pub(crate) may: May,
    pub(crate) actions: Vec<Action>,
    pub(crate) links: Vec<Url>,
    pub(crate) flink_ui: Option<String>,
}

/// What stands below the name.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Title {
    mode: Option<&'static str>,
    flink_version: Option<String>,
    image: Option<String>,
    running_since: Option<i64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
    since: Option<i64>,
}

/// What is, and what is wanted where that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Fact {
    name: &'static str,
    actual: String,
    wanted: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Restored {
    path: String,
    kind: &'static str,
    at: Option<i64>,
}

/// One difference between the spec that runs and the one that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Change {
    field: String,
    from: String,
    to: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct GitOps {
    tool: &'static str,
    message: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct May {
    pub(crate) patch: Verdict,
    pub(crate) update: Verdict,
    pub(crate) delete: Verdict,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Verdict {
    allowed: bool,
    reason: Option<String>,
}

impl From<Option<String>> for Verdict {
    /// Allowed unless there is a reason why not.
    fn from(why_not: Option<String>) -> Verdict {
        Verdict { allowed: why_not.is_none(), reason: why_not }
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Action {
    name: &'static str,
    allowed: bool,
    reason: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Url {
    name: String,
    url: String,
}

/// Describes `object`, whose row is `row`, to somebody who may do `may`.
pub(crate) fn describe(row: Arc<Row>, object: &Value, may: May, now: i64) -> Detail {
    let story = (row.id.kind == FleetKind::Deployment).then(|| Story::read(object).ok()).flatten();
    let deployed = story.as_ref().and_then(effect::deployed);
    Detail {
        now,
        title: Title {
            mode: story.as_ref().map(|story| match story.spec.deployment_mode() {
                DeploymentMode::Native => "native",
                DeploymentMode::Standalone => "standalone",
            }),
            flink_version: row.flink_version.clone(),
            image: row.image.clone(),
            running_since: row.started_at,
        },
        conditions: conditions(object),
        facts: story.as_ref().map(|story| facts(story, deployed.as_deref(), &row)).unwrap_or_default(),
        progress: story.as_ref().and_then(Progress::of),
        restored_from: story.as_ref().and_then(restored),
        job_id: story.as_ref().and_then(|story| story.job_id().map(str::to_owned)),
        changes: match (&story, &deployed) {
            (Some(story), Some(deployed)) => awaited(deployed, &story.spec),
            _ => Vec::new(),
        },
        gitops: row.gitops.map(|tool| GitOps {
            tool,
            message: format!(
                "{tool} keeps this resource as it is in a repository: what is changed here will be reverted"
            ),
        }),
        actions: actions(&row, story.as_ref(), &may),
        may,
        links: Vec::new(),
        flink_ui: None,
        row,
    }
}

/// Each field in which a spec differs from the deployed one.
pub(crate) fn changes(deployed: &FlinkDeploymentSpec, wanted: &FlinkDeploymentSpec) -> Vec<Change> {
    differences(deployed, wanted).map(Change::of).collect()
}

/// Those of them that the job still has to take up. How it is upgraded is none: a first deployment is on record as
/// stateless, whatever its resource says.
fn awaited(deployed: &FlinkDeploymentSpec, wanted: &FlinkDeploymentSpec) -> Vec<Change> {
    let counts = |change: &diff::FieldChange| change.effect != diff::Effect::Ignore;
    differences(deployed, wanted).filter(counts).map(Change::of).collect()
}

fn differences(
    deployed: &FlinkDeploymentSpec,
    wanted: &FlinkDeploymentSpec,
) -> impl Iterator<Item = diff::FieldChange> {
    diff::compare(deployed, wanted).map(|change| change.changes).unwrap_or_default().into_iter()
}

impl Change {
    fn of(change: diff::FieldChange) -> Change {
        Change { field: format!("spec.{}", change.path), from: change.from, to: change.to }
    }
}

fn conditions(object: &Value) -> Vec<Condition> {
    let list = object.pointer("/status/conditions").and_then(Value::as_array);
    let text = |condition: &Value, key: &str| {
        condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let condition = |it: &Value| Condition {
        kind: text(it, "type"),
        status: text(it, "status"),
        reason: text(it, "reason"),
        message: text(it, "message"),
        since: moment(&text(it, "lastTransitionTime")),
    };
    list.into_iter().flatten().map(condition).collect()
}

fn facts(story: &Story, deployed: Option<&FlinkDeploymentSpec>, row: &Row) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, actual: Option<String>, wanted: Option<String>| {
        let Some(actual) = actual.or_else(|| wanted.is_some().then(|| "–".to_owned())) else { return };
        let wanted = wanted.filter(|wanted| *wanted != actual);
        facts.push(Fact { name, actual, wanted });
    };
    let job = |spec: &FlinkDeploymentSpec| spec.job.clone();
    let runs = deployed.unwrap_or(&story.spec);
    let (is, wants) = (job(runs), job(&story.spec));
    add("Job", story.job_state().map(|state| state.to_string()), None);
    add(
        "Wanted state",
        is.as_ref().map(|job| job.state.to_string()),
        wants.as_ref().map(|job| job.state.to_string()),
    );
    add(
        "Parallelism",
        is.as_ref().map(|job| job.parallelism.to_string()),
        wants.as_ref().map(|job| job.parallelism.to_string()),
    );
    add("TaskManagers", row.task_managers.map(|count| count.to_string()), None);
    add("JobManager", Some(story.status.job_manager_deployment_status.to_string()), None);
    add("Upgrade mode", wants.as_ref().map(|job| job.upgrade_mode.to_string()), None);
    add("Image", runs.image.clone(), story.spec.image.clone());
    let version = |spec: &FlinkDeploymentSpec| spec.flink_version.map(|version| version.dotted());
    add("Flink", version(runs), version(&story.spec));
    add(
        "Kept state",
        story.status.job_status.as_ref().and_then(|job| job.upgrade_savepoint_path.clone()),
        None,
    );
    facts
}

fn restored(story: &Story) -> Option<Restored> {
    let run = story.status.run.as_ref()?;
    let from = run.restored_from.as_deref()?;
    Some(Restored {
        path: story.restored_from(),
        kind: if from == "last-state" || from.contains("/chk-") { "checkpoint" } else { "savepoint" },
        at: Some(run.deployed_at).filter(|at_ms| *at_ms > 0),
    })
}

/// What can be done, and why it cannot.
fn actions(row: &Row, story: Option<&Story>, may: &May) -> Vec<Action> {
    let verdict = |action| if action == change::Action::Delete { &may.delete } else { &may.patch };
    let why_not = |action: change::Action| match (&verdict(action).reason, story) {
        (Some(reason), _) => Some(reason.clone()),
        (None, Some(story)) => action.why_not(story),
        (None, None) if action == change::Action::Delete => None,
        (None, None) => {
            Some(row.warning.clone().unwrap_or_else(|| "this kind is changed by its YAML".to_owned()))
        }
    };
    change::Action::ALL
        .map(|action| {
            let reason = why_not(action);
            Action { name: action.as_str(), allowed: reason.is_none(), reason }
        })
        .into()
}

/// Fills the patterns of links for a row.
pub(crate) fn links(patterns: &[crate::http::Link], key: &Key, row: &Row) -> Vec<Url> {
    let fill = |pattern: &str| {
        let mut url = pattern.replace("$jobName", &key.name).replace("$namespace", &key.namespace);
        for (label, value) in &row.labels {
            url = url.replace(&format!("$metadata.{label}"), value);
        }
        url
    };
    let safe =
        |url: &String| url.starts_with("https://") || url.starts_with("http://") || url.starts_with('/');
    let link = |link: &crate::http::Link| {
        Some(Url { name: link.name.clone(), url: Some(fill(&link.pattern)).filter(safe)? })
    };
    patterns.iter().filter_map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who may do everything, or nothing for this reason.
    fn may(reason: Option<&str>) -> May {
        let verdict = || reason.map(str::to_owned).into();
        May { patch: verdict(), update: verdict(), delete: verdict() }
    }
    use serde_json::json;

    fn detail(object: &Value) -> Detail {
        let row = Row::of(&"c".into(), FleetKind::Deployment, object).expect("it has a name");
        describe(Arc::new(row), object, may(None), 0)
    }

    fn upgrading() -> Value {
        let spec = |parallelism: i32| {
            json!({ "flinkVersion": "v1_20", "image": "a:1",
                "job": { "jarURI": "local:///a.jar", "parallelism": parallelism, "state": "running", "upgradeMode": "savepoint" } })
        };
        let record = json!({ "apiVersion": "flink.apache.org/v1beta1", "metadata": { "generation": 1 }, "spec": spec(2) });
        let mut record = record;
        let inner = record["spec"].take();
        let text = json!({ "spec": inner, "resource_metadata": { "apiVersion": "flink.apache.org/v1beta1", "firstDeployment": false } });
        json!({
            "metadata": { "name": "a", "namespace": "n", "generation": 2 },
            "spec": spec(4),
            "status": { "lifecycleState": "UPGRADING", "observedGeneration": 2,
                "jobStatus": { "state": "RUNNING", "jobId": "ab" },
                "intent": { "seq": 7, "kind": "StopWithSavepoint", "startedAt": 5, "generation": 2 },
                "run": { "jobId": "ab", "deployedAt": 3, "restoredFrom": "/sp/1" },
                "conditions": [{ "type": "Reconciling", "status": "True", "reason": "SavepointBeforeStop",
                    "message": "the job is being stopped with a savepoint", "lastTransitionTime": "1970-01-01T00:00:01Z" }],
                "reconciliationStatus": { "state": "UPGRADING", "lastReconciledSpec": text.to_string() } },
        })
    }

    #[test]
    fn an_upgrade_shows_what_is_and_what_is_wanted() {
        let detail = detail(&upgrading());
        let parallelism = detail.facts.iter().find(|fact| fact.name == "Parallelism").expect("there");
        assert_eq!((parallelism.actual.as_str(), parallelism.wanted.as_deref()), ("2", Some("4")));
        assert!(detail.changes.iter().any(|change| change.field == "spec.job.parallelism"));
        assert_eq!(detail.restored_from.expect("restored").path, "/sp/1");
        assert_eq!(detail.conditions[0].since, Some(1_000));
        let progress = detail.progress.expect("under way");
        assert_eq!(progress.waiting.as_deref(), Some("the job is being stopped with a savepoint"));
    }

    #[test]
    fn a_first_deployment_that_is_stable_waits_for_nothing() {
        let mut object = upgrading();
        object["spec"]["job"]["parallelism"] = json!(2);
        object["spec"]["job"]["upgradeMode"] = json!("savepoint");
        let record =
            object.pointer("/status/reconciliationStatus/lastReconciledSpec").and_then(Value::as_str);
        let mut record: Value = serde_json::from_str(record.expect("a record")).expect("JSON");
        record["spec"]["job"]["upgradeMode"] = json!("stateless");
        object["status"]["reconciliationStatus"]["lastReconciledSpec"] = json!(record.to_string());
        let changes = detail(&object).changes;
        assert!(changes.is_empty(), "{:?}", changes.iter().map(|change| &change.field).collect::<Vec<_>>());
    }

    #[test]
    fn an_action_that_cannot_be_done_says_why() {
        let detail = detail(&upgrading());
        let of = |name: &str| detail.actions.iter().find(|action| action.name == name).expect("there");
        assert!(of("savepoint").allowed && of("suspend").allowed);
        assert_eq!(of("resume").reason.as_deref(), Some("it is not suspended"));
        let row = Row::of(&"c".into(), FleetKind::Deployment, &upgrading()).expect("named");
        let looked_at = describe(Arc::new(row), &upgrading(), may(Some("read-only")), 0);
        assert!(
            looked_at
                .actions
                .iter()
                .all(|action| !action.allowed && action.reason.as_deref() == Some("read-only"))
        );
    }

    #[test]
    fn a_link_leads_nowhere_but_to_a_place() {
        let row = Row::of(&"c".into(), FleetKind::Deployment, &upgrading()).expect("named");
        let link =
            |name: &str, pattern: &str| crate::http::Link { name: name.into(), pattern: pattern.into() };
        let patterns =
            [link("a", "https://g/$namespace/$jobName?x=$jobName"), link("b", "javascript:alert(1)")];
        let urls: Vec<String> = links(&patterns, &row.id, &row).into_iter().map(|url| url.url).collect();
        assert_eq!(urls, ["https://g/n/a?x=a"]);
    }
}
