//! `drey status NAME`, a gate for pipelines; and `drey` without arguments: how things stand, and the next useful command.

use clap_complete::engine::ArgValueCandidates;
use drey_api::kinds::{FlinkJobState, LifecycleState};
use jiff::Timestamp;
use kube::api::ListParams;

use super::restart::fetch;
use super::suspend::{gone, stalled};
use super::{WaitArgs, deployment_name};
use crate::complete;
use crate::connection::{Connection, ConnectionArgs};
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::{Followed, Verdict, deployments, follow, progress};
use crate::kinds::FlinkKind;
use crate::output::{line, table};
use crate::table::Table;

/// Most deployments that are shown.
const SHOWN_MAX: u32 = 20;

/// Say how a deployment is, and wait until it has settled
///
/// A gate for pipelines: ends with 0 as soon as the newest spec is STABLE, suspended or FINISHED, with 1 as soon as
/// only a person can help, with 124 when the time is over. `--no-wait` looks once, and ends with 1 when it has not
/// settled. Without a name: the deployments, and the next useful command.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: Option<String>,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Runs the command.
///
/// # Errors
/// Why it has not settled.
pub async fn run(args: &Args, arguments: &ConnectionArgs) -> Result<(), Failure> {
    match &args.name {
        None => overview(arguments).await,
        Some(name) => gate(deployment_name(name)?, &args.wait, &arguments.connect().await?).await,
    }
}

async fn gate(name: &str, wait: &WaitArgs, connection: &Connection) -> Result<(), Failure> {
    let object = FlinkKind::Deployment.object(name);
    let told = if wait.no_wait {
        match settled(Some(&fetch(connection, name).await.map_err(Failure::without_answer)?)) {
            Verdict::Reached(told) => told,
            Verdict::Waiting(line) => {
                return Err(Failure::new(Kind::Failed, format!("it has not settled: {line}")).on(object));
            }
            Verdict::Failed(failure) => return Err(failure.on(object)),
        }
    } else {
        let followed = Followed {
            api: deployments(connection),
            name,
            timeout: wait.timeout,
            what: "the deployment to settle".to_owned(),
        };
        follow(followed, settled).await?
    };
    line(&format!("{object} {told}"))
}

fn settled(view: Option<&View>) -> Verdict<String> {
    let Some(view) = view else { return Verdict::Failed(gone()) };
    let has_ended = view.is_current() && view.job_state() == Some(FlinkJobState::Finished);
    let is_settled =
        view.current_lifecycle() == Some(LifecycleState::Stable) || view.is_suspended() || has_ended;
    match (is_settled, view.stalled()) {
        (_, Some(_)) => Verdict::Failed(stalled(view)),
        (true, None) => Verdict::Reached(progress(view)),
        (false, None) => Verdict::Waiting(progress(view)),
    }
}

/// What `drey` without arguments prints.
///
/// # Errors
/// When standard output does not take it. That there is nothing to show is no error.
pub async fn overview(arguments: &ConnectionArgs) -> Result<(), Failure> {
    line(&format!("drey {}: the control plane for Apache Flink", env!("CARGO_PKG_VERSION")))?;
    let connection = match arguments.connect().await {
        Ok(connection) => connection,
        Err(failure) if failure.kind() == Kind::Unreachable => {
            line(&format!("\n{}", failure.message()))?;
            return line(
                "next: `drey up job.yaml` runs a FlinkDeployment on this machine; `drey --help` lists all commands",
            );
        }
        Err(failure) => return Err(failure),
    };
    line(&format!("API: {}, namespace {}\n", connection.server, connection.namespace))?;
    let parameters = ListParams::default().limit(SHOWN_MAX);
    let found = match deployments(&connection).list(&parameters).await {
        Ok(found) => found.items,
        Err(error) => return Err(Failure::from_kube(&error, FlinkKind::Deployment.names()[0])),
    };
    if found.is_empty() {
        return line("no deployments\nnext: `drey apply -f job.yaml`");
    }
    let wide = false;
    let headings = FlinkKind::Deployment.headings(wide).into_iter().map(str::to_owned).collect();
    let mut rows = Table::with_headings(headings);
    for object in &found {
        rows.push(FlinkKind::Deployment.cells(object, wide, Timestamp::now()));
    }
    table(&rows, false)?;
    let views: Vec<View> = found.into_iter().filter_map(|object| View::from_object(object).ok()).collect();
    line(&format!("\nnext: {}", next(&views)))
}

/// What is stalled comes first, then what is under way.
fn next(views: &[View]) -> String {
    let stalled = views.iter().find(|view| view.stalled().is_some());
    let waiting = views.iter().find(|view| !view.sentence().is_empty());
    match (stalled, waiting, views.first()) {
        (Some(view), _, _) => format!("`drey describe {}`: {}", view.name, view.sentence()),
        (None, Some(view), _) => format!("`drey get -w`; {}: {}", view.name, view.sentence()),
        (None, None, Some(view)) => format!("`drey describe {0}`, `drey logs -f {0}`", view.name),
        (None, None, None) => "`drey apply -f job.yaml`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;
    use serde_json::json;

    #[test]
    fn only_what_has_settled_lets_a_pipeline_go_on() {
        let of = |status: serde_json::Value| settled(Some(&view(&json!({"job": {}}), &status)));
        let stable =
            json!({"observedGeneration": 2, "lifecycleState": "STABLE", "jobStatus": {"state": "RUNNING"}});
        assert_eq!(of(stable), Verdict::Reached("STABLE · RUNNING".to_owned()));
        let suspended = json!({"observedGeneration": 2, "lifecycleState": "SUSPENDED"});
        assert_eq!(of(suspended), Verdict::Reached("SUSPENDED".to_owned()));
        let before = json!({"observedGeneration": 1, "lifecycleState": "STABLE"});
        assert!(matches!(of(before), Verdict::Waiting(_)));
        let upgrading = json!({"observedGeneration": 2, "lifecycleState": "UPGRADING"});
        assert!(matches!(of(upgrading), Verdict::Waiting(_)));
        let stalled = json!({"observedGeneration": 2, "lifecycleState": "FAILED",
            "conditions": [{"type": "Stalled", "status": "True", "message": "no jar"}]});
        assert!(matches!(of(stalled), Verdict::Failed(_)));
        assert_eq!(settled(None), Verdict::Failed(gone()));
    }

    #[test]
    fn what_is_stalled_comes_first() {
        let well = view(&json!({}), &json!({"observedGeneration": 2}));
        let ill = view(
            &json!({}),
            &json!({"observedGeneration": 2,
                    "conditions": [{"type": "Stalled", "status": "True", "message": "no jar"}]}),
        );
        assert_eq!(next(&[well.clone(), ill]), "`drey describe a`: no jar");
        assert_eq!(next(&[well]), "`drey describe a`, `drey logs -f a`");
    }
}
