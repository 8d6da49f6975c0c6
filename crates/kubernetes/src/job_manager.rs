//! What the JobManager's pods have in both modes, over their pod template, and the Deployment around them. The order
//! of what is added is that of Flink's own client.

use std::collections::BTreeMap;

use drey_api::kinds::DeploymentMode;
use drey_core::decision::Deployment;
use serde_json::{Map, Value, json};

use crate::cluster::{
    ClusterIdentity, Component, MAIN_CONTAINER, configuration_name, deployment_annotations, owned_by,
    selector,
};
use crate::error::BuildError;
use crate::pod::{PodDraft, add_entries, add_items, list};
use crate::ports::Ports;
use crate::resources;
use crate::settings::Settings;

const SERVICE_ACCOUNT: [&str; 2] = ["kubernetes.jobmanager.service-account", "kubernetes.service-account"];
const IMAGE: [&str; 2] = ["kubernetes.container.image.ref", "kubernetes.container.image"];
const IMAGE_PULL_POLICY: &str = "kubernetes.container.image.pull-policy";
const POD_IP: &str = "_POD_IP_ADDRESS";

/// The pod as far as it is the same however the process is started.
pub(crate) fn initialise(
    draft: &mut PodDraft,
    cluster: &ClusterIdentity,
    deployment: &Deployment,
    settings: Settings<'_>,
    ports: Ports,
) -> Result<(), BuildError> {
    let desired = &deployment.desired;
    let host_network = settings.boolean("kubernetes.hostnetwork.enabled")?.unwrap_or(false);
    set_service_account(&mut draft.spec, settings, &SERVICE_ACCOUNT);
    set_network(&mut draft.spec, host_network);
    add_artifacts_volume(draft, settings)?;
    let labels = labels(cluster, desired.mode, Component::JobManager, settings)?;
    add_entries(&mut draft.metadata, "labels", labels)?;
    add_entries(&mut draft.metadata, "annotations", annotations(deployment, settings)?)?;
    add_scheduling(&mut draft.spec, settings, "jobmanager")?;
    set_image(&mut draft.main, settings)?;
    resources::set(&mut draft.main, settings, "jobmanager", desired.job_manager_memory_bytes, 1.0)?;
    if !host_network {
        let container_ports =
            [("rest", ports.rest), ("jobmanager-rpc", ports.job_manager_rpc), ("blobserver", ports.blob)]
                .map(|(name, port)| json!({ "name": name, "containerPort": port }));
        add_items(&mut draft.main, "ports", container_ports.into())?;
    }
    add_environment(draft, settings, "containerized.master.env.")?;
    draft.add_environment(json!({
        "name": POD_IP,
        "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "status.podIP" } },
    }))?;
    add_log_directory(draft, settings)?;
    add_secrets(draft, settings)
}

/// The Deployment of the JobManagers.
pub(crate) fn deployment(
    draft: PodDraft,
    cluster: &ClusterIdentity,
    deployment: &Deployment,
    settings: Settings<'_>,
) -> Result<Value, BuildError> {
    let desired = &deployment.desired;
    let replicas = settings.number::<i32>(&["kubernetes.jobmanager.replicas"])?.unwrap_or(1);
    if replicas > 1 && !desired.options.high_availability {
        return Err(BuildError::Missing {
            field: "high-availability.type",
            hint: "more than one JobManager needs high availability",
        });
    }
    let mode = desired.mode;
    let mut object = workload(&cluster.name, cluster, draft, replicas, Component::JobManager, mode)?;
    object["metadata"]["labels"] = json!(labels(cluster, mode, Component::JobManager, settings)?);
    object["metadata"]["annotations"] = json!(annotations(deployment, settings)?);
    Ok(object)
}

/// A Deployment without labels and annotations of its own.
pub(crate) fn workload(
    name: &str,
    cluster: &ClusterIdentity,
    draft: PodDraft,
    replicas: i32,
    component: Component,
    mode: DeploymentMode,
) -> Result<Value, BuildError> {
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": &*cluster.namespace,
            "ownerReferences": owned_by(cluster, false),
        },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": selector(&cluster.name, mode, component) },
            "template": draft.finish()?,
        },
    }))
}

