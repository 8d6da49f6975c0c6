//! The mark that `drey down` leaves on what it suspends, and what `drey up` makes of it: those jobs run
//! again, from the savepoint that they were stopped with. Jobs that the user suspended stay suspended.

use drey_api::kinds::{FlinkJobState, JobState};
use drey_cli::deployment::View;
use drey_cli::failure::Failure;
use drey_cli::kinds::FlinkKind;
use drey_cli::output::say;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

/// Annotation of a deployment that `drey up` runs again.
const RESUME_ON_UP: &str = "drey.dev/resume-on-up";

/// The deployments of all namespaces. Those that cannot be read are left out, and named.
///
/// # Errors
/// The answer of the API server.
pub(crate) async fn deployments(client: &kube::Client) -> Result<Vec<View>, Failure> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &FlinkKind::Deployment.resource());
    let found = api.list(&ListParams::default()).await;
    let found = found.map_err(|error| Failure::from_kube(&error, "flinkdeployments"))?;
    let mut views = Vec::new();
    for object in found.items {
        match View::from_object(object) {
            Ok(view) => views.push(view),
            Err(failure) => say(&failure.to_string()),
        }
    }
    Ok(views)
}

/// Runs again what `drey down` has stopped, and returns how many that are.
///
/// # Errors
/// The answer of the API server.
pub(crate) async fn resume(client: &kube::Client) -> Result<usize, Failure> {
    let mut resumed = 0;
    for view in deployments(client).await? {
        if is_marked(&view) {
            patch(client, &view, &running()).await?;
            resumed += 1;
        }
    }
    Ok(resumed)
}

/// Asks for a job to be stopped and run again by the next `drey up`. Returns whether there is anything to
/// stop.
///
/// # Errors
/// The answer of the API server.
pub(crate) async fn suspend(client: &kube::Client, view: &View) -> Result<bool, Failure> {
    let wants_to_run = view.spec.job.as_ref().is_some_and(|job| job.state == JobState::Running);
    let is_over = view.job_state().is_some_and(FlinkJobState::is_terminal);
    if !wants_to_run || is_over || view.deleting {
        return Ok(is_marked(view) && !is_over);
    }
    patch(client, view, &suspended()).await?;
    Ok(true)
}

fn is_marked(view: &View) -> bool {
    view.object
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key(RESUME_ON_UP))
}

fn suspended() -> Value {
    json!({
        "metadata": {"annotations": {RESUME_ON_UP: "true"}},
        "spec": {"job": {"state": JobState::Suspended.as_str()}},
    })
}

fn running() -> Value {
    json!({
        "metadata": {"annotations": {RESUME_ON_UP: null}},
        "spec": {"job": {"state": JobState::Running.as_str()}},
    })
}

async fn patch(client: &kube::Client, view: &View, patch: &Value) -> Result<(), Failure> {
    let resource = FlinkKind::Deployment.resource();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &view.namespace, &resource);
    api.patch(&view.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map(drop)
        .map_err(|error| Failure::from_kube(&error, &view.object_name()))
}
