//! The options of drey and of Flink that steer one FlinkDeployment, read from its flat configuration.
//!
//! Every field names its key; the default is upstream's. Values are judged all at once, so that a person
//! sees every mistake in one go. Refuses to know where a value came from.

use std::collections::BTreeMap;

use crate::configuration::{first_of, parse_boolean, parse_duration_ms};
pub use crate::kinds::{CheckpointType, SavepointFormat};
use crate::operator::keys as operator;
pub use crate::schedule::Schedule;

/// Options of one FlinkDeployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `kubernetes.operator.deployment.rollback.enabled`: go back to the last stable spec when the new
    /// one does not become ready in time.
    pub rollback_enabled: bool,
    /// `kubernetes.operator.deployment.readiness.timeout`, milliseconds.
    pub readiness_timeout_ms: i64,
    /// `kubernetes.operator.job.restart.failed`: restart a FAILED job from its last checkpoint.
    pub restart_failed: bool,
    /// `kubernetes.operator.job.upgrade.last-state-fallback.enabled`: fall back to last-state when no
    /// savepoint can be taken.
    pub last_state_fallback: bool,
    /// `kubernetes.operator.job.upgrade.last-state.job-cancel.enabled`: cancel the job for a last-state
    /// upgrade instead of killing its cluster.
    pub last_state_job_cancel: bool,
    /// `kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age`, milliseconds.
    pub max_allowed_checkpoint_age_ms: Option<i64>,
    /// `kubernetes.operator.job.savepoint-on-deletion`.
    pub savepoint_on_deletion: bool,
    /// `kubernetes.operator.job.drain-on-savepoint-deletion`.
    pub drain_on_savepoint_deletion: bool,
    /// `kubernetes.operator.savepoint.format.type`: canonical or native.
    pub savepoint_format: SavepointFormat,
    /// `kubernetes.operator.checkpoint.type` of triggered checkpoints.
    pub checkpoint_type: CheckpointType,
    /// `kubernetes.operator.periodic.savepoint.interval`: a duration or a Quartz cron expression.
    pub periodic_savepoint: Option<Schedule>,
    /// `kubernetes.operator.periodic.checkpoint.interval`: a duration or a Quartz cron expression.
    pub periodic_checkpoint: Option<Schedule>,
    /// `kubernetes.operator.savepoint.history.max.count`, at least 1.
    pub savepoint_history_max_count: u32,
    /// `kubernetes.operator.savepoint.history.max.age`, milliseconds.
    pub savepoint_history_max_age_ms: i64,
    /// `kubernetes.operator.savepoint.cleanup.enabled`.
    pub savepoint_cleanup_enabled: bool,
    /// `kubernetes.operator.savepoint.trigger.grace-period`, milliseconds.
    pub savepoint_grace_period_ms: i64,
    /// `kubernetes.operator.checkpoint.trigger.grace-period`, milliseconds.
    pub checkpoint_grace_period_ms: i64,
    /// `kubernetes.operator.job.upgrade.ignore-pending-savepoint`.
    pub ignore_pending_savepoint: bool,
    /// `kubernetes.operator.jm-deployment-recovery.enabled`: bring a lost JobManager back.
    pub deployment_recovery: bool,
    /// `kubernetes.operator.jm-deployment.shutdown-ttl`, milliseconds after a job ended.
    pub shutdown_ttl_ms: i64,
    /// `kubernetes.operator.cluster.health-check.*`; absent when it is not enabled.
    pub health: Option<HealthCheck>,
    /// `kubernetes.operator.snapshot.resource.enabled`: record snapshots as FlinkStateSnapshots.
    pub snapshot_resource_enabled: bool,
    /// `kubernetes.operator.savepoint.dispose-on-delete` of FlinkStateSnapshots that drey makes.
    pub savepoint_dispose_on_delete: bool,
    /// `kubernetes.operator.job.upgrade.inplace-scaling.enabled`.
    pub in_place_scaling_enabled: bool,
    /// `kubernetes.operator.jm-deployment.startup.probe.enabled`.
    pub startup_probe_enabled: bool,
    /// `kubernetes.operator.pod-template.merge-arrays-by-name`.
    pub merge_arrays_by_name: bool,
    /// `kubernetes.operator.ingress.manage`.
    pub ingress_managed: bool,
    /// `kubernetes.operator.ingress.http-route.gateway`: `namespace/name` or `namespace/name/listener`.
    pub http_route_gateway: Option<String>,
    /// Whether Flink's high availability is on: `high-availability.type` is set and not `NONE`.
    pub high_availability: bool,
    /// `execution.checkpointing.savepoint-dir` or `state.savepoints.dir`.
    pub savepoint_directory: Option<String>,
    /// `execution.checkpointing.dir` or `state.checkpoints.dir`.
    pub checkpoint_directory: Option<String>,
    /// `execution.checkpointing.interval`, milliseconds.
    pub checkpoint_interval_ms: Option<i64>,
    /// `execution.checkpointing.timeout`, milliseconds.
    pub checkpoint_timeout_ms: i64,
    /// `execution.checkpointing.tolerable-failed-checkpoints`.
    pub tolerable_failed_checkpoints: i64,
    /// `execution.checkpointing.num-retained`, at least 1.
    pub retained_checkpoints: u32,
    /// `$internal.pipeline.job-id`: a job id that the user fixed.
    pub user_job_id: Option<String>,
}

