//! `drey rollback`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::effect;
use drey_api::kinds;
use drey_api::reconciled;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::restart::fetch;
use super::resume::until_stable;
use super::{WaitArgs, deployment_name};
use crate::change::{ChangeArgs, is_meant};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::differences;
use crate::failure::{Failure, Kind};
use crate::follow::deployments;
use crate::output::{line, say};

/// Go back to the last spec that ran well
///
/// Writes the spec that was stable last, `status.reconciliationStatus.lastStableSpec`, over the present one; state is carried
/// over as `upgradeMode` says. What only asks for something once, such as nonces, and whether the job is suspended, stays as
/// it is.
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

/// Fields of a spec that are no part of a version: they ask for something, or say how to go on.
const STAYS: [&[&str]; 7] = [
    &["restartNonce"],
    &["job", "state"],
    &["job", "upgradeMode"],
    &["job", "savepointTriggerNonce"],
    &["job", "checkpointTriggerNonce"],
    &["job", "savepointRedeployNonce"],
    &["job", "initialSavepointPath"],
];

/// How often a spec is written while the status under it moves.
const TRIES_MAX: u32 = 20;

/// Runs the command.
///
/// # Errors
/// Why there is nothing to go back to, or why the job does not run with it.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let current = fetch(connection, name).await?;
    let object = current.object_name();
    let spec = last_stable(&current)?;
    let changes =
        differences::between(&json!({ "spec": current.object.data["spec"] }), &json!({ "spec": spec }));
    if changes.is_empty() {
        return line(&format!("{object} has the last stable spec already"));
    }
    let read = kinds::read(&spec).map_err(|error| {
        Failure::new(Kind::Invalid, format!("lastStableSpec.{}: {}", error.path, error.message)).on(&object)
    })?;
    let outcome = effect::of_edit(&current, &read);
    say(&format!("{object}: {}", outcome.effect));
    changes.iter().for_each(|difference| say(&format!("  {difference}")));
    if args.change.dry_run {
        return Ok(());
    }
    is_meant(&args.change, &outcome, name)?;
    let written = write(connection, &current, &spec).await?;
    until_stable(&args.wait, connection, &written, "rolled back").await
}

/// Writes the spec over that of `current`. What drey writes to the status meanwhile is no conflict; another spec is.
async fn write(connection: &Connection, current: &View, spec: &Value) -> Result<View, Failure> {
    let (api, mut object) = (deployments(connection), current.object.clone());
    for _ in 0..TRIES_MAX {
        object.data["spec"] = spec.clone();
        match api.replace(&current.name, &PostParams::default(), &object).await {
            Ok(written) => return View::from_object(written),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(Failure::from_kube(&error, &current.object_name())),
        }
        let newest = fetch(connection, &current.name).await?;
        if newest.generation != current.generation {
            break;
        }
        object = newest.object;
    }
    Err(Failure::new(Kind::Conflict, "somebody else has changed it meanwhile")
        .on(current.object_name())
        .hint("look at it and run the command again"))
}

fn last_stable(view: &View) -> Result<Value, Failure> {
    let record =
        view.status.reconciliation_status.as_ref().and_then(|status| status.last_stable_spec.as_deref());
    let Some(record) = record else {
        return Err(Failure::new(Kind::NotFound, "no spec of it was ever stable")
            .on(view.object_name())
            .hint(format!("change the spec with `drey apply`; see `drey describe {}`", view.name)));
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(Kind::Invalid, format!("status.reconciliationStatus.lastStableSpec: {error}"))
            .on(view.object_name())
    };
    let decoded = reconciled::decode(record).map_err(|error| unreadable(&error))?;
    let mut spec = serde_json::to_value(&*decoded.spec).map_err(|error| unreadable(&error))?;
    drop_nulls(&mut spec);
    for path in STAYS {
        keep(&mut spec, &view.object.data["spec"], path);
    }
    Ok(spec)
}

/// A field that is null in the record was not written.
fn drop_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

/// Makes the field at `path` of `spec` what it is in `current`.
fn keep(spec: &mut Value, current: &Value, path: &[&str]) {
    let Some((last, above)) = path.split_last() else { return };
    let source = path.iter().try_fold(current, |value, key| value.get(key));
    let Some(target) = above.iter().try_fold(spec, |value, key| value.get_mut(key)) else { return };
    let Some(fields) = target.as_object_mut() else { return };
    match source {
        Some(value) => drop(fields.insert((*last).to_owned(), value.clone())),
        None => drop(fields.remove(*last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;

    #[test]
    fn the_version_comes_back_and_what_was_asked_for_once_stays() {
        let stable = json!({ "spec": { "image": "a:1", "restartNonce": 1,
            "ingress": null,
            "job": { "parallelism": 2, "upgradeMode": "stateless", "state": "running" } },
            "resource_metadata": { "apiVersion": "flink.apache.org/v1beta1", "metadata": { "generation": 1 } } });
        let status = json!({ "reconciliationStatus": { "lastStableSpec": stable.to_string() } });
        let spec = json!({ "image": "a:2", "restartNonce": 3,
            "job": { "parallelism": 4, "upgradeMode": "savepoint", "savepointTriggerNonce": 7 } });
        let view = view(&spec, &status);
        let back = last_stable(&view).expect("a stable spec");
        assert_eq!((&back["image"], &back["restartNonce"]), (&json!("a:1"), &json!(3)));
        assert_eq!(
            (&back["job"]["parallelism"], &back["job"]["upgradeMode"], &back["job"]["savepointTriggerNonce"]),
            (&json!(2), &json!("savepoint"), &json!(7))
        );
        assert_eq!(back["job"].get("state"), None);
        assert_eq!(back.get("ingress"), None, "what is null was never written");
    }
}
