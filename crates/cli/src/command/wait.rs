//! `drey wait`.

use clap_complete::engine::ArgValueCandidates;
use std::time::Duration;

use drey_api::kinds::{FlinkJobState, LifecycleState};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ListParams;

use super::deployment_name;
use super::suspend::{gone, stalled};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::{Followed, Verdict, deployments, follow, parse_timeout, progress};
use crate::output::line;

/// How often the high-availability data is read while a checkpoint is waited for.
const CHECKPOINT_POLL: Duration = Duration::from_secs(1);

/// Wait until a deployment is in a state
///
/// Ends with 0 when it is so, with 1 as soon as it cannot become so without a person, with 124 when the
/// time is over.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// The state: `stable`, `running`, `suspended`, `finished`, `checkpoint`, `deleted`, `condition=…`
    ///
    /// `stable` means that the newest spec runs, `running` that the job is RUNNING with any.
    ///
    /// `checkpoint` means that the present run has completed one, which the high availability of type kubernetes tells.
    ///
    /// `condition=NAME` and `condition=NAME=VALUE` mean that a condition of the resource has that status, `True` without a
    /// value.
    #[arg(long = "for", value_name = "STATE")]
    pub state: Awaited,
    /// How long to wait: `90s`, `5m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_timeout)]
    pub timeout: Duration,
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The newest spec is STABLE.
    Stable,
    /// The job is RUNNING.
    Running,
    /// The job is suspended.
    Suspended,
    /// The job is FINISHED.
    Finished,
    /// The present run has completed a checkpoint.
    Checkpoint,
    /// The resource does not exist.
    Deleted,
    /// A condition has a status.
    Condition {
        /// Its type.
        type_: String,
        /// `True`, `False` or `Unknown`.
        status: String,
    },
}

impl std::str::FromStr for Awaited {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stable" => Ok(Self::Stable),
            "running" => Ok(Self::Running),
            "suspended" => Ok(Self::Suspended),
            "finished" => Ok(Self::Finished),
            "checkpoint" => Ok(Self::Checkpoint),
            "deleted" | "delete" => Ok(Self::Deleted),
            other => {
                let condition = other.strip_prefix("condition=").filter(|condition| !condition.is_empty());
                let (type_, status) = condition
                    .map(|condition| condition.split_once('=').unwrap_or((condition, "True")))
                    .ok_or(
                        "expected `stable`, `running`, `suspended`, `finished`, `checkpoint`, `deleted` or \
                         `condition=NAME`",
                    )?;
                Ok(Self::Condition { type_: type_.to_owned(), status: status.to_owned() })
            }
        }
    }
}

impl std::fmt::Display for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stable => f.write_str("stable"),
            Self::Running => f.write_str("running"),
            Self::Suspended => f.write_str("suspended"),
            Self::Finished => f.write_str("finished"),
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Deleted => f.write_str("deleted"),
            Self::Condition { type_, status } => write!(f, "condition {type_}={status}"),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Why the state is not reached.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let followed = Followed {
        api: deployments(connection),
        name,
        timeout: args.timeout,
        what: format!("`{}`", args.state),
    };
    if args.state == Awaited::Checkpoint {
        wait_for_checkpoint(connection, followed).await?;
    } else {
        follow(followed, |view| judge(&args.state, view)).await?;
    }
    line(&format!("flinkdeployment/{name} {}", args.state))
}

fn judge(awaited: &Awaited, view: Option<&View>) -> Verdict<()> {
    let Some(view) = view else {
        return if *awaited == Awaited::Deleted { Verdict::Reached(()) } else { Verdict::Failed(gone()) };
    };
    let lifecycle = view.current_lifecycle();
    let is = |reached: bool| if reached { Some(()) } else { None };
    let reached =
        match awaited {
            Awaited::Stable => is(lifecycle == Some(LifecycleState::Stable)),
            Awaited::Running => is(view.is_current() && view.job_state() == Some(FlinkJobState::Running)),
            Awaited::Suspended => is(view.is_suspended()),
            Awaited::Finished => is(view.is_current() && view.job_state() == Some(FlinkJobState::Finished)),
            Awaited::Checkpoint | Awaited::Deleted => None,
            Awaited::Condition { type_, status } => is(view.is_current()
                && view.status.conditions.iter().any(|condition| {
                    condition.type_ == *type_ && condition.status.eq_ignore_ascii_case(status)
                })),
        };
    match (reached, view.stalled(), awaited) {
        (Some(()), _, _) => Verdict::Reached(()),
        (None, Some(_), Awaited::Condition { .. } | Awaited::Deleted) | (None, None, _) => {
            Verdict::Waiting(progress(view))
        }
        (None, Some(_), _) => Verdict::Failed(stalled(view)),
    }
}

