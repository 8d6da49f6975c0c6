//! Options: defaults, every key, deprecated names, and what is refused.

use std::collections::BTreeMap;

use drey_api::options::{CheckpointType, HealthCheck, Options, SavepointFormat, Schedule};

fn read(entries: &[(&str, &str)]) -> Options {
    Options::from_configuration(&configuration(entries)).unwrap()
}

fn configuration(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn nothing_given_means_the_defaults() {
    assert_eq!(read(&[]), Options::default());
}

#[test]
fn every_key_is_read() {
    let prefix = "kubernetes.operator.";
    let given = [
        ("deployment.rollback.enabled", "true"),
        ("deployment.readiness.timeout", "40s"),
        ("job.restart.failed", "true"),
        ("job.upgrade.last-state-fallback.enabled", "false"),
        ("job.upgrade.last-state.job-cancel.enabled", "true"),
        ("job.upgrade.last-state.max.allowed.checkpoint.age", "3 min"),
        ("job.savepoint-on-deletion", "true"),
        ("job.drain-on-savepoint-deletion", "true"),
        ("savepoint.format.type", "native"),
        ("checkpoint.type", "INCREMENTAL"),
        ("periodic.savepoint.interval", "1h"),
        ("periodic.checkpoint.interval", "0 0 * * * ?"),
        ("savepoint.history.max.count", "5"),
        ("savepoint.history.max.age", "2 h"),
        ("savepoint.cleanup.enabled", "false"),
        ("savepoint.trigger.grace-period", "2 s"),
        ("checkpoint.trigger.grace-period", "3 s"),
        ("job.upgrade.ignore-pending-savepoint", "true"),
        ("jm-deployment-recovery.enabled", "false"),
        ("jm-deployment.shutdown-ttl", "4 s"),
        ("cluster.health-check.enabled", "true"),
        ("cluster.health-check.restarts.threshold", "7"),
        ("cluster.health-check.restarts.window", "8 s"),
        ("cluster.health-check.checkpoint-progress.enabled", "false"),
        ("cluster.health-check.checkpoint-progress.window", "9 s"),
        ("snapshot.resource.enabled", "false"),
        ("savepoint.dispose-on-delete", "true"),
        ("job.upgrade.inplace-scaling.enabled", "false"),
        ("jm-deployment.startup.probe.enabled", "false"),
        ("pod-template.merge-arrays-by-name", "true"),
        ("ingress.manage", "false"),
        ("ingress.http-route.gateway", "infra/web"),
    ];
    let mut entries: BTreeMap<String, String> =
        given.iter().map(|(key, value)| (format!("{prefix}{key}"), (*value).to_owned())).collect();
    entries.extend(configuration(&[
        ("high-availability.type", "kubernetes"),
        ("execution.checkpointing.savepoint-dir", "s"),
        ("execution.checkpointing.dir", "c"),
        ("execution.checkpointing.interval", "10 s"),
        ("execution.checkpointing.timeout", "11 s"),
        ("execution.checkpointing.tolerable-failed-checkpoints", "12"),
        ("execution.checkpointing.num-retained", "13"),
        ("$internal.pipeline.job-id", "0123456789ABCDEF0123456789abcdef"),
    ]));
    let expected = Options {
        rollback_enabled: true,
        readiness_timeout_ms: 40_000,
        restart_failed: true,
        last_state_fallback: false,
        last_state_job_cancel: true,
        max_allowed_checkpoint_age_ms: Some(180_000),
        savepoint_on_deletion: true,
        drain_on_savepoint_deletion: true,
        savepoint_format: SavepointFormat::Native,
        checkpoint_type: CheckpointType::Incremental,
        periodic_savepoint: Some(Schedule::Every { interval_ms: 3_600_000 }),
        periodic_checkpoint: Some(Schedule::Cron("0 0 * * * ?".to_owned())),
        savepoint_history_max_count: 5,
        savepoint_history_max_age_ms: 7_200_000,
        savepoint_cleanup_enabled: false,
        savepoint_grace_period_ms: 2_000,
        checkpoint_grace_period_ms: 3_000,
        ignore_pending_savepoint: true,
        deployment_recovery: false,
        shutdown_ttl_ms: 4_000,
        health: Some(HealthCheck {
            restarts_threshold: 7,
            restarts_window_ms: 8_000,
            checkpoint_progress_enabled: false,
            checkpoint_progress_window_ms: Some(9_000),
        }),
        snapshot_resource_enabled: false,
        savepoint_dispose_on_delete: true,
        in_place_scaling_enabled: false,
        startup_probe_enabled: false,
        merge_arrays_by_name: true,
        ingress_managed: false,
        http_route_gateway: Some("infra/web".to_owned()),
        high_availability: true,
        savepoint_directory: Some("s".to_owned()),
        checkpoint_directory: Some("c".to_owned()),
        checkpoint_interval_ms: Some(10_000),
        checkpoint_timeout_ms: 11_000,
        tolerable_failed_checkpoints: 12,
        retained_checkpoints: 13,
        user_job_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
    };
    assert_eq!(Options::from_configuration(&entries), Ok(expected));
}

#[test]
fn deprecated_names_count_where_the_present_one_is_missing() {
    let old_recovery = ("kubernetes.operator.reconciler.jm-deployment-recovery.enabled", "false");
    assert!(!read(&[old_recovery]).deployment_recovery);
    let recovery = ("kubernetes.operator.jm-deployment-recovery.enabled", "true");
    assert!(read(&[old_recovery, recovery]).deployment_recovery);
    let grace = ("kubernetes.operator.observer.savepoint.trigger.grace-period", "9 s");
    assert_eq!(read(&[grace]).savepoint_grace_period_ms, 9_000);
    assert_eq!(read(&[("state.savepoints.dir", "s")]).savepoint_directory.as_deref(), Some("s"));
    assert_eq!(read(&[("state.checkpoints.dir", "c")]).checkpoint_directory.as_deref(), Some("c"));
    assert_eq!(read(&[("state.checkpoints.num-retained", "3")]).retained_checkpoints, 3);
    assert!(read(&[("high-availability", "zookeeper")]).high_availability);
    assert!(
        !read(&[("high-availability", "zookeeper"), ("high-availability.type", "NONE")]).high_availability
    );
}

#[test]
fn blank_and_small_values() {
    assert_eq!(read(&[("state.savepoints.dir", " ")]).savepoint_directory, None);
    assert_eq!(read(&[("kubernetes.operator.periodic.savepoint.interval", "")]).periodic_savepoint, None);
    assert_eq!(read(&[("kubernetes.operator.periodic.savepoint.interval", "0 s")]).periodic_savepoint, None);
    let count = |value: &str| read(&[("kubernetes.operator.savepoint.history.max.count", value)]);
    assert_eq!(count("0").savepoint_history_max_count, 1);
    assert_eq!(count("-4").savepoint_history_max_count, 1);
}

#[test]
fn the_operators_thresholds_cap_the_history() {
    let options = read(&[
        ("kubernetes.operator.savepoint.history.max.count", "50"),
        ("kubernetes.operator.savepoint.history.max.count.threshold", "20"),
        ("kubernetes.operator.savepoint.history.max.age", "3 d"),
        ("kubernetes.operator.savepoint.history.max.age.threshold", "2 d"),
    ]);
    assert_eq!(options.savepoint_history_max_count, 20);
    assert_eq!(options.savepoint_history_max_age_ms, 2 * 86_400_000);
    let low = read(&[("kubernetes.operator.savepoint.history.max.age.threshold", "30 d")]);
    assert_eq!(low.savepoint_history_max_age_ms, 86_400_000);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let given = configuration(&[
        ("kubernetes.operator.deployment.rollback.enabled", "yes"),
        ("kubernetes.operator.deployment.readiness.timeout", "-PT5S"),
        ("kubernetes.operator.periodic.savepoint.interval", "every day"),
        ("kubernetes.operator.savepoint.format.type", "UNKNOWN"),
        ("kubernetes.operator.savepoint.history.max.count", "many"),
        ("$internal.pipeline.job-id", "42"),
    ]);
    let mut errors: Vec<String> =
        Options::from_configuration(&given).unwrap_err().iter().map(ToString::to_string).collect();
    errors.sort();
    assert_eq!(
        errors,
        [
            "`$internal.pipeline.job-id` is `42`, expected 32 hexadecimal digits",
            "`kubernetes.operator.deployment.readiness.timeout` is `-PT5S`, expected a duration that is not \
             negative",
            "`kubernetes.operator.deployment.rollback.enabled` is `yes`, expected `true` or `false`",
            "`kubernetes.operator.periodic.savepoint.interval` is `every day`, expected a duration such as `1 h` \
             or a Quartz cron expression of 6 or 7 fields (expected 6 or 7 fields (seconds first), found 2)",
            "`kubernetes.operator.savepoint.format.type` is `UNKNOWN`, expected CANONICAL or NATIVE",
            "`kubernetes.operator.savepoint.history.max.count` is `many`, expected a whole number",
        ]
    );
}

#[test]
fn schedules() {
    let every = Schedule::parse("1 h").unwrap().unwrap();
    assert_eq!(every.next_after(5), Some(3_600_005));
    assert_eq!(every.next_after(i64::MAX), None);
    let cron = Schedule::parse("0 0/30 * * * ?").unwrap().unwrap();
    assert_eq!(cron.next_after(0), Some(1_800_000));
    assert_eq!(cron.next_after(1_800_000), Some(3_600_000));
    assert_eq!(cron.next_after(i64::MAX), None);
    assert_eq!(Schedule::Cron("junk".to_owned()).next_after(0), None);
}
