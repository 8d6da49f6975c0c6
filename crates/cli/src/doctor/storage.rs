//! Where state is kept: whether it outlives a pod, whether Flink has a file system for it, and in laptop mode whether it can
//! be written. Refuses to write anything, and to ask a store that is not of this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drey_api::configuration::flatten;
use drey_api::options::directory_keys;
use rustix::fs::{Access, access, statvfs};
use serde_json::Value;

use super::{Finding, Verdict};
use crate::laptop;
use crate::local_path::absolute;

const CHECK: &str = "storage";
/// With less free room than this, in bytes, a checkpoint may not fit any more.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// The variable that the official images of Flink read plug-ins from.
const PLUGINS: &str = "ENABLE_BUILT_IN_PLUGINS";
/// Where plug-ins lie in the official images.
const PLUGIN_DIRECTORY: &str = "/opt/flink/plugins";
/// File systems that Flink has as plug-ins, by the scheme of a URI.
const FILE_SYSTEMS: [(&[&str], &str); 4] = [
    (&["s3", "s3a", "s3p"], "flink-s3-fs-hadoop or flink-s3-fs-presto"),
    (&["oss"], "flink-oss-fs-hadoop"),
    (&["gs"], "flink-gs-fs-hadoop"),
    (&["abfs", "abfss", "wasb", "wasbs"], "flink-azure-fs-hadoop"),
];

/// What is wrong with where one resource keeps its state in a cluster.
pub fn in_cluster(object: &Value) -> Vec<Finding> {
    let places = places(object);
    let mounted = mounts(object);
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let on = format!("flinkdeployment/{} in {}", text("/metadata/name"), text("/metadata/namespace"));
    let found = |verdict, message: String, fix: String| {
        Some(Finding::new(CHECK, verdict, message).on(on.clone()).fix(fix))
    };
    let forgotten = places.iter().find(|(_, place)| goes_with_the_pod(place, &mounted));
    let forgotten = forgotten.and_then(|(key, place)| {
        let message = format!("keeps state in {place} ({key}), which goes with the pod");
        found(
            Verdict::Wrong,
            message,
            format!("set {key} to storage that all pods reach, or mount a volume there"),
        )
    });
    let lacking = lacking_plugin(object, &places, &mounted).and_then(|(key, place, plugin)| {
        let message = format!(
            "keeps state in {place} ({key}); the image {} has no file system for it unless one is switched on",
            text("/spec/image")
        );
        let fix = format!("set {PLUGINS} in the pod template to {plugin} with its version and `.jar`, or use an image that has it");
        found(Verdict::Note, message, fix)
    });
    forgotten.into_iter().chain(lacking).collect()
}

/// Whether the directories of laptop mode's jobs can be written and have room. `root` is drey's own directory.
pub fn on_this_machine(objects: &[Value], root: &Path) -> Vec<Finding> {
    let own = laptop::defaults(root);
    let jobs = objects.iter().flat_map(places).map(|(_, place)| place);
    let all: BTreeSet<PathBuf> =
        own.base().values().cloned().chain(jobs).filter_map(|place| absolute(&place)).collect();
    let mut findings: Vec<Finding> = all.iter().filter_map(|directory| judge(directory)).collect();
    if findings.is_empty() {
        let message = format!("all {} directories for state can be written", all.len());
        findings.push(Finding::new(CHECK, Verdict::Ok, message));
    }
    findings
}

fn judge(directory: &Path) -> Option<Finding> {
    // What is not there yet is made by Flink, in what is.
    let there = directory.ancestors().find(|path| path.exists())?;
    let found = |verdict, message: String, fix: &str| {
        Some(Finding::new(CHECK, verdict, message).on(directory.display().to_string()).fix(fix))
    };
    if !there.is_dir() {
        return found(
            Verdict::Wrong,
            format!("{} is no directory", there.display()),
            "move it away, or name another",
        );
    }
    if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
        let message = format!("state cannot be written there: {error}");
        return found(
            Verdict::Wrong,
            message,
            "give yourself the right to write there, or name another directory",
        );
    }
    let free_bytes = statvfs(there).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))?;
    let is_scarce = free_bytes < FREE_BYTES_MIN;
    is_scarce.then(|| {
        let message = format!("only {} MB are free", free_bytes >> 20);
        found(Verdict::Note, message, "make room before the next checkpoint needs it")
    })?
}

/// The directories of state that the configuration of a resource with a job names, by their keys.
fn places(object: &Value) -> Vec<(String, String)> {
    let is_stateless = object.pointer("/spec/job/upgradeMode").and_then(Value::as_str) == Some("stateless");
    if is_stateless || object.pointer("/spec/job").is_none() {
        return Vec::new();
    }
    let configuration = object.pointer("/spec/flinkConfiguration").and_then(|tree| flatten(tree).ok());
    let configuration = configuration.unwrap_or_default();
    directory_keys().filter_map(|key| Some((key.to_owned(), configuration.get(key)?.clone()))).collect()
}

