//! Starting and ending without high availability.

use drey_api::kinds::FlinkVersion;
use drey_core::Seen;
use drey_core::observed::{Cluster, ClusterPhase};
use drey_engine::launcher::Launcher;
use drey_local::process_table::{CLUSTER_VARIABLE, family};

use crate::support::{deployment, record, target, until};
use crate::{LIMIT, SMALL, alone, job, project};

const UNAVAILABLE: (&str, &str) = ("high-availability.type", "NONE");

#[tokio::test]
async fn a_missing_main_class_is_told() {
    let _alone = alone().await;
    let project = project();
    let launcher = project.open().await;
    let configuration = [SMALL.as_slice(), &[UNAVAILABLE]].concat();
    let deployment = deployment(FlinkVersion::V1_20, &job("no.such.Main"), &configuration);
    launcher.apply(&target("real"), &deployment).await.unwrap();
    let failing = |seen: &Seen<Cluster>| {
        seen.present().is_some_and(|cluster| matches!(cluster.phase, ClusterPhase::Failing { .. }))
    };
    let seen = until(&launcher, &target("real"), LIMIT, failing).await;
    let text = format!("{seen:?}");
    assert!(text.contains("no.such.Main"), "{text}");
    let uid = record(&launcher).uid;
    launcher.delete(&target("real"), &uid).await.unwrap();
    until(&launcher, &target("real"), LIMIT, Seen::is_absent).await;
    assert_eq!(family(CLUSTER_VARIABLE, &uid, &[]).unwrap(), []);
}

/// Flink before 1.19 finds the job's jar in another way.
#[cfg(feature = "real-flink-1-18")]
#[tokio::test]
async fn flink_1_18_runs() {
    use crate::support::available;
    let _alone = alone().await;
    let project = project();
    let launcher = project.open().await;
    let configuration = [SMALL.as_slice(), &[UNAVAILABLE]].concat();
    let deployment = deployment(FlinkVersion::V1_18, &job("drey.examples.Counter"), &configuration);
    launcher.apply(&target("real"), &deployment).await.unwrap();
    until(&launcher, &target("real"), LIMIT, available).await;
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let target = target("real");
        let found =
            launcher.newest_retained_checkpoint(&target, &deployment.desired, &deployment.job_id).await;
        if found.present().is_some() {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no checkpoint: {found:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let uid = record(&launcher).uid;
    launcher.delete(&target("real"), &uid).await.unwrap();
    until(&launcher, &target("real"), LIMIT, Seen::is_absent).await;
}
