//! The life of clusters whose Flink is a script: starting, crashing, being taken over, being ended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use drey_api::kinds::FlinkVersion;
use drey_core::observed::ClusterPhase;
use drey_engine::launcher::{LaunchError, Launcher};
use drey_local::LocalLauncher;
use drey_local::java::JavaPlaces;
use drey_local::process_table::{CLUSTER_VARIABLE, ProcessIdentity, family};
use drey_local::record::{Slot, directories};
use drey_local::state_dir::Layout;
use rustix::process::Signal;
use serde_json::json;

use crate::distributions::Server;
use crate::support::{Project, available, deployment, record, target, until};

const SOON: Duration = Duration::from_secs(20);

/// A project with a Flink of our own and a Java that is never run.
fn project() -> Project {
    let mut project = Project::new();
    for script in ["standalone-job.sh", "taskmanager.sh"] {
        let program = include_bytes!("fake_flink/process.py");
        let path = project.write(&format!("cache/flink/1.20.9/bin/{script}"), program);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for file in ["bin/flink-console.sh", "bin/config.sh", "lib/flink-dist-1.20.9.jar"] {
        project.write(&format!("cache/flink/1.20.9/{file}"), b"");
    }
    project.write("java/17/bin/java", b"");
    project.write("java/17/release", b"JAVA_VERSION=\"17.0.1\"\n");
    let java_home = Some(project.path().join("java/17"));
    project.java = JavaPlaces { java_home, path: Vec::new(), installations: Vec::new(), python: None };
    project.termination_grace = Duration::from_millis(500);
    project
}

fn job(arguments: &[&str]) -> serde_json::Value {
    json!({"entryClass": "Main", "args": arguments, "parallelism": 1})
}

async fn start(launcher: &LocalLauncher, name: &str, arguments: &[&str]) {
    let deployment = deployment(FlinkVersion::V1_20, &job(arguments), &[]);
    launcher.apply(&target(name), &deployment).await.unwrap();
}

fn identity(launcher: &LocalLauncher, slot: Slot) -> ProcessIdentity {
    record(launcher).processes[&slot].identity.clone()
}

async fn until_process(launcher: &LocalLauncher, slot: Slot, wanted: impl Fn(&ProcessIdentity) -> bool) {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let process = record(launcher).processes.get(&slot).map(|process| process.identity.clone());
        if process.is_some_and(|process| wanted(&process)) {
            return;
        }
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn end(launcher: &LocalLauncher, name: &str) {
    let uid = record(launcher).uid;
    launcher.delete(&target(name), &uid).await.unwrap();
    until(launcher, &target(name), SOON, drey_core::Seen::is_absent).await;
    assert_eq!(family(CLUSTER_VARIABLE, &uid, &[]).unwrap(), []);
}

#[tokio::test]
async fn a_cluster_comes_up_and_goes_away_completely() {
    let project = project();
    let launcher = project.open().await;
    let mut changes = launcher.changes();
    assert!(launcher.observe(&target("a")).await.is_absent());
    start(&launcher, "a", &["serve"]).await;
    let seen = until(&launcher, &target("a"), SOON, available).await;
    let cluster = seen.present().unwrap();
    assert!(cluster.owned && !cluster.terminating && !cluster.never_available);
    assert_eq!((cluster.seq, cluster.generation), (Some(1), Some(1)));
    let record = record(&launcher);
    assert_eq!(record.processes.len(), 2);
    let again = deployment(FlinkVersion::V1_20, &job(&["other"]), &[]);
    launcher.apply(&target("a"), &again).await.unwrap();
    assert_eq!(launcher.records()[0].arguments, ["serve"]);
    launcher.delete(&target("a"), "another-uid").await.unwrap();
    assert!(available(&launcher.observe(&target("a")).await));
    end(&launcher, "a").await;
    assert_eq!(directories(&Layout::of(&project.state())).unwrap(), []);
    let logs =
        project.state().join("logs/default/a").join(format!("{:013}-{}", record.created_at_ms, record.uid));
    assert!(fs::read_to_string(logs.join("jobmanager.out")).unwrap().starts_with("started with"));
    assert_eq!(changes.recv().await.unwrap(), target("a"));
}

#[tokio::test]
async fn a_killed_job_manager_is_started_again_in_the_same_cluster() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["serve"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let (uid, first) = (record(&launcher).uid, identity(&launcher, Slot::JobManager));
    let task_manager = identity(&launcher, Slot::TaskManager(1));
    first.signal(Signal::KILL).unwrap();
    until(&launcher, &target("a"), SOON, |seen| !available(seen)).await;
    let seen = until(&launcher, &target("a"), SOON, available).await;
    assert_eq!(&*seen.present().unwrap().uid, uid);
    assert_ne!(identity(&launcher, Slot::JobManager), first);
    assert_eq!(identity(&launcher, Slot::TaskManager(1)), task_manager);
    task_manager.signal(Signal::KILL).unwrap();
    until_process(&launcher, Slot::TaskManager(1), |process| *process != task_manager).await;
    end(&launcher, "a").await;
}

#[tokio::test]
async fn a_job_manager_that_cannot_start_is_told_with_its_cause() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["crash"]).await;
    let failing = |seen: &drey_core::Seen<drey_core::observed::Cluster>| {
        seen.present().is_some_and(|cluster| matches!(cluster.phase, ClusterPhase::Failing { .. }))
    };
    let seen = until(&launcher, &target("a"), SOON, failing).await;
    let cluster = seen.present().unwrap();
    assert!(cluster.never_available);
    let ClusterPhase::Failing { reason, message } = &cluster.phase else { unreachable!() };
    assert_eq!(reason, "CrashLoopBackOff");
    assert_eq!(message, "jobmanager exited with code 1: java.lang.ClassNotFoundException: no.such.Main");
    let first = identity(&launcher, Slot::JobManager);
    until_process(&launcher, Slot::JobManager, |process| *process != first).await;
    end(&launcher, "a").await;
}