/// The status does not carry ordinary checkpoints, so the JobManager's own record of them is read.
async fn wait_for_checkpoint(connection: &Connection, followed: Followed<'_>) -> Result<(), Failure> {
    let started = tokio::time::Instant::now();
    let (name, timeout, api) = (followed.name, followed.timeout, followed.api.clone());
    let job_id = follow(followed, |view| match view {
        None => Verdict::Failed(gone()),
        Some(view) => match (view.job_id(), view.stalled()) {
            (Some(job_id), None) => Verdict::Reached(job_id.to_owned()),
            (_, Some(_)) => Verdict::Failed(stalled(view)),
            (None, None) => Verdict::Waiting(progress(view)),
        },
    })
    .await?;
    while !has_checkpoint(connection, name, &job_id).await? {
        if started.elapsed() >= timeout {
            let message = format!("waited {} s for a checkpoint of job {job_id}", timeout.as_secs());
            return Err(Failure::new(Kind::Timeout, message)
                .on(format!("flinkdeployment/{name}"))
                .hint("is `execution.checkpointing.interval` set?"));
        }
        if api.get_opt(name).await.map_err(|error| Failure::from_kube(&error, name))?.is_none() {
            return Err(gone());
        }
        tokio::time::sleep(CHECKPOINT_POLL).await;
    }
    Ok(())
}

async fn has_checkpoint(connection: &Connection, name: &str, job_id: &str) -> Result<bool, Failure> {
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let labels = format!("app={name},type=flink-native-kubernetes");
    let maps = api
        .list(&ListParams::default().labels(&labels))
        .await
        .map_err(|error| Failure::from_kube(&error, "configmaps"))?;
    Ok(maps.items.iter().any(|map| {
        let of_job = map.metadata.name.as_deref().is_some_and(|name| name.contains(job_id));
        let mut keys = map.data.iter().flat_map(|data| data.keys());
        of_job && keys.any(|key| key.starts_with("checkpointID-"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;
    use serde_json::json;

    #[test]
    fn states_of_the_command_line() {
        assert_eq!("stable".parse(), Ok(Awaited::Stable));
        let ready = Awaited::Condition { type_: "Ready".into(), status: "True".into() };
        assert_eq!("condition=Ready".parse(), Ok(ready));
        let stalled = Awaited::Condition { type_: "Stalled".into(), status: "False".into() };
        assert_eq!("condition=Stalled=False".parse(), Ok(stalled));
        assert!("condition=".parse::<Awaited>().is_err());
        assert!("happy".parse::<Awaited>().is_err());
    }

    #[test]
    fn each_state_is_reached_by_its_own_status_and_by_no_other() {
        let statuses = [
            (Awaited::Stable, json!({"lifecycleState": "STABLE"})),
            (Awaited::Running, json!({"jobStatus": {"state": "RUNNING"}})),
            (Awaited::Suspended, json!({"lifecycleState": "SUSPENDED"})),
            (Awaited::Finished, json!({"jobStatus": {"state": "FINISHED"}})),
            (
                Awaited::Condition { type_: "Ready".into(), status: "True".into() },
                json!({"conditions": [{"type": "Ready", "status": "True"}]}),
            ),
        ];
        for (awaited, _) in &statuses {
            for (of, status) in &statuses {
                let mut status = status.clone();
                status["observedGeneration"] = json!(2);
                let reached = judge(awaited, Some(&view(&json!({}), &status))) == Verdict::Reached(());
                assert_eq!(reached, awaited == of, "{awaited} with the status of {of}");
            }
        }
        assert_eq!(judge(&Awaited::Deleted, None), Verdict::Reached(()));
        assert_eq!(judge(&Awaited::Stable, None), Verdict::Failed(gone()));
    }

    #[test]
    fn what_only_a_person_can_end_fails_at_once() {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "Stalled", "status": "True", "message": "the job failed"}]});
        let view = view(&json!({}), &status);
        assert!(matches!(judge(&Awaited::Stable, Some(&view)), Verdict::Failed(_)));
        assert!(matches!(judge(&Awaited::Deleted, Some(&view)), Verdict::Waiting(_)));
    }
}
