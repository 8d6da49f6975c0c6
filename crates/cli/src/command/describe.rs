//! `drey describe`: everything that is known of one deployment, in words.

use clap_complete::engine::ArgValueCandidates;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use super::{deployment_name, events, restart};
use crate::age;
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::Failure;
use crate::output::{self, TextOrJson, line};
use crate::table::Table;

/// Newest events that are shown.
const EVENTS_MAX: usize = 20;

/// Say how a deployment is: what it waits for, what it was restored from, what is next
///
/// All of it stands in the resource and its events; nothing is asked of Flink.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

/// Runs the command.
///
/// # Errors
/// When there is no such deployment, or it cannot be read.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let view = restart::fetch(connection, name).await?;
    let mut events = events::of_deployment(connection, name).await?;
    events.drain(..events.len().saturating_sub(EVENTS_MAX));
    match args.output {
        TextOrJson::Text => text(&view, &events, Timestamp::now()).iter().try_for_each(|text| line(text)),
        TextOrJson::Json => output::json(&as_json(&view, &events)),
    }
}

fn text(view: &View, events: &[Event], now: Timestamp) -> Vec<String> {
    let mut rows = Rows::default();
    rows.add("Name", &view.name);
    rows.add("Namespace", &view.namespace);
    rows.add("State", &state(view));
    rows.add("Job", &job(view));
    rows.add("Flink", &flink(view));
    rows.add("Waits for", &waits_for(view, now));
    rows.add("Next", &view.next());
    rows.add("Restored from", &view.restored_from());
    rows.add("Run", &run_line(view, now));
    rows.add("Kept state", &kept_state(view));
    rows.add("Last savepoint", &last_savepoint(view, now));
    rows.add("Error", &view.error().unwrap_or_default());
    let mut lines = rows.lines();
    lines.extend(conditions(view, now));
    if !events.is_empty() {
        lines.push("Events:".to_owned());
        lines.extend(events::table(events, now).lines().iter().map(|line| indented(line)));
    }
    lines
}