#[tokio::test]
async fn a_job_that_is_over_is_not_run_again() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["serve"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let record_before = record(&launcher);
    // The result is not committed yet: Flink would run the job again over it.
    let results = project.state().join("job-results/default/a/uid-of-a/1");
    fs::write(results.join(format!("{}_DIRTY.json", record_before.job_id)), "{}").unwrap();
    identity(&launcher, Slot::JobManager).signal(Signal::KILL).unwrap();
    let over = |seen: &drey_core::Seen<drey_core::observed::Cluster>| {
        seen.present().is_some_and(|cluster| {
            matches!(&cluster.phase, ClusterPhase::Failing { reason, .. } if reason == "JobManagerTerminated")
        })
    };
    until(&launcher, &target("a"), SOON, over).await;
    drop(launcher);
    let launcher = project.open().await;
    until(&launcher, &target("a"), SOON, over).await;
    assert_eq!(record(&launcher).processes[&Slot::JobManager].attempt, 1);
    end(&launcher, "a").await;
}

#[tokio::test]
async fn running_processes_are_taken_over_and_dead_ones_started_again() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["serve"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let (job_manager, task_manager) =
        (identity(&launcher, Slot::JobManager), identity(&launcher, Slot::TaskManager(1)));
    drop(launcher);
    assert!(job_manager.is_alive().unwrap());
    task_manager.signal(Signal::KILL).unwrap();
    let launcher = project.open().await;
    until(&launcher, &target("a"), SOON, available).await;
    until_process(&launcher, Slot::TaskManager(1), |process| *process != task_manager).await;
    assert_eq!(identity(&launcher, Slot::JobManager), job_manager);
    // One that is taken over is missed too when it ends.
    job_manager.signal(Signal::KILL).unwrap();
    until_process(&launcher, Slot::JobManager, |process| *process != job_manager).await;
    until(&launcher, &target("a"), SOON, available).await;
    end(&launcher, "a").await;
}

