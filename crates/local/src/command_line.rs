//! How a JobManager and a TaskManager are started: program, arguments and environment. Pure, but for the
//! environment of this process, which comes in as a list.
//!
//! It refuses to know when they are started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::process_table::{CLUSTER_VARIABLE, SLOT_VARIABLE, STATE_VARIABLE};
use crate::record::{ClusterDirectory, ClusterRecord, RecordedRestore, Slot};

/// Variables that steer Flink's scripts, a JVM or a Kubernetes client, and that are meant for something else.
const FOREIGN_VARIABLES: [&str; 21] = [
    "JAVA_HOME",
    "JAVA_RUN",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "JVM_ARGS",
    "CLASSPATH",
    "DYNAMIC_PARAMETERS",
    "MAX_LOG_FILE_NUMBER",
    "ROOT_LOG_LEVEL",
    "STD_REDIRECT_TO_FILE",
    "HIGH_AVAILABILITY",
    "ZK_HEAP",
    "HADOOP_CONF_DIR",
    "HADOOP_HOME",
    "HADOOP_CLASSPATH",
    "YARN_CONF_DIR",
    "HBASE_CONF_DIR",
    "HBASE_HOME",
    "KUBECONFIG",
    "BASH_ENV",
];

/// Beginnings of the names of such variables.
const FOREIGN_PREFIXES: [&str; 4] = ["FLINK_", "_FLINK_", "KUBERNETES_", "DREY_"];

/// Arguments of `standalone-job.sh`.
pub(crate) fn job_manager_arguments(record: &ClusterRecord) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["start-foreground".into()];
    // `--jars` swallows every word that follows it up to the next option: it stands first.
    if let Some(jar) = record.jar.as_ref().filter(|_| record.takes_jars()) {
        arguments.extend(["--jars".into(), jar.into()]);
    }
    if let Some(class) = &record.entry_class {
        arguments.extend(["--job-classname".into(), class.into()]);
    }
    // Always given: without it the id is a hash of the cluster id, the same for every run.
    arguments.extend(["--job-id".into(), record.job_id.as_str().into()]);
    match &record.restore {
        // A checkpoint in the high-availability store wins over `--fromSavepoint`, so that a JobManager which is
        // restarted within its cluster goes on from its newest checkpoint with the same arguments.
        RecordedRestore::Path { path } => {
            arguments.extend(["--fromSavepoint".into(), path.into()]);
        }
        RecordedRestore::Empty | RecordedRestore::LastState => {}
    }
    if record.allow_non_restored_state {
        arguments.push("--allowNonRestoredState".into());
    }
    if !record.arguments.is_empty() {
        // Without it, the job's own options would be taken for Flink's.
        arguments.push("--".into());
        arguments.extend(record.arguments.iter().map(OsString::from));
    }
    arguments
}

/// Arguments of `taskmanager.sh`.
pub(crate) fn task_manager_arguments(
    directory: &ClusterDirectory,
    slot: Slot,
    attempt: u32,
) -> Vec<OsString> {
    let log = directory.log(slot).display().to_string();
    vec![
        "start-foreground".into(),
        "-D".into(),
        format!("taskmanager.log.path={log}").into(),
        "-D".into(),
        // Each start has a name of its own: the JobManager may still wait for the one before.
        format!("taskmanager.resource-id={slot}-{attempt}").into(),
    ]
}

/// What surrounds a process.
pub(crate) struct Surroundings<'a> {
    /// The incarnation's directory.
    pub(crate) directory: &'a ClusterDirectory,
    /// The state directory.
    pub(crate) state_directory: &'a Path,
    /// The Java to run with.
    pub(crate) java_home: &'a Path,
    /// The environment of this process.
    pub(crate) inherited: &'a [(OsString, OsString)],
}

/// The whole environment of a process of a cluster.
pub(crate) fn environment(
    record: &ClusterRecord,
    slot: Slot,
    around: &Surroundings<'_>,
) -> Vec<(OsString, OsString)> {
    let mut environment: BTreeMap<OsString, OsString> =
        around.inherited.iter().filter(|(name, _)| !is_foreign(name)).cloned().collect();
    let of_container = match slot {
        Slot::JobManager => &record.job_manager_environment,
        Slot::TaskManager(_) => &record.task_manager_environment,
    };
    environment.extend(of_container.iter().map(|(name, value)| (name.into(), value.into())));
    let directory = around.directory;
    for (name, value) in [
        ("JAVA_HOME", around.java_home.as_os_str().to_owned()),
        ("FLINK_CONF_DIR", directory.configuration().into()),
        ("FLINK_LOG_DIR", directory.logs().into()),
        // Flink's scripts write pid files and take a lock there: every cluster has its own.
        ("FLINK_PID_DIR", directory.temporary().into()),
        ("FLINK_IDENT_STRING", "drey".into()),
        ("TMPDIR", directory.temporary().into()),
        ("DREY_LOG_FILE", directory.log(slot).into()),
        (CLUSTER_VARIABLE, record.uid.as_str().into()),
        (SLOT_VARIABLE, slot.to_string().into()),
        (STATE_VARIABLE, around.state_directory.into()),
    ] {
        environment.insert(name.into(), value);
    }
    if !record.takes_jars() {
        environment.insert("FLINK_LIB_DIR".into(), directory.libraries().into());
    }
    environment.into_iter().collect()
}