/// When a cluster counts as unhealthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `kubernetes.operator.cluster.health-check.restarts.threshold`.
    pub restarts_threshold: i64,
    /// `kubernetes.operator.cluster.health-check.restarts.window`, milliseconds.
    pub restarts_window_ms: i64,
    /// `kubernetes.operator.cluster.health-check.checkpoint-progress.enabled`.
    pub checkpoint_progress_enabled: bool,
    /// `kubernetes.operator.cluster.health-check.checkpoint-progress.window`, milliseconds.
    pub checkpoint_progress_window_ms: Option<i64>,
}

/// An option with a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is `{value}`, expected {expected}")]
pub struct OptionError {
    /// The key as the user wrote it.
    pub key: String,
    /// The value as the user wrote it.
    pub value: String,
    /// What was expected.
    pub expected: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rollback_enabled: false,
            readiness_timeout_ms: 5 * MINUTE_MS,
            restart_failed: false,
            last_state_fallback: true,
            last_state_job_cancel: false,
            max_allowed_checkpoint_age_ms: None,
            savepoint_on_deletion: false,
            drain_on_savepoint_deletion: false,
            savepoint_format: SavepointFormat::Canonical,
            checkpoint_type: CheckpointType::Full,
            periodic_savepoint: None,
            periodic_checkpoint: None,
            savepoint_history_max_count: 10,
            savepoint_history_max_age_ms: DAY_MS,
            savepoint_cleanup_enabled: true,
            savepoint_grace_period_ms: MINUTE_MS,
            checkpoint_grace_period_ms: MINUTE_MS,
            ignore_pending_savepoint: false,
            deployment_recovery: true,
            shutdown_ttl_ms: DAY_MS,
            health: None,
            snapshot_resource_enabled: true,
            savepoint_dispose_on_delete: false,
            in_place_scaling_enabled: true,
            startup_probe_enabled: true,
            merge_arrays_by_name: false,
            ingress_managed: true,
            http_route_gateway: None,
            high_availability: false,
            savepoint_directory: None,
            checkpoint_directory: None,
            checkpoint_interval_ms: None,
            checkpoint_timeout_ms: 10 * MINUTE_MS,
            tolerable_failed_checkpoints: 0,
            retained_checkpoints: 1,
            user_job_id: None,
        }
    }
}

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Keys of Flink's own options, the present name before deprecated ones. Those of the operator are in
/// [`crate::operator::keys`].
pub(crate) mod keys {
    pub(crate) const SAVEPOINT_DIRECTORY: &[&str] =
        &["execution.checkpointing.savepoint-dir", "state.savepoints.dir", "savepoints.state.backend.fs.dir"];
    pub(crate) const CHECKPOINT_DIRECTORY: &[&str] =
        &["execution.checkpointing.dir", "state.checkpoints.dir"];
    pub(crate) const HIGH_AVAILABILITY: &[&str] =
        &["high-availability.type", "high-availability", "recovery.mode"];
}

/// Keys of the directories that outlive a cluster: of checkpoints, savepoints and high availability.
pub fn directory_keys() -> impl Iterator<Item = &'static str> {
    let keys = keys::CHECKPOINT_DIRECTORY.iter().chain(keys::SAVEPOINT_DIRECTORY).copied();
    keys.chain(["high-availability.storageDir"])
}

impl Options {
    /// Options from a flat configuration. Deprecated names count where the present one is not set.
    ///
    /// # Errors
    /// Every option whose value cannot be read or is out of its range.
    pub fn from_configuration(configuration: &BTreeMap<String, String>) -> Result<Self, Vec<OptionError>> {
        let mut reader = Reader { configuration, errors: Vec::new() };
        let mut options = Self::default();
        options.read_upgrades(&mut reader);
        options.read_snapshots(&mut reader);
        options.read_deployment(&mut reader);
        options.read_flink(&mut reader);
        if reader.errors.is_empty() { Ok(options) } else { Err(reader.errors) }
    }

