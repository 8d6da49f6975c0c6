//! The Java operator of a cluster: how it is configured, and what it manages. Refuses to change anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use drey_api::configuration::flatten;
use drey_api::defaults::Defaults;
use drey_api::operator;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};

use crate::connection::Connection;
use crate::deployment::View;
use crate::doctor::operator::SELECTOR;
use crate::failure::{Failure, Kind};
use crate::kinds::FlinkKind;
use crate::output::{line, say, table};
use crate::table::Table;
use crate::{judge, laptop, manifest};

/// The ConfigMap of its chart.
const CONFIG_MAP: &str = "flink-operator-config";
/// Its files, in the order in which the later ones count.
const FILES: [&str; 2] = ["flink-conf.yaml", "config.yaml"];
/// The kinds that drey serves and does not act on.
const NOT_ACTED_ON: [FlinkKind; 2] = [FlinkKind::SessionJob, FlinkKind::BlueGreen];
const AUTOSCALER: &str = "job.autoscaler.enabled";

pub(super) async fn run(connection: &Connection) -> Result<(), Failure> {
    let operators = operators(connection).await?;
    if operators.is_empty() {
        say(&format!("no Deployment has the label {SELECTOR}: what follows is about the resources alone"));
    }
    let mut defaults = connection.state_directory.as_deref().map(laptop::defaults).unwrap_or_default();
    for deployment in &operators {
        let pod = deployment.spec.template.spec.as_ref();
        let image = pod.and_then(|pod| pod.containers.first()?.image.as_deref()).unwrap_or("?");
        line(&format!(
            "operator {}/{}, image {image}",
            deployment.namespace().unwrap_or_default(),
            deployment.name_any()
        ))?;
        let judged = configuration(connection, &deployment.namespace().unwrap_or_default()).await?;
        judged.told.iter().try_for_each(|told| line(&format!("  {told}")))?;
        defaults = judged.defaults.unwrap_or(defaults);
    }
    let rows = resources(connection, &defaults).await?;
    let stays = rows.iter().filter(|row| !row.is_taken).count();
    line("")?;
    table(&listed(&rows), false)?;
    line(&format!("\n{} of {} resources are taken over as they run", rows.len() - stays, rows.len()))?;
    if stays > 0 {
        line("keep the Java operator for the namespaces of the others (`watchNamespaces` in both charts)")?;
    }
    line(
        "next: `drey crds diff`, then the chart `charts/drey-operator` with the values of the Java operator's;",
    )?;
    line("going back is the same way: the Java operator goes on from what drey wrote")
}

async fn operators(connection: &Connection) -> Result<Vec<Deployment>, Failure> {
    let api: Api<Deployment> = Api::all(connection.client.clone());
    let found = api.list(&ListParams::default().labels(SELECTOR)).await;
    Ok(found.map_err(|error| Failure::from_kube(&error, "deployments"))?.items)
}

/// What drey says of a configuration, and what clusters start from with it.
struct Judged {
    told: Vec<String>,
    defaults: Option<Defaults>,
}

async fn configuration(connection: &Connection, namespace: &str) -> Result<Judged, Failure> {
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), namespace);
    let found = api.get_opt(CONFIG_MAP).await;
    let map = found.map_err(|error| Failure::from_kube(&error, &format!("configmap/{CONFIG_MAP}")))?;
    let Some(map) = map else {
        let told = vec![format!("configuration: there is no ConfigMap {CONFIG_MAP}")];
        return Ok(Judged { told, defaults: None });
    };
    Ok(judged(&map.data.unwrap_or_default()))
}

fn judged(files: &BTreeMap<String, String>) -> Judged {
    let mut flat = BTreeMap::new();
    let mut told = Vec::new();
    for name in FILES {
        let Some(text) = files.get(name) else { continue };
        let tree = serde_saphyr::from_str(text).map_err(|error| error.to_string());
        match tree.and_then(|tree| flatten(&tree).map_err(|error| error.to_string())) {
            Ok(keys) => flat.extend(keys),
            Err(error) => told.push(format!("configuration: {name} cannot be read: {error}")),
        }
    }
    let defaults = match operator::read(&flat) {
        Ok((configuration, findings)) => {
            told.extend(findings.iter().map(|finding| format!("configuration: {finding}")));
            Some(configuration.defaults)
        }
        Err(refusals) => {
            let told_of = |refusal| format!("configuration: drey would not start: {refusal}");
            told.extend(refusals.iter().map(told_of));
            None
        }
    };
    told.push(format!("configuration: {} keys are read", flat.len()));
    Judged { told, defaults }
}

/// One resource, and whether drey goes on with it.
struct Row {
    kind: FlinkKind,
    namespace: String,
    name: String,
    is_taken: bool,
    words: String,
}

async fn resources(connection: &Connection, defaults: &Defaults) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for kind in FlinkKind::ALL {
        let api: Api<DynamicObject> = Api::all_with(connection.client.clone(), &kind.resource());
        let found = match api.list(&ListParams::default()).await {
            Ok(found) => found.items,
            Err(error) => {
                let failure = Failure::from_kube(&error, kind.names()[0]);
                // The definition came with a later version of the Java operator.
                if failure.kind() == Kind::NotFound {
                    continue;
                }
                return Err(failure);
            }
        };
        rows.extend(found.into_iter().map(|object| row(*kind, object, defaults)));
    }
    rows.sort_by(|a, b| (a.is_taken, &a.namespace, &a.name).cmp(&(b.is_taken, &b.namespace, &b.name)));
    Ok(rows)
}