fn is_foreign(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    FOREIGN_VARIABLES.contains(&name.as_ref())
        || FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The log4j configuration of a cluster whose resource does not bring one: a file of bounded size for each
/// process, which the process itself rotates, so that it stays bounded when no drey is there.
pub(crate) fn log_configuration() -> String {
    let (size, files) = (crate::limits::LOG_FILE_SIZE, crate::limits::LOG_FILES_MAX);
    format!(
        "monitorInterval = 30\n\
         rootLogger.level = INFO\n\
         rootLogger.appenderRef.file.ref = FileAppender\n\
         appender.file.name = FileAppender\n\
         appender.file.type = RollingFile\n\
         appender.file.append = true\n\
         appender.file.fileName = ${{env:DREY_LOG_FILE}}\n\
         appender.file.filePattern = ${{env:DREY_LOG_FILE}}.%i\n\
         appender.file.layout.type = PatternLayout\n\
         appender.file.layout.pattern = %d{{yyyy-MM-dd HH:mm:ss,SSS}} %-5p %-60c %x - %m%n\n\
         appender.file.policies.type = Policies\n\
         appender.file.policies.size.type = SizeBasedTriggeringPolicy\n\
         appender.file.policies.size.size = {size}\n\
         appender.file.policies.startup.type = OnStartupTriggeringPolicy\n\
         appender.file.strategy.type = DefaultRolloverStrategy\n\
         appender.file.strategy.max = {files}\n\
         logger.netty.name = org.jboss.netty.channel.DefaultChannelPipeline\n\
         logger.netty.level = OFF\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn the_jar_stands_first_and_the_jobs_own_options_behind_a_separator() {
        let mut record = crate::record::tests::record();
        record.jar = Some("/j/a.jar".into());
        record.entry_class = Some("C".to_owned());
        record.allow_non_restored_state = true;
        record.arguments = vec!["--job-id".to_owned(), "a b".to_owned()];
        let expected = [
            "start-foreground",
            "--jars",
            "/j/a.jar",
            "--job-classname",
            "C",
            "--job-id",
            "00000000000000000000000000000001",
            "--fromSavepoint",
            "file:/s",
            "--allowNonRestoredState",
            "--",
            "--job-id",
            "a b",
        ];
        assert_eq!(job_manager_arguments(&record), expected);
    }

    #[test]
    fn old_versions_find_the_jar_beside_their_libraries() {
        let mut record = crate::record::tests::record();
        record.jar = Some("/j/a.jar".into());
        record.flink_version = "1.18".to_owned();
        assert!(!job_manager_arguments(&record).contains(&"--jars".into()));
        let directory = ClusterDirectory::at(PathBuf::from("/c"));
        let around = Surroundings {
            directory: &directory,
            state_directory: Path::new("/s"),
            java_home: Path::new("/java"),
            inherited: &[],
        };
        let environment = environment(&record, Slot::JobManager, &around);
        assert!(environment.contains(&("FLINK_LIB_DIR".into(), "/c/lib".into())));
    }

    #[test]
    fn variables_meant_for_others_do_not_reach_flink() {
        let directory = ClusterDirectory::at(PathBuf::from("/c"));
        let inherited: Vec<(OsString, OsString)> =
            ["PATH", "AWS_PROFILE", "FLINK_CONF_DIR", "JAVA_TOOL_OPTIONS", "KUBERNETES_SERVICE_HOST"]
                .map(|name| (name.into(), "inherited".into()))
                .into();
        let around = Surroundings {
            directory: &directory,
            state_directory: Path::new("/s"),
            java_home: Path::new("/java"),
            inherited: &inherited,
        };
        let mut record = crate::record::tests::record();
        record.job_manager_environment.insert("MINE".to_owned(), "1".to_owned());
        let environment: BTreeMap<_, _> =
            environment(&record, Slot::JobManager, &around).into_iter().collect();
        let get = |name: &str| environment.get(&OsString::from(name)).and_then(|value| value.to_str());
        assert_eq!(get("PATH"), Some("inherited"));
        assert_eq!(get("AWS_PROFILE"), Some("inherited"));
        assert_eq!(get("FLINK_CONF_DIR"), Some("/c/conf"));
        assert_eq!(get("JAVA_HOME"), Some("/java"));
        assert_eq!(get("JAVA_TOOL_OPTIONS"), None);
        assert_eq!(get("KUBERNETES_SERVICE_HOST"), None);
        assert_eq!(get("MINE"), Some("1"));
        assert_eq!(get(CLUSTER_VARIABLE), Some("0b1c"));
    }
}