    fn read_upgrades(&mut self, reader: &mut Reader<'_>) {
        reader.boolean(operator::ROLLBACK.names, &mut self.rollback_enabled);
        reader.duration(operator::READINESS_TIMEOUT.names, &mut self.readiness_timeout_ms);
        reader.boolean(operator::RESTART_FAILED.names, &mut self.restart_failed);
        reader.boolean(operator::LAST_STATE_FALLBACK.names, &mut self.last_state_fallback);
        reader.boolean(operator::LAST_STATE_JOB_CANCEL.names, &mut self.last_state_job_cancel);
        self.max_allowed_checkpoint_age_ms = reader.optional_duration(operator::MAX_CHECKPOINT_AGE.names);
        reader.boolean(operator::SAVEPOINT_ON_DELETION.names, &mut self.savepoint_on_deletion);
        reader.boolean(operator::DRAIN_ON_DELETION.names, &mut self.drain_on_savepoint_deletion);
        reader.boolean(operator::IGNORE_PENDING_SAVEPOINT.names, &mut self.ignore_pending_savepoint);
        reader.boolean(operator::IN_PLACE_SCALING.names, &mut self.in_place_scaling_enabled);
    }

    fn read_snapshots(&mut self, reader: &mut Reader<'_>) {
        let formats = &[SavepointFormat::Canonical, SavepointFormat::Native];
        let format =
            reader.word(operator::SAVEPOINT_FORMAT.names, formats.map(SavepointFormat::as_str).as_slice());
        self.savepoint_format =
            format.and_then(|word| SavepointFormat::from_text(&word)).unwrap_or(self.savepoint_format);
        let types = &[CheckpointType::Full, CheckpointType::Incremental];
        let checkpoint_type =
            reader.word(operator::CHECKPOINT_TYPE.names, types.map(CheckpointType::as_str).as_slice());
        self.checkpoint_type =
            checkpoint_type.and_then(|word| CheckpointType::from_text(&word)).unwrap_or(self.checkpoint_type);
        self.periodic_savepoint = reader.schedule(operator::PERIODIC_SAVEPOINT.names);
        self.periodic_checkpoint = reader.schedule(operator::PERIODIC_CHECKPOINT.names);
        self.read_savepoint_history(reader);
        reader.boolean(operator::SAVEPOINT_CLEANUP.names, &mut self.savepoint_cleanup_enabled);
        reader.boolean(operator::SAVEPOINT_DISPOSE_ON_DELETE.names, &mut self.savepoint_dispose_on_delete);
        reader.boolean(operator::SNAPSHOT_RESOURCE.names, &mut self.snapshot_resource_enabled);
        reader.duration(operator::SAVEPOINT_GRACE_PERIOD.names, &mut self.savepoint_grace_period_ms);
        reader.duration(operator::CHECKPOINT_GRACE_PERIOD.names, &mut self.checkpoint_grace_period_ms);
    }

    /// History limits of a resource cannot exceed the operator's thresholds. A count below 1 counts as
    /// 1, as upstream has it.
    fn read_savepoint_history(&mut self, reader: &mut Reader<'_>) {
        let at_least_one = |count: i64| u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        if let Some(count) = reader.integer(operator::SAVEPOINT_HISTORY_COUNT.names) {
            self.savepoint_history_max_count = at_least_one(count);
        }
        if let Some(cap) = reader.integer(operator::SAVEPOINT_HISTORY_COUNT_CAP.names) {
            self.savepoint_history_max_count = self.savepoint_history_max_count.min(at_least_one(cap));
        }
        reader.duration(operator::SAVEPOINT_HISTORY_AGE.names, &mut self.savepoint_history_max_age_ms);
        let cap = reader.optional_duration(operator::SAVEPOINT_HISTORY_AGE_CAP.names);
        self.savepoint_history_max_age_ms =
            cap.map_or(self.savepoint_history_max_age_ms, |cap| cap.min(self.savepoint_history_max_age_ms));
    }

    fn read_deployment(&mut self, reader: &mut Reader<'_>) {
        reader.boolean(operator::DEPLOYMENT_RECOVERY.names, &mut self.deployment_recovery);
        reader.duration(operator::SHUTDOWN_TTL.names, &mut self.shutdown_ttl_ms);
        reader.boolean(operator::STARTUP_PROBE.names, &mut self.startup_probe_enabled);
        reader.boolean(operator::MERGE_ARRAYS_BY_NAME.names, &mut self.merge_arrays_by_name);
        reader.boolean(operator::INGRESS_MANAGE.names, &mut self.ingress_managed);
        self.http_route_gateway = reader.text(operator::HTTP_ROUTE_GATEWAY.names);
        let mut enabled = false;
        reader.boolean(operator::HEALTH_CHECK.names, &mut enabled);
        let health = HealthCheck::read(reader);
        self.health = enabled.then_some(health);
    }

