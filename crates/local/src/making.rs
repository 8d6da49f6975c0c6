//! Makes the directory of a new cluster: checks what can be checked, and writes down what is to run.
//!
//! It refuses to start anything.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use drey_api::desired::Desired;
use drey_core::Restore;
use drey_core::decision::Deployment;
use drey_engine::launcher::Target;

use crate::configuration::{self, Surroundings};
use crate::record::{self, ClusterDirectory, ClusterRecord, Ports, RecordedRestore};
use crate::services::{Services, now_ms};
use crate::{atomic_file, java, ports, preflight};

/// Everything that can be told without starting anything is told here; nothing is left behind after an error.
pub(crate) fn make(
    services: &Services,
    target: &Target,
    deployment: &Deployment,
) -> Result<(ClusterDirectory, ClusterRecord), String> {
    preflight::check_names(target)?;
    preflight::check_disk(services.layout.root())?;
    let mut record = record_of(services, target, deployment)?;
    preflight::check_kind_of_job(&record)?;
    let jar = preflight::local_jar(record.jar_uri.as_deref())?;
    preflight::check_snapshot(&record.restore, &services.working_directory)?;
    let version = record::flink_version(deployment.desired.flink_version);
    let java = java::find(version, &services.java).map_err(|error| error.to_string())?;
    let incarnations = services.layout.incarnations(&target.namespace, &target.name);
    let directory = ClusterDirectory::at(incarnations.join(&record.uid));
    let around = Surroundings {
        layout: &services.layout,
        directory: &directory,
        kubeconfig: &services.kubeconfig,
        version,
        java_major: java.major,
    };
    let entries = configuration::entries(&record, &around);
    preflight::check_number_of_options(&entries)?;
    let rendered = drey_flink::configuration_file::render(&entries, version.configuration_format());
    rendered.map_err(|error| format!("spec.flinkConfiguration: {error}"))?;
    preflight::check_memory(&entries)?;
    preflight::create_directories(&entries)?;
    let made = write_directory(&incarnations, &directory, &mut record, jar.as_deref());
    made.map_err(|error| format!("`{}` cannot be written: {error}", incarnations.display()))?;
    Ok((directory, record))
}

fn record_of(services: &Services, target: &Target, deployment: &Deployment) -> Result<ClusterRecord, String> {
    let desired = &deployment.desired;
    let job = desired.spec.job.as_ref();
    let uid = random_uid().map_err(|error| format!("/dev/urandom: {error}"))?;
    let (job_manager_environment, task_manager_environment) = record::environments(desired);
    Ok(ClusterRecord {
        ports: find_ports(services, target, &uid, &desired.configuration)?,
        uid,
        namespace: target.namespace.to_string(),
        name: target.name.to_string(),
        owner_uid: target.uid.to_string(),
        seq: deployment.seq,
        generation: deployment.generation,
        job_id: deployment.job_id.as_str().to_owned(),
        restore: match &deployment.restore {
            Restore::Empty => RecordedRestore::Empty,
            Restore::Path(path) => RecordedRestore::Path { path: path.to_string() },
            Restore::LastState => RecordedRestore::LastState,
        },
        allow_non_restored_state: deployment.allow_non_restored_state,
        flink_version: desired.flink_version.dotted(),
        flink_home: None,
        java_home: None,
        jar_uri: job.and_then(|job| job.jar_uri.clone()),
        jar: None,
        entry_class: job.and_then(|job| job.entry_class.clone()),
        arguments: job.map(|job| job.args.clone()).unwrap_or_default(),
        task_managers: u32::try_from(desired.task_manager_replicas).unwrap_or(0),
        configuration: with_memory(desired),
        log_configuration: desired.spec.log_configuration.clone().unwrap_or_default(),
        job_manager_environment,
        task_manager_environment,
        deleting: false,
        ever_available: false,
        created_at_ms: now_ms(),
        processes: BTreeMap::new(),
    })
}

fn find_ports(
    services: &Services,
    target: &Target,
    uid: &str,
    configuration: &BTreeMap<String, String>,
) -> Result<Ports, String> {
    let reserved = services.ports_of_others(uid);
    let preferred = ports::preferred(services.layout.root(), &target.namespace, &target.name);
    let fixed = ports::fixed_rest_port(configuration);
    if let Some(port) = fixed.filter(|port| reserved.contains(port) || !ports::is_free(*port)) {
        return Err(format!(
            "spec.flinkConfiguration `rest.port`: port {port} is taken: end what listens there, choose another, or \
             leave it out to have a free one"
        ));
    }
    ports::choose(&preferred, fixed, reserved)
        .map_err(|first| format!("no free port from {first} on: end what listens there"))
}

/// Flink's scripts do not start without a process size.
fn with_memory(desired: &Desired) -> BTreeMap<String, String> {
    let mut configuration = (*desired.configuration).clone();
    for (process, bytes) in
        [("jobmanager", desired.job_manager_memory_bytes), ("taskmanager", desired.task_manager_memory_bytes)]
    {
        let given = ["process.size", "flink.size", "heap.size", "task.heap.size"]
            .iter()
            .any(|size| configuration.contains_key(&format!("{process}.memory.{size}")));
        if !given {
            configuration.insert(format!("{process}.memory.process.size"), format!("{bytes} b"));
        }
    }
    configuration
}

/// Everything is written beside its place and put there at once: a crash leaves either a complete cluster that is
/// observed and can be deleted, or a name with a dot that the next start forgets.
fn write_directory(
    incarnations: &Path,
    directory: &ClusterDirectory,
    record: &mut ClusterRecord,
    jar: Option<&Path>,
) -> io::Result<()> {
    let beside = ClusterDirectory::at(incarnations.join(format!(".new-{}", record.uid)));
    let written = fill_directory(&beside, directory, record, jar).and_then(|()| {
        fs::rename(beside.path(), directory.path())?;
        atomic_file::sync_directory(incarnations)
    });
    if written.is_err() {
        atomic_file::remove_directory(beside.path())?;
    }
    written
}

fn fill_directory(
    beside: &ClusterDirectory,
    directory: &ClusterDirectory,
    record: &mut ClusterRecord,
    jar: Option<&Path>,
) -> io::Result<()> {
    for subdirectory in beside.subdirectories() {
        atomic_file::create_private_directory(&subdirectory)?;
    }
    // A copy, so that what was applied is what runs, also after a restart, whatever is built meanwhile.
    if let Some(jar) = jar {
        let name = jar.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        fs::copy(jar, beside.user_jars().join(name))?;
        record.jar = Some(directory.user_jars().join(name));
    }
    beside.write(record)
}

fn random_uid() -> io::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // Version 4, variant 1: a random UUID.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    Ok(text)
}
