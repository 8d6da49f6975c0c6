//! `drey resume`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::kinds::{FlinkJobState, LifecycleState};
use serde_json::json;

use super::suspend::{gone, patch, stalled};
use super::{WaitArgs, deployment_name};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::Failure;
use crate::follow::{Followed, Verdict, deployments, follow, progress};
use crate::output::line;

/// Run a suspended job again, from the state it was stopped with
///
/// Sets `spec.job.state` to `running` and waits until the job runs.
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
/// Why the job could not be resumed.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let patched = patch(connection, name, &json!({"spec": {"job": {"state": "running"}}})).await?;
    until_stable(&args.wait, connection, &patched, "resumed").await
}

/// Waits until the generation of `patched` is stable, and says what it was restored from.
///
/// # Errors
/// Why it does not become stable.
pub(crate) async fn until_stable(
    wait: &WaitArgs,
    connection: &Connection,
    patched: &View,
    verb: &str,
) -> Result<(), Failure> {
    let object = patched.object_name();
    if wait.no_wait {
        return line(&format!("{object} {verb}; not waited for"));
    }
    let followed = Followed {
        api: deployments(connection),
        name: &patched.name,
        timeout: wait.timeout,
        what: "the job to run".to_owned(),
    };
    let restored = follow(followed, |view| stable(view, patched.generation)).await?;
    line(&format!("{object} {verb}, restored from {restored}"))
}

/// Whether the generation, or a newer one, is stable.
pub(crate) fn stable(view: Option<&View>, generation: i64) -> Verdict<String> {
    let Some(view) = view else { return Verdict::Failed(gone()) };
    if view.generation < generation {
        return Verdict::Waiting(String::new());
    }
    let runs = matches!(view.job_state(), Some(FlinkJobState::Running | FlinkJobState::Finished) | None);
    match (view.current_lifecycle(), view.stalled()) {
        (Some(LifecycleState::Stable), None) if runs => Verdict::Reached(view.restored_from()),
        (Some(LifecycleState::RolledBack), _) | (_, Some(_)) => Verdict::Failed(stalled(view)),
        (_, None) => Verdict::Waiting(progress(view)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;

    #[test]
    fn stable_means_that_the_job_runs_with_the_newest_spec() {
        let running = json!({"observedGeneration": 2, "lifecycleState": "STABLE",
                             "jobStatus": {"state": "RUNNING"}, "run": {"restoredFrom": "/s/1"}});
        assert_eq!(stable(Some(&view(&json!({}), &running)), 2), Verdict::Reached("/s/1".to_owned()));
        let old = json!({"observedGeneration": 1, "lifecycleState": "STABLE"});
        assert!(matches!(stable(Some(&view(&json!({}), &old)), 2), Verdict::Waiting(_)));
        let back = json!({"observedGeneration": 2, "lifecycleState": "ROLLED_BACK"});
        assert!(matches!(stable(Some(&view(&json!({}), &back)), 2), Verdict::Failed(_)));
    }
}