    fn read_flink(&mut self, reader: &mut Reader<'_>) {
        self.high_availability = high_availability(reader.configuration);
        self.savepoint_directory = reader.text(keys::SAVEPOINT_DIRECTORY);
        self.checkpoint_directory = reader.text(keys::CHECKPOINT_DIRECTORY);
        self.checkpoint_interval_ms = reader.optional_duration(&["execution.checkpointing.interval"]);
        reader.duration(&["execution.checkpointing.timeout"], &mut self.checkpoint_timeout_ms);
        if let Some(failures) = reader.integer(&["execution.checkpointing.tolerable-failed-checkpoints"]) {
            self.tolerable_failed_checkpoints = failures;
        }
        let retained =
            reader.integer(&["execution.checkpointing.num-retained", "state.checkpoints.num-retained"]);
        if let Some(count) = retained {
            self.retained_checkpoints = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        }
        self.user_job_id = reader.job_id(&["$internal.pipeline.job-id"]);
    }
}

/// Whether Flink's high availability is on. As Flink reads it: `NONE` in any case and the old
/// `standalone` are off, any other word is a class name or a known type, and so on.
pub(crate) fn high_availability(configuration: &BTreeMap<String, String>) -> bool {
    first_of(configuration, keys::HIGH_AVAILABILITY).is_some_and(|(_, value)| {
        let value = value.trim();
        !value.is_empty() && !value.eq_ignore_ascii_case("none") && !value.eq_ignore_ascii_case("standalone")
    })
}

impl HealthCheck {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut health = Self {
            restarts_threshold: 64,
            restarts_window_ms: 2 * MINUTE_MS,
            checkpoint_progress_enabled: true,
            checkpoint_progress_window_ms: None,
        };
        let threshold = reader.integer(operator::HEALTH_RESTARTS.names);
        health.restarts_threshold = threshold.unwrap_or(health.restarts_threshold);
        reader.duration(operator::HEALTH_RESTARTS_WINDOW.names, &mut health.restarts_window_ms);
        reader.boolean(operator::HEALTH_CHECKPOINTS.names, &mut health.checkpoint_progress_enabled);
        health.checkpoint_progress_window_ms =
            reader.optional_duration(operator::HEALTH_CHECKPOINTS_WINDOW.names);
        health
    }
}

/// Reads typed values and collects what could not be read. A value that cannot be read leaves the
/// default in place, so that the rest is still judged.
pub(crate) struct Reader<'a> {
    pub(crate) configuration: &'a BTreeMap<String, String>,
    pub(crate) errors: Vec<OptionError>,
}

impl Reader<'_> {
    pub(crate) fn boolean(&mut self, keys: &[&str], target: &mut bool) {
        if let Some(value) = self.parsed(keys, |text| parse_boolean(text).map_err(|error| error.expected)) {
            *target = value;
        }
    }

    pub(crate) fn duration(&mut self, keys: &[&str], target: &mut i64) {
        if let Some(value) = self.optional_duration(keys) {
            *target = value;
        }
    }

    pub(crate) fn optional_duration(&mut self, keys: &[&str]) -> Option<i64> {
        self.parsed(keys, |text| match parse_duration_ms(text) {
            Ok(ms) if ms < 0 => Err("a duration that is not negative"),
            Ok(ms) => Ok(ms),
            Err(error) => Err(error.expected),
        })
    }

    pub(crate) fn integer(&mut self, keys: &[&str]) -> Option<i64> {
        self.parsed(keys, |text| text.trim().parse::<i32>().map(i64::from).map_err(|_| "a whole number"))
    }

    fn schedule(&mut self, keys: &[&str]) -> Option<Schedule> {
        self.parsed(keys, |text| {
            Schedule::parse(text).map_err(|error| {
                format!(
                    "a duration such as `1 h` or a Quartz cron expression of 6 or 7 fields ({})",
                    error.reason
                )
            })
        })
        .flatten()
    }

    fn word(&mut self, keys: &[&str], words: &[&str]) -> Option<String> {
        self.parsed(keys, |text| {
            let word = text.trim().to_ascii_uppercase();
            if words.contains(&word.as_str()) { Ok(word) } else { Err(words.join(" or ")) }
        })
    }

    fn job_id(&mut self, keys: &[&str]) -> Option<String> {
        self.parsed(keys, |text| {
            let valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if valid { Ok(text.to_ascii_lowercase()) } else { Err("32 hexadecimal digits") }
        })
    }

    pub(crate) fn text(&self, keys: &[&str]) -> Option<String> {
        let (_, value) = first_of(self.configuration, keys)?;
        (!value.trim().is_empty()).then(|| value.to_owned())
    }

    pub(crate) fn parsed<T, E: Into<String>>(
        &mut self,
        keys: &[&str],
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (key, value) = first_of(self.configuration, keys)?;
        parse(value)
            .map_err(|expected| {
                self.errors.push(OptionError {
                    key: key.to_owned(),
                    value: value.to_owned(),
                    expected: expected.into(),
                });
            })
            .ok()
    }
}
