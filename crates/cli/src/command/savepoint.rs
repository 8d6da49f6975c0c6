//! `drey savepoint`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::kinds::{FlinkJobState, SavepointInfo};
use drey_api::reconciled;
use serde_json::json;

use super::restart::{fetch, next_nonce};
use super::suspend::{gone, patch};
use super::{WaitArgs, deployment_name};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::{Followed, Verdict, deployments, follow, progress};
use crate::output::{self, TextOrJson, line};

/// Take a savepoint of a running job and print its path
///
/// Raises `spec.job.savepointTriggerNonce`; the job runs on. Needs `execution.checkpointing.savepoint-dir`
/// (`state.savepoints.dir` before Flink 2) in the configuration, which laptop mode sets by itself.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Output: `text` is the path alone, `json` says more
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

/// Runs the command.
///
/// # Errors
/// Why no savepoint was taken.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let current = fetch(connection, name).await?;
    must_run(&current)?;
    let nonce = next_nonce(current.spec.job.as_ref().and_then(|job| job.savepoint_trigger_nonce));
    let patched =
        patch(connection, name, &json!({"spec": {"job": {"savepointTriggerNonce": nonce}}})).await?;
    if args.wait.no_wait {
        return line(&format!("{} triggered savepoint {nonce}", patched.object_name()));
    }
    let followed = Followed {
        api: deployments(connection),
        name,
        timeout: args.wait.timeout,
        what: "the savepoint".to_owned(),
    };
    let path = follow(followed, |view| taken(view, nonce)).await?;
    match args.output {
        TextOrJson::Text => line(&path),
        TextOrJson::Json => output::json(&json!({
            "apiVersion": "drey.dev/v1",
            "kind": "Savepoint",
            "namespace": patched.namespace,
            "name": patched.name,
            "triggerNonce": nonce,
            "location": path,
        })),
    }
}

fn must_run(view: &View) -> Result<(), Failure> {
    match view.job_state() {
        Some(FlinkJobState::Running) => Ok(()),
        state => {
            let state = state.map_or("not known", |state| state.as_str());
            Err(Failure::new(Kind::Conflict, format!("the job is {state}; only a RUNNING job can be saved"))
                .on(view.object_name())
                .hint(format!("see `drey describe {}`", view.name)))
        }
    }
}

fn taken(view: Option<&View>, nonce: i64) -> Verdict<String> {
    let Some(view) = view else { return Verdict::Failed(gone()) };
    let information = view.status.job_status.as_ref().and_then(|job| job.savepoint_info.as_ref());
    if let Some(path) = information.and_then(|information| path_of(information, nonce)) {
        return Verdict::Reached(path);
    }
    let pending = information.is_some_and(|information| information.trigger_id.is_some());
    if !pending && handled_nonce(view) == Some(nonce) && view.open_intent().is_none() {
        let why = view.error().unwrap_or_else(|| "the savepoint failed".to_owned());
        return Verdict::Failed(
            Failure::new(Kind::Failed, why)
                .on(view.object_name())
                .hint(format!("see `drey events {0}` and `drey logs {0} jm`", view.name)),
        );
    }
    Verdict::Waiting(progress(view))
}

fn path_of(information: &SavepointInfo, nonce: i64) -> Option<String> {
    let last = information.last_savepoint.iter();
    let mut all = last.chain(&information.savepoint_history);
    all.find(|savepoint| savepoint.trigger_nonce == Some(nonce))
        .and_then(|savepoint| savepoint.location.clone())
}

/// The nonce that the operator has dealt with, successfully or not.
fn handled_nonce(view: &View) -> Option<i64> {
    let encoded = view.status.reconciliation_status.as_ref()?.last_reconciled_spec.as_deref()?;
    reconciled::decode(encoded).ok()?.spec.job.as_ref()?.savepoint_trigger_nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;

    #[test]
    fn a_savepoint_of_another_nonce_does_not_count() {
        let status = json!({"jobStatus": {"state": "RUNNING", "savepointInfo": {
            "lastSavepoint": {"triggerNonce": 4, "location": "/s/4"},
            "savepointHistory": [{"triggerNonce": 3, "location": "/s/3"}]}}});
        let view = view(&json!({}), &status);
        assert_eq!(taken(Some(&view), 4), Verdict::Reached("/s/4".to_owned()));
        assert_eq!(taken(Some(&view), 3), Verdict::Reached("/s/3".to_owned()));
        assert!(matches!(taken(Some(&view), 5), Verdict::Waiting(_)));
    }
}