/// Labels of a Deployment and its pods. Those by which Flink finds its pods win over the user's.
pub(crate) fn labels(
    cluster: &ClusterIdentity,
    mode: DeploymentMode,
    component: Component,
    settings: Settings<'_>,
) -> Result<BTreeMap<String, String>, BuildError> {
    let key = match component {
        Component::JobManager => "kubernetes.jobmanager.labels",
        Component::TaskManager => "kubernetes.taskmanager.labels",
    };
    let mut labels = settings.map(key)?;
    labels.extend(selector(&cluster.name, mode, component));
    Ok(labels)
}

fn annotations(
    deployment: &Deployment,
    settings: Settings<'_>,
) -> Result<BTreeMap<String, String>, BuildError> {
    let mut annotations = settings.map("kubernetes.jobmanager.annotations")?;
    annotations.extend(deployment_annotations(deployment));
    Ok(annotations)
}

/// The option wins over the template where it is set.
pub(crate) fn set_service_account(spec: &mut Map<String, Value>, settings: Settings<'_>, keys: &[&str]) {
    let of_template =
        ["serviceAccount", "serviceAccountName"].iter().find_map(|key| spec.get(*key)?.as_str());
    let account = settings.text(keys).or(of_template).unwrap_or("default");
    let account = json!(account);
    spec.insert("serviceAccount".to_owned(), account.clone());
    spec.insert("serviceAccountName".to_owned(), account);
}

fn set_network(spec: &mut Map<String, Value>, host_network: bool) {
    let usual = || json!("ClusterFirst");
    if host_network {
        spec.insert("hostNetwork".to_owned(), json!(true));
        spec.insert("dnsPolicy".to_owned(), json!("ClusterFirstWithHostNet"));
    } else {
        spec.remove("hostNetwork");
        spec.entry("dnsPolicy").or_insert_with(usual);
    }
}

/// Where Flink puts artifacts that it fetches itself.
fn add_artifacts_volume(draft: &mut PodDraft, settings: Settings<'_>) -> Result<(), BuildError> {
    let directory = settings.text(&["user.artifacts.base-dir"]).unwrap_or("/opt/flink/artifacts");
    draft.add_volume(json!({ "name": "user-artifacts-volume", "emptyDir": {} }), directory)
}

/// Where the pods may run, and with which secrets their images are pulled.
pub(crate) fn add_scheduling(
    spec: &mut Map<String, Value>,
    settings: Settings<'_>,
    process: &str,
) -> Result<(), BuildError> {
    let secrets = settings.list("kubernetes.container.image.pull-secrets")?;
    add_items(
        spec,
        "imagePullSecrets",
        secrets.into_iter().map(|secret| json!({ "name": secret })).collect(),
    )?;
    add_entries(spec, "nodeSelector", settings.map(&format!("kubernetes.{process}.node-selector"))?)?;
    let key = format!("kubernetes.{process}.tolerations");
    let tolerations = settings.maps(&key)?;
    let tolerations: Result<Vec<Value>, BuildError> =
        tolerations.iter().map(|entries| toleration(&key, entries)).collect();
    add_items(spec, "tolerations", tolerations?)
}

fn toleration(option: &str, entries: &BTreeMap<String, String>) -> Result<Value, BuildError> {
    let mut toleration = Map::new();
    for (key, value) in entries {
        let (name, value) = match key.to_ascii_lowercase().as_str() {
            "key" => ("key", json!(value)),
            "operator" => ("operator", json!(value)),
            "value" => ("value", json!(value)),
            "effect" => ("effect", json!(value)),
            "tolerationseconds" => {
                let seconds: i64 = value
                    .parse()
                    .map_err(|_| BuildError::value(option, value, "a whole number of tolerationSeconds"))?;
                ("tolerationSeconds", json!(seconds))
            }
            _ => {
                return Err(BuildError::value(
                    option,
                    key,
                    "key, operator, value, effect or tolerationSeconds",
                ));
            }
        };
        toleration.insert(name.to_owned(), value);
    }
    Ok(Value::Object(toleration))
}

