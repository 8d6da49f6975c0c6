//! What Flink is configured with on this machine: the resource's configuration, with everything set that makes
//! processes of several clusters live side by side on the loopback interface. Pure.
//!
//! ```text
//!   defaults of this machine ─► the resource's configuration ─► what must hold here
//! ```
//! It refuses to know how the file is spelt and what is written where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use drey_api::options::directory_keys;
use drey_flink::FlinkVersion;
use drey_flink::version::RenamedOption;

use crate::record::{ClusterDirectory, ClusterRecord};
use crate::state_dir::Layout;

const LOOPBACK: &str = "127.0.0.1";

/// Java options without which Flink does not run on Java 9 and newer, as Flink's own default configuration has
/// them. Options for packages that a Java does not have only cost a warning.
const JAVA_MODULE_OPTIONS: &str = "--add-exports=java.base/sun.net.util=ALL-UNNAMED \
--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.api=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.parser=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.tree=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.util=ALL-UNNAMED \
--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED \
--add-opens=java.base/java.lang=ALL-UNNAMED \
--add-opens=java.base/java.net=ALL-UNNAMED \
--add-opens=java.base/java.io=ALL-UNNAMED \
--add-opens=java.base/java.nio=ALL-UNNAMED \
--add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
--add-opens=java.base/java.lang.reflect=ALL-UNNAMED \
--add-opens=java.base/java.text=ALL-UNNAMED \
--add-opens=java.base/java.time=ALL-UNNAMED \
--add-opens=java.base/java.util=ALL-UNNAMED \
--add-opens=java.base/java.util.concurrent=ALL-UNNAMED \
--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED \
--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED";

/// Options that speak of how a cluster is launched elsewhere.
const FOREIGN_OPTIONS: [&str; 4] =
    ["execution.target", "pipeline.jars", "pipeline.classpaths", "job-result-store.storage-path"];

/// The machine around a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// Where things lie.
    pub(crate) layout: &'a Layout,
    /// The incarnation's own directory.
    pub(crate) directory: &'a ClusterDirectory,
    /// The kubeconfig for Flink.
    pub(crate) kubeconfig: &'a Path,
    /// Flink's version.
    pub(crate) version: FlinkVersion,
    /// Major version of the Java that runs it.
    pub(crate) java_major: u32,
}

/// The whole configuration of a cluster.
pub(crate) fn entries(record: &ClusterRecord, around: &Surroundings<'_>) -> BTreeMap<String, String> {
    let mut entries = record.configuration.clone();
    entries.retain(|key, _| !FOREIGN_OPTIONS.contains(&key.as_str()) && !key.starts_with("$internal."));
    add_defaults(&mut entries, record, around);
    for key in directory_keys() {
        if let Some(value) = entries.get_mut(key) {
            *value = absolute_uri(value, around.layout.root());
        }
    }
    add_addresses(&mut entries, record);
    add_directories(&mut entries, around.directory);
    add_high_availability(&mut entries, record, around);
    add_job_end(&mut entries, record, around.layout);
    add_java_options(&mut entries, around);
    entries
}

fn add_defaults(entries: &mut BTreeMap<String, String>, record: &ClusterRecord, around: &Surroundings<'_>) {
    let mut default = |option: RenamedOption, value: String| {
        if option.keys().iter().all(|key| !entries.contains_key(*key)) {
            entries.insert(option.key(around.version).to_owned(), value);
        }
    };
    let (namespace, name) = (record.namespace.as_str(), record.name.as_str());
    default(RenamedOption::CheckpointsDirectory, file_uri(&around.layout.checkpoints(namespace, name)));
    default(RenamedOption::SavepointsDirectory, file_uri(&around.layout.savepoints(namespace, name)));
    default(RenamedOption::HighAvailability, high_availability_value(around.version).to_owned());
    if !entries.contains_key("high-availability.storageDir") {
        let directory = around.layout.root().join("high-availability");
        entries.insert("high-availability.storageDir".to_owned(), file_uri(&directory));
    }
}

/// `kubernetes` became a word for it in Flink 1.16; before, the class had to be named.
fn high_availability_value(version: FlinkVersion) -> &'static str {
    if version.is_at_least(1, 16) {
        "kubernetes"
    } else {
        "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"
    }
}

/// Everything listens on the loopback interface only, on ports that no other cluster has.
fn add_addresses(entries: &mut BTreeMap<String, String>, record: &ClusterRecord) {
    for key in [
        "jobmanager.rpc.address",
        "jobmanager.bind-host",
        "taskmanager.host",
        "taskmanager.bind-host",
        "rest.address",
        "rest.bind-address",
    ] {
        entries.insert(key.to_owned(), LOOPBACK.to_owned());
    }
    // Zero: any free port, for listeners that are found through high availability.
    for key in [
        "taskmanager.rpc.port",
        "taskmanager.data.port",
        "blob.server.port",
        "metrics.internal.query-service.port",
    ] {
        entries.insert(key.to_owned(), "0".to_owned());
    }
    entries.remove("taskmanager.data.bind-port");
    for (key, port) in [
        ("jobmanager.rpc.port", record.ports.rpc),
        ("high-availability.jobmanager.port", record.ports.rpc),
        ("rest.port", record.ports.rest),
        ("rest.bind-port", record.ports.rest),
    ] {
        entries.insert(key.to_owned(), port.to_string());
    }
    entries.remove("jobmanager.rpc.bind-port");
    entries.remove("taskmanager.rpc.bind-port");
}

