//! Records the objects that Flink's own client makes for the cases of the golden tests.
//!
//! Each case is deployed by `RecordCluster.java` with the client of one version of Flink on a real API server; what was
//! created is read back by `kubectl`, and removed. The client gets what the Java operator would give it: the effective
//! configuration of the run with the owner, the annotations, and pod templates and logging as files.
//!
//! `cargo xtask goldens` calls this for each version.

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
    kubectl: Kubectl,
    directory: PathBuf,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [version, class_path, kubeconfig, directory] = <[String; 4]>::try_from(arguments)
        .map_err(|_| "usage: record-goldens VERSION CLASS_PATH KUBECONFIG EMPTY_DIRECTORY")?;
    let arguments = Arguments {
        version: FlinkVersion::from_text(&version).ok_or("the version is one such as v1_20")?,
        class_path,
        kubectl: Kubectl { kubeconfig: kubeconfig.into() },
        directory: directory.into(),
    };
    let outcome = record(&arguments);
    // Whatever came of it, nothing stays on the cluster.
    for case in case::cases() {
        let Arguments { kubectl, .. } = &arguments;
        kubectl.run(&["delete", KINDS, "--ignore-not-found", "--selector", &format!("app={}", case.name)])?;
    }
    outcome
}

fn record(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { version, class_path, kubectl, directory } = arguments;
    let cases = case::cases();
    let mut directories = Vec::new();
    for case in &cases {
        let own = directory.join(&case.name);
        fs::create_dir_all(&own)?;
        write_configuration(case, *version, &own)?;
        directories.push(own);
    }
    let output = Command::new("java")
        .args(["-cp", class_path, "RecordCluster"])
        .args(directories)
        .env("KUBECONFIG", kubectl.with_token(directory)?)
        .env("FLINK_CONF_DIR", directory)
        .output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {text}", version.as_str()).into());
    }
    for case in &cases {
        let created = created(kubectl, &case.name)?;
        let local = directory.join(&case.name).display().to_string();
        let created = serde_json::to_string_pretty(&created)?.replace(&local, "<configuration directory>");
        let file = case::recorded(*version, &case.name);
        fs::create_dir_all(file.parent().expect("a file in a directory"))?;
        fs::write(file, created + "\n")?;
        eprintln!("{} {}: {}", version.as_str(), case.name, case.about);
    }
    Ok(())
}

/// The kinds of objects that a cluster consists of.
const KINDS: &str = "deployments,services,configmaps";

/// Flink's client reads no client certificate with a key on an elliptic curve: it gets a token of this account.
const ACCOUNT: &str = "record-goldens";

struct Kubectl {
    kubeconfig: PathBuf,
}

impl Kubectl {
    fn run(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["--namespace", "default"]).args(arguments);
        let output = command.output()?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("kubectl {}: {errors}", arguments.join(" ")).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Objects by a manifest that need not be new.
    fn apply(&self, manifest: &Value, directory: &Path) -> Result<(), Failure> {
        let file = directory.join("account.json");
        fs::write(&file, manifest.to_string())?;
        self.run(&["apply", "--filename", &file.display().to_string()]).map(drop)
    }

    /// A kubeconfig with a token in place of a certificate.
    fn with_token(&self, directory: &Path) -> Result<PathBuf, Failure> {
        let account = json!({ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default" });
        let manifest = json!({ "apiVersion": "v1", "kind": "List", "items": [
            { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT } },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": ACCOUNT },
                "subjects": [account],
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            },
        ] });
        self.apply(&manifest, directory)?;
        let token = self.run(&["create", "token", ACCOUNT])?;
        let text = self.run(&["config", "view", "--raw", "--minify", "--flatten", "--output", "json"])?;
        let mut kubeconfig: Value = serde_json::from_str(&text)?;
        kubeconfig["users"][0]["user"] = json!({ "token": token.trim() });
        let file = directory.join("kubeconfig.json");
        fs::write(&file, kubeconfig.to_string())?;
        Ok(file)
    }
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

/// What was created for a cluster, by kind and name, without what the server and the controllers made up.
fn created(kubectl: &Kubectl, cluster: &str) -> Result<Value, Failure> {
    let text = kubectl.run(&["get", KINDS, "--output", "json", "--selector", &format!("app={cluster}")])?;
    let mut list: Value = serde_json::from_str(&text)?;
    let mut objects = BTreeMap::new();
    for object in list["items"].as_array_mut().ok_or("kubectl answers with a list")? {
        let mut object = object.take();
        forget(&mut object);
        objects
            .insert(format!("{}/{}", text_of(&object["kind"]), text_of(&object["metadata"]["name"])), object);
    }
    Ok(Value::Object(Map::from_iter(objects)))
}

fn forget(object: &mut Value) {
    let remove = |object: &mut Value, keys: &[&str]| {
        if let Some(map) = object.as_object_mut() {
            map.retain(|key, _| !keys.contains(&key.as_str()));
        }
    };
    remove(object, &["status"]);
    let metadata = &mut object["metadata"];
    remove(metadata, &["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"]);
    remove(&mut metadata["annotations"], &["deployment.kubernetes.io/revision"]);
    for owner in metadata["ownerReferences"].as_array_mut().into_iter().flatten() {
        if owner["kind"] == "Deployment" {
            owner["uid"] = json!("<uid of the Deployment>");
        }
    }
    if object["kind"] == "Service" {
        let spec = &mut object["spec"];
        remove(spec, &["clusterIPs", "ipFamilies", "ipFamilyPolicy"]);
        if spec["clusterIP"] != "None" {
            remove(spec, &["clusterIP"]);
        }
        for port in spec["ports"].as_array_mut().into_iter().flatten() {
            remove(port, &["nodePort"]);
        }
    }
    if object["metadata"]["annotations"].as_object().is_some_and(Map::is_empty) {
        remove(&mut object["metadata"], &["annotations"]);
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