#[tokio::test]
async fn a_process_that_was_never_written_down_is_found_and_not_started_twice() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["serve"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let before = record(&launcher);
    drop(launcher);
    // As if drey had been killed between starting the processes and writing them down.
    let layout = Layout::of(&project.state());
    let directory = directories(&layout).unwrap().remove(0);
    let mut forgotten = before.clone();
    forgotten.processes.clear();
    fs::write(directory.path().join("cluster.json"), serde_json::to_vec(&forgotten).unwrap()).unwrap();
    let launcher = project.open().await;
    until(&launcher, &target("a"), SOON, available).await;
    until_process(&launcher, Slot::TaskManager(1), |_| true).await;
    for slot in [Slot::JobManager, Slot::TaskManager(1)] {
        assert_eq!(identity(&launcher, slot), before.processes[&slot].identity);
    }
    end(&launcher, "a").await;
}

#[tokio::test]
async fn stubborn_processes_and_their_children_end_too() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["stubborn", "children"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let uid = record(&launcher).uid;
    // The child has a session of its own.
    assert_eq!(family(CLUSTER_VARIABLE, &uid, &[]).unwrap().len(), 3);
    end(&launcher, "a").await;
}

#[tokio::test]
async fn stopped_clusters_start_again_with_the_next_drey_and_removals_are_brought_to_their_end() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["serve"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let uid = record(&launcher).uid;
    launcher.stop_all().await;
    assert_eq!(family(CLUSTER_VARIABLE, &uid, &[]).unwrap(), []);
    drop(launcher);
    let launcher = project.open().await;
    until(&launcher, &target("a"), SOON, available).await;
    assert_eq!(record(&launcher).uid, uid);
    launcher.delete(&target("a"), &uid).await.unwrap();
    drop(launcher);
    let launcher = project.open().await;
    until(&launcher, &target("a"), SOON, drey_core::Seen::is_absent).await;
    assert_eq!(family(CLUSTER_VARIABLE, &uid, &[]).unwrap(), []);
}

#[tokio::test]
async fn clusters_without_a_resource_are_ended() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "kept", &["serve"]).await;
    start(&launcher, "lost", &["serve"]).await;
    let ports: std::collections::BTreeSet<u16> =
        launcher.records().iter().flat_map(|record| [record.ports.rest, record.ports.rpc]).collect();
    assert_eq!(ports.len(), 4);
    launcher.retain(&[target("kept")]).await;
    until(&launcher, &target("lost"), SOON, drey_core::Seen::is_absent).await;
    assert!(launcher.observe(&target("kept")).await.present().is_some_and(|cluster| !cluster.terminating));
    end(&launcher, "kept").await;
}

#[tokio::test]
async fn what_cannot_run_is_refused_and_leaves_nothing() {
    let project = project();
    let launcher = project.open().await;
    for (job, configuration, part) in [
        (
            json!({"jarURI": "local:///no/such.jar", "parallelism": 1}),
            vec![],
            "spec.job.jarURI: there is no file",
        ),
        (
            json!({"entryClass": "org.apache.flink.client.python.PythonDriver", "parallelism": 1}),
            vec![],
            "spec.job.entryClass: Python",
        ),
        (job(&[]), vec![("state.savepoints.dir", "/proc/none")], "`state.savepoints.dir`: `/proc/none`"),
    ] {
        let deployment = deployment(FlinkVersion::V1_20, &job, &configuration);
        let refused = launcher.apply(&target("a"), &deployment).await;
        let Err(LaunchError::Refused(message)) = refused else { panic!("{refused:?}") };
        assert!(message.contains(part), "{message}");
        assert!(launcher.observe(&target("a")).await.is_absent());
    }
    let too_new = deployment(FlinkVersion::V1_15, &job(&[]), &[]);
    let Err(LaunchError::Refused(message)) = launcher.apply(&target("a"), &too_new).await else { panic!() };
    assert!(message.starts_with("Flink 1.15 needs Java 11, 8"), "{message}");
    assert_eq!(directories(&Layout::of(&project.state())).unwrap(), []);
}

