//! Records the objects that Flink's own client makes for the cases of the golden tests.
//!
//! Each case is deployed by `RecordCluster.java` with the client of one version of Flink, against a kube-apiserver
//! whose audit log tells what was created. The client gets what the Java operator would give it: the effective
//! configuration of the run with the owner, the annotations, and pod templates and logging as files.
//!
//! `cargo xtask goldens` starts the API server and calls this.

#[path = "../tests/goldens/case.rs"]
mod case;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use case::Case;
use drey_api::kinds::FlinkVersion;
use drey_flink::configuration_file;
use drey_kubernetes::{configuration, pod_template};
use serde_json::{Map, Value, json};

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    version: FlinkVersion,
    class_path: String,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
    directory: PathBuf,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [version, class_path, kubeconfig, audit_log, directory] = <[String; 5]>::try_from(arguments)
        .map_err(|_| "usage: record-goldens VERSION CLASS_PATH KUBECONFIG AUDIT_LOG EMPTY_DIRECTORY")?;
    let arguments = Arguments {
        version: FlinkVersion::from_text(&version).ok_or("the version is one such as v1_20")?,
        class_path,
        kubeconfig: kubeconfig.into(),
        audit_log: audit_log.into(),
        directory: directory.into(),
    };
    record(&arguments)
}

fn record(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { version, class_path, kubeconfig, audit_log, directory } = arguments;
    let cases = case::cases();
    let mut directories = Vec::new();
    for case in &cases {
        let own = directory.join(&case.name);
        fs::create_dir_all(&own)?;
        write_configuration(case, *version, &own)?;
        directories.push(own);
    }
    let before = usize::try_from(fs::metadata(audit_log)?.len())?;
    let output = Command::new("java")
        .args(["-cp", class_path, "RecordCluster"])
        .args(directories)
        .env("KUBECONFIG", kubeconfig)
        .env("FLINK_CONF_DIR", directory)
        .output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {text}", version.as_str()).into());
    }
    let audit = fs::read(audit_log)?;
    for case in &cases {
        let created = created(&audit[before..], &case.name)?;
        let local = directory.join(&case.name).display().to_string();
        let created = serde_json::to_string_pretty(&created)?.replace(&local, "<configuration directory>");
        let file = case::recorded(*version, &case.name);
        fs::create_dir_all(file.parent().expect("a file in a directory"))?;
        fs::write(file, created + "\n")?;
        eprintln!("{} {}: {}", version.as_str(), case.name, case.about);
    }
    Ok(())
}

/// Everything that Flink's client reads.
fn write_configuration(case: &Case, version: FlinkVersion, directory: &Path) -> Result<(), Failure> {
    let (cluster, deployment) = (case.cluster(), case.deployment(version));
    let mut entries = configuration::of_run(&cluster, &deployment)?;
    let given = entries.get("kubernetes.jobmanager.annotations").map(|text| format!("{text},"));
    let annotations = format!(
        "{}flinkdeployment.flink.apache.org/generation:{},drey.dev/intent:{},drey.dev/job-id:{}",
        given.unwrap_or_default(),
        deployment.generation,
        deployment.seq,
        deployment.job_id
    );
    entries.insert("kubernetes.jobmanager.annotations".to_owned(), annotations);
    let owner = format!(
        "apiVersion:flink.apache.org/v1beta1,kind:FlinkDeployment,name:{},uid:{},blockOwnerDeletion:true,controller:false",
        cluster.name, cluster.uid
    );
    entries.insert("kubernetes.jobmanager.owner.reference".to_owned(), owner);
    let templates = [
        ("jobmanager", pod_template::job_manager(&deployment.desired)?),
        ("taskmanager", pod_template::task_manager(&deployment.desired)?),
    ];
    for (process, template) in templates {
        if let Some(template) = template {
            let path = directory.join(format!("{process}-template.yaml"));
            fs::write(&path, serde_saphyr::to_string(&template)?)?;
            entries.insert(format!("kubernetes.pod-template-file.{process}"), path.display().to_string());
        }
    }
    let logging = case::logging();
    for (name, default) in [
        ("log4j-console.properties", logging.log4j_console),
        ("logback-console.xml", logging.logback_console),
    ] {
        let text = match &deployment.desired.spec.log_configuration {
            Some(own) => own.get(name).cloned(),
            None => default,
        };
        if let Some(text) = text {
            fs::write(directory.join(name), text)?;
        }
    }
    let of_flink =
        drey_flink::FlinkVersion::new(u16::try_from(version.major())?, u16::try_from(version.minor())?);
    let format = of_flink.configuration_format();
    fs::write(directory.join(format.file_name()), configuration_file::render(&entries, format)?.text)?;
    Ok(())
}

/// What was created for a cluster, by kind and name, with the uids that the server gave named.
fn created(audit: &[u8], cluster: &str) -> Result<Value, Failure> {
    let mut objects = BTreeMap::new();
    for line in audit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_slice(line)?;
        let object = &event["requestObject"];
        if event["responseStatus"]["code"] != 201 || !concerns(object, cluster) {
            continue;
        }
        let mut object = object.clone();
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            for owner in owners.iter_mut().filter(|owner| owner["kind"] == "Deployment") {
                owner["uid"] = json!("<uid of the Deployment>");
            }
        }
        let key = format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]));
        objects.insert(key, object);
    }
    Ok(Value::Object(Map::from_iter(objects)))
}

fn concerns(object: &Value, cluster: &str) -> bool {
    object["metadata"]["labels"]["app"] == cluster
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