/// Image and pull policy of Flink's container. The option wins over the template where it is set.
pub(crate) fn set_image(main: &mut Map<String, Value>, settings: Settings<'_>) -> Result<(), BuildError> {
    let of_template = |key: &str| main.get(key).and_then(Value::as_str);
    let image = settings.text(&IMAGE).or(of_template("image"));
    let Some(image) = image.map(str::trim).filter(|image| !image.is_empty()) else {
        return Err(BuildError::Missing {
            field: "spec.image",
            hint: "set it, or `kubernetes.container.image.ref`, to an image of Flink of `spec.flinkVersion`",
        });
    };
    let policy = settings.text(&[IMAGE_PULL_POLICY]).or(of_template("imagePullPolicy"));
    let (image, policy) = (json!(image), json!(policy.unwrap_or("IfNotPresent")));
    main.insert("name".to_owned(), json!(MAIN_CONTAINER));
    main.insert("image".to_owned(), image);
    main.insert("imagePullPolicy".to_owned(), policy);
    Ok(())
}

/// Environment variables that the configuration gives by a prefix.
pub(crate) fn add_environment(
    draft: &mut PodDraft,
    settings: Settings<'_>,
    prefix: &str,
) -> Result<(), BuildError> {
    for (name, value) in settings.with_prefix(prefix) {
        draft.add_environment(json!({ "name": name, "value": value }))?;
    }
    Ok(())
}

pub(crate) fn add_log_directory(draft: &mut PodDraft, settings: Settings<'_>) -> Result<(), BuildError> {
    match settings.text(&["kubernetes.flink.log.dir"]) {
        Some(directory) => draft.add_environment(json!({ "name": "FLINK_LOG_DIR", "value": directory })),
        None => Ok(()),
    }
}

/// Secrets as environment variables and as files.
pub(crate) fn add_secrets(draft: &mut PodDraft, settings: Settings<'_>) -> Result<(), BuildError> {
    let key = "kubernetes.env.secretKeyRef";
    for entry in settings.maps(key)? {
        let part = |part: &str| {
            entry.get(part).ok_or_else(|| {
                let given: Vec<String> = entry.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                BuildError::value(key, &given.join(","), "env, secret and key in each item")
            })
        };
        let (variable, secret, secret_key) = (part("env")?, part("secret")?, part("key")?);
        draft.add_environment(json!({
            "name": variable,
            "valueFrom": { "secretKeyRef": { "name": secret, "key": secret_key } },
        }))?;
    }
    for (secret, path) in settings.map("kubernetes.secrets")? {
        let volume = json!({ "name": format!("{secret}-volume"), "secret": { "secretName": secret } });
        draft.add_volume(volume, &path)?;
    }
    Ok(())
}

/// The files of Hadoop's configuration, where a ConfigMap that exists has them.
pub(crate) fn add_hadoop(draft: &mut PodDraft, settings: Settings<'_>) -> Result<(), BuildError> {
    const DIRECTORY: &str = "/opt/hadoop/conf";
    let mounted = settings.boolean("kubernetes.decorator.hadoop-conf-mount.enabled")?.unwrap_or(true);
    let name = settings.text(&["kubernetes.hadoop.conf.config-map.name"]).map(str::trim);
    let Some(name) = name.filter(|name| mounted && !name.is_empty()) else { return Ok(()) };
    draft.add_volume(json!({ "name": "hadoop-config-volume", "configMap": { "name": name } }), DIRECTORY)?;
    draft.add_environment(json!({ "name": "HADOOP_CONF_DIR", "value": DIRECTORY }))
}

/// The volume with the configuration file and the logging files.
pub(crate) fn add_configuration(
    draft: &mut PodDraft,
    cluster: &ClusterIdentity,
    settings: Settings<'_>,
    files: &[String],
) -> Result<(), BuildError> {
    let directory = settings.text(&["kubernetes.flink.conf.dir"]).unwrap_or("/opt/flink/conf");
    let items: Vec<Value> = files.iter().map(|file| json!({ "key": file, "path": file })).collect();
    let map = json!({ "name": configuration_name(&cluster.name), "items": items });
    draft.add_volume(json!({ "name": "flink-config-volume", "configMap": map }), directory)
}

/// Command and arguments of Flink's container, in place of whatever the template has.
pub(crate) fn set_command(
    draft: &mut PodDraft,
    settings: Settings<'_>,
    arguments: Vec<String>,
) -> Result<(), BuildError> {
    let entry = settings.text(&["kubernetes.entry.path"]).unwrap_or("/docker-entrypoint.sh");
    draft.main.insert("command".to_owned(), json!([entry]));
    draft.main.remove("args");
    *list(&mut draft.main, "args")? = arguments.into_iter().map(Value::String).collect();
    Ok(())
}