#[tokio::test]
async fn a_jar_from_elsewhere_is_downloaded_and_one_that_is_not_there_is_told() {
    let project = project();
    let launcher = project.open().await;
    let files = std::collections::BTreeMap::from([("/a/job.jar".to_owned(), b"PK-downloaded".to_vec())]);
    let base = Server::new(files, &[]).start().await;
    let with_jar = |path: &str| {
        let job = json!({"jarURI": format!("{base}{path}"), "args": ["serve"], "parallelism": 1});
        deployment(FlinkVersion::V1_20, &job, &[])
    };
    launcher.apply(&target("a"), &with_jar("/a/job.jar")).await.unwrap();
    until(&launcher, &target("a"), SOON, available).await;
    assert_eq!(fs::read(record(&launcher).jar.unwrap()).unwrap(), b"PK-downloaded");
    end(&launcher, "a").await;
    launcher.apply(&target("a"), &with_jar("/a/none.jar")).await.unwrap();
    let failing = |seen: &drey_core::Seen<drey_core::observed::Cluster>| {
        seen.present().is_some_and(|cluster| matches!(cluster.phase, ClusterPhase::Failing { .. }))
    };
    let seen = until(&launcher, &target("a"), SOON, failing).await;
    let ClusterPhase::Failing { reason, message } = &seen.present().unwrap().phase else { unreachable!() };
    assert_eq!(reason, "JarNotAvailable");
    assert!(message.starts_with("spec.job.jarURI: ") && message.contains("404"), "{message}");
    end(&launcher, "a").await;
}

#[tokio::test]
async fn a_port_of_the_users_own_is_used_or_refused() {
    let project = project();
    let launcher = project.open().await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let deployment = deployment(FlinkVersion::V1_20, &job(&["serve"]), &[("rest.port", &port)]);
    let Err(LaunchError::Refused(message)) = launcher.apply(&target("a"), &deployment).await else {
        panic!()
    };
    assert!(message.contains("`rest.port`") && message.contains(&port), "{message}");
    drop(taken);
    launcher.apply(&target("a"), &deployment).await.unwrap();
    until(&launcher, &target("a"), SOON, available).await;
    let endpoint = launcher.rest_endpoint(&target("a"), &deployment.desired).await;
    assert_eq!(endpoint, Some(format!("http://127.0.0.1:{port}/")));
    end(&launcher, "a").await;
}

#[tokio::test]
async fn processes_whose_cluster_somebody_has_removed_are_ended() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["serve"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let uid = record(&launcher).uid;
    drop(launcher);
    fs::remove_dir_all(project.state().join("clusters")).unwrap();
    let launcher = project.open().await;
    while !family(CLUSTER_VARIABLE, &uid, &[]).unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(launcher.observe(&target("a")).await.is_absent());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_stop_the_others() {
    let project = project();
    let launcher = project.open().await;
    start(&launcher, "a", &["serve"]).await;
    start(&launcher, "b", &["serve"]).await;
    until(&launcher, &target("a"), SOON, available).await;
    let broken = launcher.records().into_iter().find(|record| record.name == "a").unwrap().uid;
    drop(launcher);
    fs::write(project.state().join(format!("clusters/default/a/{broken}/cluster.json")), "{").unwrap();
    let launcher = project.open().await;
    assert!(launcher.observe(&target("a")).await.is_absent());
    assert_eq!(family(CLUSTER_VARIABLE, &broken, &[]).unwrap(), []);
    until(&launcher, &target("b"), SOON, available).await;
    end(&launcher, "b").await;
}
