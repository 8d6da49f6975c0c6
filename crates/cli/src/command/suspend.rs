//! `drey suspend`.

use clap_complete::engine::ArgValueCandidates;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{WaitArgs, deployment_name};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::{Followed, Verdict, deployments, follow, progress};
use crate::kinds::FlinkKind;
use crate::output::line;

/// Stop a job and keep its state
///
/// Sets `spec.job.state` to `suspended` and waits. With `upgradeMode: savepoint` a savepoint is taken,
/// with `last-state` the newest checkpoint is kept, with `stateless` no state is kept.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Runs the command.
///
/// # Errors
/// Why the job could not be suspended.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let patched = patch(connection, name, &json!({"spec": {"job": {"state": "suspended"}}})).await?;
    if args.wait.no_wait {
        return line(&format!("{} suspending", patched.object_name()));
    }
    let followed = Followed {
        api: deployments(connection),
        name,
        timeout: args.wait.timeout,
        what: "the job to be suspended".to_owned(),
    };
    let kept = follow(followed, |view| suspended(view, patched.generation)).await?;
    line(&format!("{} suspended{kept}", patched.object_name()))
}

fn suspended(view: Option<&View>, generation: i64) -> Verdict<String> {
    let Some(view) = view else { return Verdict::Failed(gone()) };
    if view.generation < generation {
        return Verdict::Waiting(String::new());
    }
    match (view.is_suspended(), view.stalled()) {
        (true, _) => Verdict::Reached(kept(view)),
        (false, Some(_)) => Verdict::Failed(stalled(view)),
        (false, None) => Verdict::Waiting(progress(view)),
    }
}

fn kept(view: &View) -> String {
    let path = view.status.job_status.as_ref().and_then(|job| job.upgrade_savepoint_path.as_deref());
    path.map_or_else(String::new, |path| format!(", state in {path}"))
}

pub(crate) fn gone() -> Failure {
    Failure::new(Kind::NotFound, "the deployment was deleted while we waited")
}

pub(crate) fn stalled(view: &View) -> Failure {
    Failure::new(Kind::Failed, view.sentence())
        .on(view.object_name())
        .hint(format!("see `drey describe {0}` and `drey logs {0}`", view.name))
}

/// Changes a deployment by a merge patch and returns it as it is then.
///
/// # Errors
/// The answer of the API server.
pub(crate) async fn patch(connection: &Connection, name: &str, patch: &Value) -> Result<View, Failure> {
    let object = FlinkKind::Deployment.object(name);
    let patched: DynamicObject = deployments(connection)
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(|error| Failure::from_kube(&error, &object))?;
    View::from_object(patched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;

    #[test]
    fn only_the_newest_spec_counts() {
        let status = json!({"observedGeneration": 2, "lifecycleState": "SUSPENDED",
                            "jobStatus": {"upgradeSavepointPath": "/s/1"}});
        let view = view(&json!({}), &status);
        assert_eq!(suspended(Some(&view), 3), Verdict::Waiting(String::new()));
        assert_eq!(suspended(Some(&view), 2), Verdict::Reached(", state in /s/1".to_owned()));
        assert_eq!(suspended(None, 2), Verdict::Failed(gone()));
    }
}