/// Pairs of a heading and a text; pairs without a text are left out.
#[derive(Default)]
struct Rows(Vec<(&'static str, String)>);

impl Rows {
    fn add(&mut self, heading: &'static str, text: &str) {
        if !text.is_empty() {
            self.0.push((heading, text.replace('\n', "\n                ")));
        }
    }

    fn lines(self) -> Vec<String> {
        self.0.into_iter().map(|(heading, text)| format!("{:<16}{text}", format!("{heading}:"))).collect()
    }
}

fn indented(text: &str) -> String {
    format!("  {text}")
}

fn state(view: &View) -> String {
    let lifecycle = view.status.lifecycle_state.map_or("not looked at yet", |state| state.as_str());
    let observed = view.status.observed_generation.unwrap_or_default();
    match (view.deleting, view.is_current()) {
        (true, _) => format!("{lifecycle}, deletion was asked for"),
        (false, true) => format!("{lifecycle}, generation {observed}"),
        (false, false) => {
            format!(
                "{lifecycle} for generation {observed}; generation {} is not looked at yet",
                view.generation
            )
        }
    }
}

fn job(view: &View) -> String {
    let Some(spec) = &view.spec.job else { return "none: a session cluster".to_owned() };
    let state = view.job_state().map_or("not known", |state| state.as_str());
    let id = view.job_id().map_or_else(String::new, |id| format!(", id {id}"));
    let name = view.status.job_status.as_ref().and_then(|job| job.job_name.as_deref());
    let name = name.map_or_else(String::new, |name| format!(", \"{name}\""));
    format!("{state}{id}{name}; wanted: {}, upgrade mode {}", spec.state, spec.upgrade_mode)
}

fn flink(view: &View) -> String {
    let version = view.spec.flink_version.map_or("no version", |version| version.as_str());
    let exact = view.status.cluster_info.as_ref().and_then(|facts| facts.get("flink-version"));
    let exact = exact.map_or_else(String::new, |exact| format!(" ({exact})"));
    let parallelism =
        view.spec.job.as_ref().map_or_else(String::new, |job| format!(", parallelism {}", job.parallelism));
    let task_managers = view
        .status
        .task_manager
        .as_ref()
        .map_or_else(String::new, |managers| format!(", TaskManagers {}", managers.replicas));
    format!(
        "{version}{exact}{parallelism}{task_managers}, JobManager {}",
        view.status.job_manager_deployment_status
    )
}

fn waits_for(view: &View, now: Timestamp) -> String {
    let sentence = view.sentence();
    let condition = view.stalled().or_else(|| view.condition("Reconciling"));
    match condition {
        Some(condition) => {
            let since = age::since_text(condition.last_transition_time.as_deref(), now);
            let reason = condition.reason.as_deref().unwrap_or_default();
            format!("{sentence} ({reason}, for {since})")
        }
        None => sentence,
    }
}

fn run_line(view: &View, now: Timestamp) -> String {
    let Some(run) = &view.status.run else { return String::new() };
    let generation = run.generation;
    let since = Timestamp::from_millisecond(run.deployed_at)
        .map_or_else(|_| String::new(), |then| format!(", deployed {} ago", age::since(then, now)));
    format!("generation {generation}{since}")
}

fn kept_state(view: &View) -> String {
    let path = view.status.job_status.as_ref().and_then(|job| job.upgrade_savepoint_path.clone());
    path.unwrap_or_default()
}

fn last_savepoint(view: &View, now: Timestamp) -> String {
    let information = view.status.job_status.as_ref().and_then(|job| job.savepoint_info.as_ref());
    let Some(savepoint) = information.and_then(|information| information.last_savepoint.as_ref()) else {
        return String::new();
    };
    let location = savepoint.location.as_deref().unwrap_or("<no location>");
    let why = savepoint.trigger_type.map_or("UNKNOWN", |trigger| trigger.as_str());
    match Timestamp::from_millisecond(savepoint.time_stamp) {
        Ok(then) => format!("{location} ({why}, {} ago)", age::since(then, now)),
        Err(_) => format!("{location} ({why})"),
    }
}

fn conditions(view: &View, now: Timestamp) -> Vec<String> {
    if view.status.conditions.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"]);
    for condition in &view.status.conditions {
        table.push(vec![
            condition.type_.clone(),
            condition.status.clone(),
            age::since_text(condition.last_transition_time.as_deref(), now),
            condition.reason.clone().unwrap_or_default(),
            condition.message.clone().unwrap_or_default(),
        ]);
    }
    let lines = table.lines();
    let rows = lines.iter().map(|line| indented(line));
    std::iter::once("Conditions:".to_owned()).chain(rows).collect()
}

fn as_json(view: &View, events: &[Event]) -> Value {
    let job = view.status.job_status.as_ref();
    json!({
        "apiVersion": "drey.dev/v1",
        "kind": "Description",
        "namespace": view.namespace,
        "name": view.name,
        "lifecycleState": view.status.lifecycle_state,
        "current": view.is_current(),
        "jobState": view.job_state(),
        "jobId": view.job_id(),
        "waitsFor": view.sentence(),
        "stalled": view.stalled().is_some(),
        "next": view.next(),
        "restoredFrom": view.status.run.as_ref().and_then(|run| run.restored_from.clone()),
        "keptState": job.and_then(|job| job.upgrade_savepoint_path.clone()),
        "error": view.error(),
        "conditions": view.status.conditions,
        "events": events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;

    #[test]
    fn a_waiting_upgrade_reads_top_to_bottom() {
        let spec = json!({"flinkVersion": "v1_20", "job": {"parallelism": 2, "upgradeMode": "savepoint"}});
        let status = json!({
            "observedGeneration": 2, "lifecycleState": "UPGRADING", "jobManagerDeploymentStatus": "READY",
            "jobStatus": {"state": "RUNNING", "jobId": "aa", "jobName": "Ledger"},
            "run": {"jobId": "aa", "generation": 1, "restoredFrom": "/s/1", "deployedAt": 0},
            "intent": {"seq": 3, "kind": "StopWithSavepoint"},
            "conditions": [{"type": "Reconciling", "status": "True", "reason": "SavepointBeforeStop",
                            "message": "waiting for the savepoint", "lastTransitionTime": "1970-01-01T00:00:50Z"}]});
        let now = Timestamp::from_second(60).expect("in range");
        let expected = [
            "Name:           a",
            "Namespace:      default",
            "State:          UPGRADING, generation 2",
            "Job:            RUNNING, id aa, \"Ledger\"; wanted: running, upgrade mode savepoint",
            "Flink:          v1_20, parallelism 2, JobManager READY",
            "Waits for:      waiting for the savepoint (SavepointBeforeStop, for 10s)",
            "Next:           the job stops, its savepoint is recorded, and the cluster is taken down",
            "Restored from:  /s/1",
            "Run:            generation 1, deployed 60s ago",
            "Conditions:",
            "  TYPE          STATUS   SINCE   REASON                MESSAGE",
            "  Reconciling   True     10s     SavepointBeforeStop   waiting for the savepoint",
        ];
        assert_eq!(text(&view(&spec, &status), &[], now), expected);
    }
}