/// Everything that may go with the incarnation lies in its own directory.
fn add_directories(entries: &mut BTreeMap<String, String>, directory: &ClusterDirectory) {
    let temporary = directory.temporary().display().to_string();
    for key in ["io.tmp.dirs", "web.tmpdir"] {
        entries.insert(key.to_owned(), temporary.clone());
    }
    let log = directory.log(crate::record::Slot::JobManager);
    entries.insert("web.log.path".to_owned(), log.display().to_string());
}

/// The cluster id is the resource's name, as in Kubernetes, so that one look at the ConfigMaps finds the data of a
/// resource whichever incarnation wrote it. Two applications with one id would share a job id, their storage and
/// their results, and stopping one would delete the other's: in a namespace names are unique, and the storage of
/// namespaces is kept apart here.
fn add_high_availability(
    entries: &mut BTreeMap<String, String>,
    record: &ClusterRecord,
    around: &Surroundings<'_>,
) {
    for key in ["high-availability.cluster-id", "kubernetes.cluster-id"] {
        entries.insert(key.to_owned(), record.name.clone());
    }
    entries.insert("kubernetes.namespace".to_owned(), record.namespace.clone());
    entries.insert("kubernetes.config.file".to_owned(), around.kubeconfig.display().to_string());
    if let Some(directory) = entries.get_mut("high-availability.storageDir") {
        *directory = format!("{}/{}", directory.trim_end_matches('/'), record.namespace);
    }
    // A restart after a crash waits for the dead leader's lease: with Flink's own 15 s it takes twice as long. An
    // expired lease fences nobody off, so a short one is no less safe.
    for (key, value) in [("lease-duration", "5 s"), ("renew-deadline", "3 s"), ("retry-period", "1 s")] {
        let key = format!("high-availability.kubernetes.leader-election.{key}");
        entries.entry(key).or_insert_with(|| value.to_owned());
    }
}

/// A job that is over stays to be looked at, and its result is kept: it is the proof that the job may not be run
/// again. Each deploy has a result store of its own, so that no result of an earlier run is mistaken for its own.
fn add_job_end(entries: &mut BTreeMap<String, String>, record: &ClusterRecord, layout: &Layout) {
    let results = layout.job_results(&record.namespace, &record.name, &record.owner_uid, record.seq);
    for (key, value) in [
        ("job-result-store.storage-path", file_uri(&results)),
        ("job-result-store.delete-on-commit", "false".to_owned()),
        ("execution.shutdown-on-application-finish", "false".to_owned()),
        // The statistics of a job that has just ended must not be older than its end: they name its last snapshot.
        ("rest.cache.checkpoint-statistics.timeout", "0 s".to_owned()),
    ] {
        entries.insert(key.to_owned(), value);
    }
    entries
        .entry("execution.submit-failed-job-on-application-error".to_owned())
        .or_insert_with(|| "true".to_owned());
}

/// The user's options come last, so that they win. The JVM is kept from leaving files outside the directory.
fn add_java_options(entries: &mut BTreeMap<String, String>, around: &Surroundings<'_>) {
    let own = format!("-XX:-UsePerfData -Djava.io.tmpdir={}", around.directory.temporary().display());
    let modules = if around.java_major >= 9 { JAVA_MODULE_OPTIONS } else { "" };
    let [new, old] = RenamedOption::JavaOptions.keys();
    let user = [old, new].iter().filter_map(|key| entries.remove(*key)).collect::<Vec<_>>().join(" ");
    let all = [modules, own.as_str(), user.trim()];
    let all = all.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    // Flink's scripts read this name in every version from 1.18, and the older one before.
    entries.insert(RenamedOption::JavaOptions.key(around.version).to_owned(), all);
}

/// The local path of a Flink path: without a scheme or with `file:`. `None` for other storage. Relative paths
/// begin at `base`.
pub(crate) fn local_path(text: &str, base: &Path) -> Option<PathBuf> {
    let text = text.trim();
    let Some((scheme, rest)) = split_scheme(text) else { return Some(base.join(text)) };
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let path = match rest.strip_prefix("//") {
        Some(with_authority) => with_authority.strip_prefix("localhost").unwrap_or(with_authority),
        None => rest,
    };
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// A `file:` URI as Flink itself writes one.
pub(crate) fn file_uri(path: &Path) -> String {
    format!("file:{}", path.display())
}

/// A path with a scheme; relative ones begin at `base`.
fn absolute_uri(value: &str, base: &Path) -> String {
    match split_scheme(value.trim()) {
        Some(_) => value.trim().to_owned(),
        None => file_uri(&base.join(value.trim())),
    }
}

/// The scheme of a URI and the rest after the colon.
pub(crate) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    valid.then_some((scheme, rest))
}