fn goes_with_the_pod(place: &str, mounted: &[String]) -> bool {
    absolute(place).is_some_and(|path| !mounted.iter().any(|mount| path.starts_with(mount)))
}

/// The first place for which an official image has no file system switched on, and the plug-in that is lacking.
fn lacking_plugin<'a>(
    object: &Value,
    places: &'a [(String, String)],
    mounted: &[String],
) -> Option<(&'a str, &'a str, &'static str)> {
    let image = object.pointer("/spec/image")?.as_str()?;
    let repository = image.split(['@', ':']).next().unwrap_or_default();
    let is_official = matches!(
        repository,
        "flink"
            | "apache/flink"
            | "library/flink"
            | "docker.io/flink"
            | "docker.io/library/flink"
            | "docker.io/apache/flink"
    );
    let brings_its_own = mounted.iter().any(|mount| mount.starts_with(PLUGIN_DIRECTORY));
    // In a pod template, or as `containerized.master.env.…`.
    let switched_on = object.pointer("/spec").is_some_and(|spec| spec.to_string().contains(PLUGINS));
    if !is_official || brings_its_own || switched_on {
        return None;
    }
    places.iter().find_map(|(key, place)| {
        let (scheme, _) = place.split_once("://")?;
        let (_, plugin) = FILE_SYSTEMS.iter().find(|(schemes, _)| schemes.contains(&scheme))?;
        Some((key.as_str(), place.as_str(), *plugin))
    })
}

/// Where the pod templates mount something.
fn mounts(object: &Value) -> Vec<String> {
    ["/spec/podTemplate", "/spec/jobManager/podTemplate", "/spec/taskManager/podTemplate"]
        .iter()
        .filter_map(|path| object.pointer(path)?.pointer("/spec")?.as_object())
        .flat_map(|pod| {
            ["containers", "initContainers"].into_iter().filter_map(|part| pod.get(part)?.as_array())
        })
        .flatten()
        .filter_map(|container| container.get("volumeMounts")?.as_array())
        .flatten()
        .filter_map(|mount| mount.get("mountPath")?.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(configuration: &Value, pod: &Value) -> Value {
        json!({ "metadata": { "name": "a", "namespace": "n" }, "spec": { "image": "flink:1.20",
            "flinkConfiguration": configuration, "podTemplate": pod, "job": { "upgradeMode": "savepoint" } } })
    }

    fn says(object: &Value, text: &str) -> bool {
        in_cluster(object).iter().any(|finding| finding.message.contains(text))
    }

    #[test]
    fn state_in_a_container_is_found_and_state_elsewhere_is_not() {
        let mounted =
            json!({ "spec": { "containers": [{ "volumeMounts": [{ "mountPath": "/flink-data/" }] }] } });
        for (configuration, pod, is_found) in [
            (json!({ "state.savepoints.dir": "file:///flink-data/savepoints" }), json!({}), true),
            (
                json!({ "state": { "savepoints": { "dir": "file:///flink-data/savepoints" } } }),
                mounted.clone(),
                false,
            ),
            (json!({ "execution.checkpointing.dir": "/flink-database" }), mounted, true),
            (json!({ "state.savepoints.dir": "s3://bucket/savepoints" }), json!({}), false),
            (json!({}), json!({}), false),
        ] {
            let object = job(&configuration, &pod);
            assert_eq!(says(&object, "goes with the pod"), is_found, "{object}");
        }
    }

    #[test]
    fn an_official_image_without_the_file_system_is_told() {
        let bucket = json!({ "state.savepoints.dir": "s3://bucket/savepoints" });
        let mut object = job(&bucket, &json!({}));
        assert!(says(&object, "has no file system for it"));
        object["spec"]["image"] = json!("registry/own-flink:1");
        assert!(!says(&object, "has no file system for it"));
        let switched_on =
            json!({ "spec": { "containers": [{ "env": [{ "name": PLUGINS, "value": "x.jar" }] }] } });
        assert!(!says(&job(&bucket, &switched_on), "has no file system for it"));
        let own = json!({ "spec": { "initContainers": [
            { "volumeMounts": [{ "mountPath": "/opt/flink/plugins/s3" }] }] } });
        assert!(!says(&job(&bucket, &own), "has no file system for it"));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_found_on_this_machine() {
        let root = tempfile::tempdir().expect("a directory");
        let [fine] = &on_this_machine(&[], root.path())[..] else { panic!("one finding") };
        assert!(matches!(fine.verdict, Verdict::Ok | Verdict::Note), "{fine:?}");
        let file = root.path().join("file");
        std::fs::write(&file, "x").expect("written");
        let object = job(
            &json!({ "state.savepoints.dir": format!("file://{}/savepoints", file.display()) }),
            &json!({}),
        );
        let findings = on_this_machine(&[object], root.path());
        assert!(findings.iter().any(|found| found.message.contains("is no directory")), "{findings:?}");
    }
}