fn row(kind: FlinkKind, object: DynamicObject, defaults: &Defaults) -> Row {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let outcome = match kind {
        _ if NOT_ACTED_ON.contains(&kind) => Err("drey shows this kind and does not act on it".to_owned()),
        FlinkKind::Snapshot => Ok("kept; its data are only disposed of when it says so".to_owned()),
        _ => deployment(object, defaults),
    };
    let is_taken = outcome.is_ok();
    Row { kind, namespace, name, is_taken, words: outcome.unwrap_or_else(|why| why) }
}

fn deployment(object: DynamicObject, defaults: &Defaults) -> Result<String, String> {
    if object.data["spec"]["job"].is_null() {
        return Err("a session cluster: drey shows it and does not act on it".to_owned());
    }
    if object.data["spec"]["flinkConfiguration"][AUTOSCALER].as_str() == Some("true") {
        return Err("its autoscaler is on, and drey has none: it would stay at its parallelism".to_owned());
    }
    let problems = problems(&object, defaults);
    if !problems.is_empty() {
        return Err(problems.into_iter().collect::<Vec<_>>().join("; "));
    }
    let view = View::from_object(object).map_err(|failure| failure.message().to_owned())?;
    let state = view.job_state().map_or("no job", |state| state.as_str());
    Ok(format!("taken over as it is: {state}"))
}

/// What drey's validation says of a resource that exists.
fn problems(object: &DynamicObject, defaults: &Defaults) -> BTreeSet<String> {
    let text = serde_json::to_string(object).unwrap_or_default();
    match manifest::parse(Path::new("-"), &text) {
        Ok(documents) => {
            let namespace = object.namespace().unwrap_or_default();
            let problems = judge::problems(&documents, &namespace, defaults);
            problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
        }
        Err(failure) => BTreeSet::from([failure.message().to_owned()]),
    }
}

fn listed(rows: &[Row]) -> Table {
    let mut table = Table::new(["NAMESPACE", "RESOURCE", "DREY"]);
    for row in rows {
        let words = if row.is_taken { row.words.clone() } else { format!("left alone: {}", row.words) };
        table.push(vec![row.namespace.clone(), row.kind.object(&row.name), words]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: FlinkKind, spec: &serde_json::Value) -> DynamicObject {
        let mut object = DynamicObject::new("a", &kind.resource()).within("n").data(json!({"spec": spec}));
        object.types = Some(kube::core::TypeMeta {
            api_version: kind.resource().api_version,
            kind: kind.resource().kind,
        });
        object
    }

    #[test]
    fn only_what_drey_acts_on_is_taken_over() {
        let job = json!({"jarURI": "local:///a.jar", "parallelism": 1, "upgradeMode": "stateless"});
        let spec = json!({"flinkVersion": "v1_20", "image": "flink:1.20", "serviceAccount": "flink", "job": job,
            "jobManager": {"resource": {"cpu": 1, "memory": "2g"}}, "taskManager": {"resource": {"cpu": 1, "memory": "2g"}}});
        let mut scaled = spec.clone();
        scaled["flinkConfiguration"] = json!({"job.autoscaler.enabled": "true"});
        let mut wrong = spec.clone();
        wrong["job"]["parallelism"] = json!(0);
        let mut session = spec.clone();
        session["job"] = json!(null);
        let expected = [
            (FlinkKind::Deployment, spec, true, "taken over as it is"),
            (FlinkKind::Deployment, scaled, false, "autoscaler"),
            (FlinkKind::Deployment, wrong, false, "parallelism"),
            (FlinkKind::Deployment, session, false, "session cluster"),
            (FlinkKind::SessionJob, json!({}), false, "does not act"),
            (FlinkKind::Snapshot, json!({}), true, "kept"),
        ];
        for (kind, spec, is_taken, words) in expected {
            let row = row(kind, object(kind, &spec), &Defaults::default());
            assert_eq!(row.is_taken, is_taken, "{kind:?}: {}", row.words);
            assert!(row.words.contains(words), "{kind:?}: {}", row.words);
        }
    }

    #[test]
    fn the_configuration_is_judged_key_by_key() {
        let files = BTreeMap::from([(
            "config.yaml".to_owned(),
            "kubernetes.operator.reconcile.interval: 15 s\nkubernetes:\n  operator:\n    reconcile.intervall: 1 s\n"
                .to_owned(),
        )]);
        let told = judged(&files).told;
        assert!(told[0].contains("did you mean `kubernetes.operator.reconcile.interval`?"), "{told:#?}");
        assert_eq!(told.last().map(String::as_str), Some("configuration: 2 keys are read"));
        let broken = judged(&BTreeMap::from([("config.yaml".to_owned(), "a: [".to_owned())])).told;
        let directories =
            BTreeMap::from([("config.yaml".to_owned(), "execution.checkpointing.dir: /c\n".to_owned())]);
        let defaults = judged(&directories).defaults.expect("readable");
        let job = json!({"jarURI": "local:///a.jar", "parallelism": 1, "upgradeMode": "last-state"});
        let spec = json!({"flinkVersion": "v1_20", "image": "flink:1.20", "serviceAccount": "flink", "job": job,
            "flinkConfiguration": {"high-availability.type": "kubernetes", "high-availability.storageDir": "/h"},
            "jobManager": {"resource": {"cpu": 1, "memory": "2g"}}, "taskManager": {"resource": {"cpu": 1, "memory": "2g"}}});
        let object = object(FlinkKind::Deployment, &spec);
        assert_eq!(problems(&object, &defaults), BTreeSet::new(), "directories of the operator count");
        assert_ne!(problems(&object, &Defaults::default()), BTreeSet::new());
        assert!(broken[0].contains("config.yaml cannot be read"), "{broken:#?}");
    }
}