/// Directories on this machine that the configuration names, with their keys: they have to exist and be writable
/// before a job runs, or its first checkpoint fails.
pub(crate) fn local_directories(entries: &BTreeMap<String, String>) -> Vec<(String, PathBuf)> {
    let named = directory_keys().chain(["job-result-store.storage-path"]);
    named
        .filter_map(|key| {
            let path = local_path(entries.get(key)?, Path::new("/"))?;
            Some((key.to_owned(), path))
        })
        .collect()
}

/// Where checkpoints of a resource lie, as [`entries`] configures it.
pub(crate) fn checkpoint_directory(
    configuration: &BTreeMap<String, String>,
    layout: &Layout,
    namespace: &str,
    name: &str,
) -> Option<PathBuf> {
    let configured =
        RenamedOption::CheckpointsDirectory.keys().iter().find_map(|key| configuration.get(*key));
    match configured {
        Some(value) => local_path(value, layout.root()),
        None => Some(layout.checkpoints(namespace, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(user: &[(&str, &str)], version: FlinkVersion, java_major: u32) -> BTreeMap<String, String> {
        let layout = Layout::of(Path::new("/p/.drey"));
        let directory = ClusterDirectory::at(PathBuf::from("/p/.drey/clusters/default/counter/0b1c"));
        let mut record = crate::record::tests::record();
        record.configuration =
            user.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let kubeconfig = Path::new("/p/.drey/kubeconfig");
        let around = Surroundings { layout: &layout, directory: &directory, kubeconfig, version, java_major };
        entries(&record, &around)
    }

    #[test]
    fn a_bare_resource_gets_high_availability_and_directories_of_its_own() {
        let entries = build(&[], FlinkVersion::new(1, 20), 17);
        for (key, value) in [
            ("high-availability.type", "kubernetes"),
            ("high-availability.cluster-id", "counter"),
            ("high-availability.storageDir", "file:/p/.drey/high-availability/default"),
            ("execution.checkpointing.dir", "file:/p/.drey/checkpoints/default/counter"),
            ("execution.checkpointing.savepoint-dir", "file:/p/.drey/savepoints/default/counter"),
            ("job-result-store.storage-path", "file:/p/.drey/job-results/default/counter/owner/3"),
            ("execution.shutdown-on-application-finish", "false"),
            ("io.tmp.dirs", "/p/.drey/clusters/default/counter/0b1c/tmp"),
            ("rest.bind-address", "127.0.0.1"),
            ("rest.port", "1"),
        ] {
            assert_eq!(entries.get(key).map(String::as_str), Some(value), "{key}");
        }
    }

    #[test]
    fn what_the_user_says_wins_where_it_may() {
        let entries = build(
            &[
                ("state.checkpoints.dir", "mine/checkpoints"),
                ("state.savepoints.dir", "s3://bucket/savepoints"),
                ("high-availability.storageDir", "file:///data/ha/"),
                ("env.java.opts.all", "-Dmine=1"),
                ("execution.target", "kubernetes-application"),
                ("$internal.pipeline.job-id", "x"),
                ("rest.port", "8081"),
                ("high-availability.cluster-id", "theirs"),
            ],
            FlinkVersion::new(1, 20),
            17,
        );
        assert_eq!(entries["state.checkpoints.dir"], "file:/p/.drey/mine/checkpoints");
        assert!(!entries.contains_key("execution.checkpointing.dir"));
        assert_eq!(entries["state.savepoints.dir"], "s3://bucket/savepoints");
        assert_eq!(entries["high-availability.storageDir"], "file:///data/ha/default");
        assert!(entries["env.java.opts.all"].starts_with("--add-exports"));
        assert!(entries["env.java.opts.all"].ends_with(" -Dmine=1"));
        assert!(!entries.contains_key("execution.target"));
        assert!(!entries.contains_key("$internal.pipeline.job-id"));
        assert_eq!(entries["rest.port"], "1");
        assert_eq!(entries["high-availability.cluster-id"], "counter");
    }

    #[test]
    fn java_8_and_old_versions_get_their_own_spelling() {
        let entries = build(&[("env.java.opts", "-Xdebug")], FlinkVersion::new(1, 15), 8);
        assert!(!entries["env.java.opts"].contains("--add"));
        assert!(entries["env.java.opts"].ends_with("-Xdebug"));
        assert!(entries["high-availability"].ends_with("KubernetesHaServicesFactory"));
    }

    #[test]
    fn local_paths_are_told_from_other_storage() {
        let base = Path::new("/base");
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(local_path(text, base), expected.map(PathBuf::from), "{text}");
        };
        check("/a/b", Some("/a/b"));
        check("a/b", Some("/base/a/b"));
        check("file:/a/b", Some("/a/b"));
        check("file:///a/b", Some("/a/b"));
        check("file://localhost/a/b", Some("/a/b"));
        check("file://host/a", None);
        check("s3://bucket/a", None);
        check("/with:colon", Some("/with:colon"));
    }
}
