//! The Java operator in a pod of the testbed's node, from its jar alone: with the account, the rights and the
//! configuration that its chart would give it in one namespace. It refuses to know where the jar comes from, and what
//! becomes of the jobs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use drey_testbed::node::{Image, Signal};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::on_cluster::{NAMESPACE, OnCluster, java_home};
use crate::place::Place;

/// Name of its pod, its container and its image.
const NAME: &str = "flink-kubernetes-operator";
/// Name of its account, its role and their binding.
const ACCOUNT: &str = "flink-operator";
/// Name of its ConfigMap.
const CONFIGURATION: &str = "flink-operator-config";
/// Where its program lies in its image.
const HOME: &str = "/flink-kubernetes-operator";
/// Where its configuration is mounted.
const CONFIGURATION_DIRECTORY: &str = "/opt/flink/conf";
/// Its class.
pub(crate) const CLASS: &str = "org.apache.flink.kubernetes.operator.FlinkOperator";
/// The port of its health probe.
const HEALTH_PORT: u16 = 8_085;
/// Its jar has no logging; that of Flink serves as well. In this order.
const LOGGING_JARS: &[&str] = &["log4j-api", "log4j-core", "log4j-slf4j-impl"];
/// How long it may take until it works.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long it may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Its log, without colours.
pub(crate) const LOGGING: &str = "\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5level %c{1} %X{resource.name} %msg%n%throwable
";

/// Makes its image, its account, its rights and its configuration. It does not run yet.
///
/// # Errors
/// When `jar` is not there, or Flink's distribution `flink_home` has no logging.
pub(crate) fn install(place: &OnCluster, jar: &Path, flink_home: &Path) -> Result<()> {
    ensure!(jar.is_file(), "there is no jar of the Java operator at {}", jar.display());
    place.node().add_image(NAME, image(jar, flink_home)?);
    for object in objects(place.java_options()) {
        place.wait_on(place.put(&object))?;
    }
    Ok(())
}

/// Starts it and waits until its probe says that it works.
pub(crate) fn start(place: &mut OnCluster) -> Result<()> {
    place.wait_on(place.put(&pod()))?;
    place.wait_for("the Java operator to work", READY_TIMEOUT, |place| {
        let pod = pods(place);
        let status = place.wait_on(pod.get(NAME))?.status.unwrap_or_default();
        let phase = status.phase.unwrap_or_default();
        ensure!(phase != "Failed" && phase != "Succeeded", "it has ended: {}", log_tail(place));
        let Some(address) = status.pod_ip else { return Ok(None) };
        let url = format!("http://{address}:{HEALTH_PORT}/");
        let answer = place.wait_on(async { reqwest::get(&url).await });
        Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
    })
}

/// Asks it to end, and waits until it has.
pub(crate) fn stop(place: &mut OnCluster) -> Result<()> {
    let pod = pods(place);
    place.wait_on(pod.delete(NAME, &DeleteParams::default()))?;
    wait_until_gone(place)
}

/// Kills it at once.
pub(crate) fn kill(place: &mut OnCluster) -> Result<()> {
    place.node().signal(NAMESPACE, NAME, NAME, Signal::KILL).context("the Java operator runs")?;
    let pod = pods(place);
    place.wait_on(pod.delete(NAME, &DeleteParams::default().grace_period(0)))?;
    wait_until_gone(place)
}

