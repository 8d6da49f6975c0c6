//! `drey checkpoint`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::change::{Action, Particulars};
use drey_api::reconciled;

use super::suspend::gone;
use super::{WaitArgs, deployment_name};
use crate::change::{ChangeArgs, ask};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::{Followed, Verdict, deployments, follow, progress};
use crate::output::line;

/// Take a checkpoint of a running job
///
/// Raises `spec.job.checkpointTriggerNonce`; the job runs on.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// Asking.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Runs the command.
///
/// # Errors
/// Why no checkpoint was taken.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let asked = ask(connection, name, Action::Checkpoint, &Particulars::default(), &args.change).await?;
    let Some(patched) = asked else { return Ok(()) };
    let nonce = patched.spec.job.as_ref().and_then(|job| job.checkpoint_trigger_nonce);
    if args.wait.no_wait {
        return line(&format!("{} checkpoint asked for; not waited for", patched.object_name()));
    }
    let followed = Followed {
        api: deployments(connection),
        name,
        timeout: args.wait.timeout,
        what: "the checkpoint".to_owned(),
    };
    follow(followed, |view| taken(view, nonce)).await?;
    line(&format!("{} checkpoint taken", patched.object_name()))
}

fn taken(view: Option<&View>, nonce: Option<i64>) -> Verdict<()> {
    let Some(view) = view else { return Verdict::Failed(gone()) };
    let information = view.status.job_status.as_ref().and_then(|job| job.checkpoint_info.as_ref());
    let last = information.and_then(|information| information.last_checkpoint.as_ref());
    if last.is_some_and(|last| last.trigger_nonce == nonce) {
        return Verdict::Reached(());
    }
    if handled(view) == nonce && view.open_intent().is_none() {
        let why = view.error().unwrap_or_else(|| "the checkpoint failed".to_owned());
        return Verdict::Failed(
            Failure::new(Kind::Failed, why)
                .on(view.object_name())
                .hint(format!("see `drey events {}`", view.name)),
        );
    }
    Verdict::Waiting(progress(view))
}

/// The nonce that the operator has dealt with, successfully or not.
fn handled(view: &View) -> Option<i64> {
    let encoded = view.status.reconciliation_status.as_ref()?.last_reconciled_spec.as_deref()?;
    reconciled::decode(encoded).ok()?.spec.job.as_ref()?.checkpoint_trigger_nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;
    use serde_json::json;

    #[test]
    fn a_checkpoint_of_another_nonce_does_not_count() {
        let status = json!({ "jobStatus": { "state": "RUNNING",
            "checkpointInfo": { "lastCheckpoint": { "triggerNonce": 4 } } } });
        let view = view(&json!({}), &status);
        assert_eq!(taken(Some(&view), Some(4)), Verdict::Reached(()));
        assert!(matches!(taken(Some(&view), Some(5)), Verdict::Waiting(_)));
    }
}
