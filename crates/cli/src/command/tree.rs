//! `drey tree`: a deployment, and everything that exists for it.

use clap_complete::engine::ArgValueCandidates;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::ListParams;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::deployment_name;
use super::restart::fetch;
use crate::branches::{Branch, Part, grow};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::kinds::FlinkKind;
use crate::output::{self, TextOrJson, say};

/// Show a deployment with everything that exists for it
///
/// Its job, the Deployments, pods, Services and ConfigMaps of its cluster, the session jobs on it and its snapshots,
/// each below the one that owns it. Objects that nobody owns outlive the cluster, such as high-availability data.
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
/// When the deployment does not exist or cannot be read. Kinds that this user may not list are left out, and named.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let view = fetch(connection, name).await?;
    let listings = kinds(name).into_iter().map(|listed| list(connection, listed));
    let mut parts = Vec::new();
    for listing in join_all(listings).await {
        match listing {
            Ok(objects) => parts.extend(objects),
            // Not every cluster serves every kind.
            Err(failure) if failure.kind() == Kind::NotFound => {}
            Err(failure) => say(&format!("left out: {}", failure.message())),
        }
    }
    let mut tree = grow(root(&view), parts);
    if let Some(job) = job(&view) {
        tree.children.insert(0, job);
    }
    match args.output {
        TextOrJson::Text => tree.lines(Timestamp::now()).iter().try_for_each(|line| output::line(line)),
        TextOrJson::Json => {
            let mut whole = json!({"apiVersion": "drey.dev/v1", "kind": "Tree"});
            whole["tree"] = tree.as_json();
            output::json(&whole)
        }
    }
}

/// A kind to list, and which of its objects belong to the deployment.
struct Listed {
    resource: ApiResource,
    labels: Option<String>,
    belongs: Box<dyn Fn(&Value) -> bool + Send>,
}

fn kinds(name: &str) -> Vec<Listed> {
    let resources = [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<ReplicaSet>(&()),
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ConfigMap>(&()),
    ];
    let of_cluster = resources.into_iter().map(|resource| Listed {
        resource,
        labels: Some(format!("app={name}")),
        belongs: Box::new(|_| true),
    });
    let route = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    let fronts = [ApiResource::erase::<Ingress>(&()), ApiResource::from_gvk(&route)];
    let fronts = fronts.into_iter().map(|resource| {
        let name = name.to_owned();
        let belongs = Box::new(move |object: &Value| object["metadata"]["name"] == name.as_str());
        Listed { resource, labels: None, belongs }
    });
    let by_field =
        [(FlinkKind::SessionJob, "/spec/deploymentName"), (FlinkKind::Snapshot, "/spec/jobReference/name")];
    let by_field = by_field.into_iter().map(|(kind, field)| {
        let name = name.to_owned();
        let belongs =
            move |object: &Value| object.pointer(field).is_some_and(|value| *value == name.as_str());
        Listed { resource: kind.resource(), labels: None, belongs: Box::new(belongs) }
    });
    of_cluster.chain(fronts.collect::<Vec<_>>()).chain(by_field).collect()
}

async fn list(connection: &Connection, listed: Listed) -> Result<Vec<Part>, Failure> {
    let api = connection.api(&listed.resource, false);
    let parameters = ListParams { label_selector: listed.labels, ..ListParams::default() };
    let found =
        api.list(&parameters).await.map_err(|error| Failure::from_kube(&error, &listed.resource.plural))?;
    let wholes = found.items.into_iter().map(|object| {
        let mut whole = object.data;
        whole["metadata"] = json!(object.metadata);
        whole
    });
    let kind = listed.resource.kind.to_lowercase();
    Ok(wholes.filter(|whole| (listed.belongs)(whole)).map(|whole| Part::read(&kind, &whole)).collect())
}

fn root(view: &View) -> Part {
    let states =
        [view.status.lifecycle_state.map_or("", |state| state.as_str()), &view.sentence()].map(str::to_owned);
    Part {
        object: view.object_name(),
        uid: view.uid.clone(),
        owner: None,
        detail: states.into_iter().filter(|state| !state.is_empty()).collect::<Vec<_>>().join(", "),
        created: view.object.metadata.creation_timestamp.as_ref().map(|time| time.0),
    }
}

/// The job is no object of Kubernetes, and what everything else is for.
fn job(view: &View) -> Option<Branch> {
    let id = view.job_id()?;
    let state = view.job_state().map_or("UNKNOWN", |state| state.as_str());
    let parallelism = view.spec.job.as_ref().map(|job| job.parallelism).filter(|number| *number > 0);
    let parallelism = parallelism.map(|number| format!(", parallelism {number}")).unwrap_or_default();
    let restored = format!(", restored from {}", view.restored_from());
    let part = Part {
        object: format!("job/{id}"),
        uid: String::new(),
        owner: None,
        detail: format!("{state}{parallelism}{restored}"),
        created: None,
    };
    Some(Branch { part, children: Vec::new() })
}