/// The end of its log, for whoever wonders.
pub(crate) fn log_tail(place: &OnCluster) -> String {
    let text = place.log(NAME, NAME);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn wait_until_gone(place: &mut OnCluster) -> Result<()> {
    place.wait_for("the Java operator to end", STOP_TIMEOUT, |place| {
        let pod = pods(place);
        Ok(place.wait_on(pod.get_opt(NAME))?.is_none().then_some(()))
    })
}

fn pods(place: &OnCluster) -> Api<Pod> {
    Api::namespaced(place.kube().client(), NAMESPACE)
}

fn image(jar: &Path, flink_home: &Path) -> Result<Image> {
    let java = java_home("1.20")?;
    let mut image = Image::machine().with_path(&std::fs::canonicalize(jar)?, &format!("{HOME}/operator.jar"));
    for (name, file) in logging(flink_home)? {
        image = image.with_path(&file, &format!("{HOME}/{name}.jar"));
    }
    image.environment.insert("JAVA_HOME".to_owned(), java.display().to_string());
    image.environment.insert("LANG".to_owned(), "C.UTF-8".to_owned());
    image.entrypoint = vec![java.join("bin/java").display().to_string()];
    image.command.clear();
    HOME.clone_into(&mut image.working_directory);
    Ok(image)
}

/// What it needs for logging, in a distribution: names and files, in the order of the class path.
///
/// # Errors
/// When one is not there.
pub(crate) fn logging(flink_home: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let directory = flink_home.join("lib");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        files.push(entry?.path());
    }
    let find = |name: &&'static str| {
        let begins = |file: &&PathBuf| {
            let own = file.file_name().unwrap_or_default().to_string_lossy();
            own.strip_prefix(*name).is_some_and(|rest| {
                rest.strip_prefix('-')
                    .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            })
        };
        let found = files.iter().find(begins).cloned();
        found.map(|file| (*name, file)).with_context(|| format!("{} has no {name}", directory.display()))
    };
    LOGGING_JARS.iter().map(find).collect()
}

/// Account, rights and configuration.
fn objects(java_options: &str) -> Vec<Value> {
    let all = json!(["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]);
    let kinds = ["flinkdeployments", "flinksessionjobs", "flinkstatesnapshots", "flinkbluegreendeployments"];
    let parts =
        kinds.iter().flat_map(|kind| ["", "/status", "/finalizers"].map(|part| format!("{kind}{part}")));
    let rules = json!([
        { "apiGroups": [""], "resources": ["pods", "services", "events", "configmaps", "secrets"], "verbs": all },
        { "apiGroups": ["apps"], "verbs": all,
          "resources": ["deployments", "deployments/finalizers", "deployments/scale", "replicasets"] },
        { "apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": all },
        { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": all },
        { "apiGroups": ["flink.apache.org"], "resources": parts.collect::<Vec<_>>(), "verbs": all },
    ]);
    let configuration = format!(
        "kubernetes.operator.watched.namespaces: {NAMESPACE}\n\
         kubernetes.operator.reconcile.interval: 5 s\n\
         kubernetes.operator.observer.progress-check.interval: 1 s\n\
         kubernetes.operator.observer.rest-ready.delay: 1 s\n\
         kubernetes.operator.health.probe.port: {HEALTH_PORT}\n\
         env.java.opts.all: {java_options}\n"
    );
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": ACCOUNT }, "rules": rules }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": ACCOUNT },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT },
            "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE }] }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": CONFIGURATION },
            "data": { "flink-conf.yaml": configuration, "log4j-operator.properties": LOGGING,
                      "log4j-console.properties": LOGGING } }),
    ]
}

fn pod() -> Value {
    let jars = LOGGING_JARS.iter().map(|name| format!("{HOME}/{name}.jar"));
    let class_path = jars.chain([format!("{HOME}/operator.jar")]).collect::<Vec<_>>().join(":");
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": NAME, "labels": { "app": NAME } },
        "spec": {
            "serviceAccountName": ACCOUNT,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
            "containers": [{
                "name": NAME, "image": NAME,
                "args": ["-Xmx512m",
                    format!("-Dlog4j.configurationFile={CONFIGURATION_DIRECTORY}/log4j-operator.properties"),
                    "-cp", class_path, CLASS],
                "env": [
                    { "name": "OPERATOR_NAMESPACE", "value": NAMESPACE },
                    { "name": "OPERATOR_NAME", "value": NAME },
                    { "name": "FLINK_CONF_DIR", "value": CONFIGURATION_DIRECTORY },
                ],
                "volumeMounts": [{ "name": "configuration", "mountPath": CONFIGURATION_DIRECTORY }],
            }],
            "volumes": [{ "name": "configuration", "configMap": { "name": CONFIGURATION } }],
        },
    })
}
