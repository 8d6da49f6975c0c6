//! Every key that the Flink Kubernetes operator has, and what drey does with it: the one definition of each. Reading
//! a resource, reading the operator's own files, warnings and the documentation are made from it.

use super::key::{Key, Scope, Treatment, ValueType};

macro_rules! keys {
    ($(
        $(#[doc = $doc:literal])+
        $constant:ident = $name:literal $(| $deprecated:literal)*,
        $value:ident $(= $default:literal)?, $scope:ident, $treatment:ident $words:literal;
    )+) => {
        $(
            $(#[doc = $doc])+
            pub const $constant: Key = Key {
                names: &[
                    concat!("kubernetes.operator.", $name)
                    $(, concat!("kubernetes.operator.", $deprecated))*
                ],
                value: ValueType::$value,
                default: keys!(@default $($default)?),
                scope: Scope::$scope,
                treatment: Treatment::$treatment($words),
            };
        )+

        /// Every key, in the order of the documentation.
        pub const ALL: &[&Key] = &[$(&$constant),+];
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

keys! {
    /// Namespaces that are watched.
    WATCHED_NAMESPACES = "watched.namespaces", Text = "JOSDK_ALL_NAMESPACES", Running,
        Works "namespaces whose resources are run, separated by commas; the environment variable `WATCH_NAMESPACES` counts first; read again when `dynamic.namespaces.enabled` is set";
    /// Whether `watched.namespaces` is read again.
    DYNAMIC_NAMESPACES = "dynamic.namespaces.enabled", Boolean = "false", Start,
        Works "a change of `watched.namespaces` takes effect without a restart";
    /// Whether the files are read again.
    DYNAMIC_CONFIG = "dynamic.config.enabled", Boolean = "true", Start,
        Works "the configuration files are read again while the operator runs";
    /// How often.
    DYNAMIC_CONFIG_INTERVAL = "dynamic.config.check.interval", Duration = "5 min", Start,
        Works "how often the configuration files are read again";
    /// Which resources.
    LABEL_SELECTOR = "label.selector", Text, Start,
        Works "only resources with these labels are run";
    /// Whether there is an election.
    LEADER_ELECTION = "leader-election.enabled", Boolean = "false", Start,
        Works "several replicas elect a leader by a `Lease`; the others wait";
    /// Name of the Lease.
    LEADER_ELECTION_NAME = "leader-election.lease-name", Text, Start,
        Works "name of the `Lease`, in the operator's own namespace; needed for an election";
    /// How long a silent leader is respected.
    LEADER_ELECTION_DURATION = "leader-election.lease-duration", Duration = "15 s", Start,
        Works "how long after its last sign a leader is respected by the others";
    /// How long a leader acts without renewing.
    LEADER_ELECTION_DEADLINE = "leader-election.renew-deadline", Duration = "10 s", Start,
        Works "how long after its last renewal a leader acts; it goes on when its lease is still its own";
    /// How often the lease is renewed.
    LEADER_ELECTION_RETRY = "leader-election.retry-period", Duration = "2 s", Start,
        Works "how often the lease is renewed, and looked at by those who wait";
    /// How often a resource at rest is looked at.
    RECONCILE_INTERVAL = "reconcile.interval" | "reconciler.reschedule.interval", Duration = "1 min", Running,
        Works "how often a resource at rest is looked at; changes are seen at once";
    /// How often something under way is looked at.
    PROGRESS_CHECK_INTERVAL = "observer.progress-check.interval", Duration = "10 s", Running,
        Works "how often a resource is looked at while something is under way and nothing is heard of it; 1 s when it is not set";
    /// How many resources at the same time.
    RECONCILE_PARALLELISM = "reconcile.parallelism" | "reconciler.max.parallelism", Integer = "50", Start,
        Works "how many resources are stepped at the same time; 32 when it is not set, and at most 1024";
    /// First delay after a failure.
    RETRY_INITIAL_INTERVAL = "retry.initial.interval", Duration = "5 s", Start,
        Works "first delay after a step that failed; 500 ms when it is not set; doubled with each further failure";
    /// Longest delay after a failure.
    RETRY_MAX_INTERVAL = "retry.max.interval", Duration, Start,
        Works "longest delay after a step that failed; 5 min when it is not set";
    /// Growth of the delay.
    RETRY_MULTIPLIER = "retry.interval.multiplier", Number = "1.5", Start,
        Ignored "delays are doubled";
    /// When to give up.
    RETRY_MAX_ATTEMPTS = "retry.max.attempts", Integer = "15", Start,
        Ignored "no resource is ever given up; delays only grow to their bound";
    /// Reconciliations in a period.
    RATE_LIMIT = "rate-limiter.limit", Integer = "5", Start,
        Ignored "a resource is stepped when something about it has changed, and each change costs one write";
    /// The period.
    RATE_LIMIT_PERIOD = "rate-limiter.refresh-period", Duration = "15 s", Start,
        Ignored "a resource is stepped when something about it has changed, and each change costs one write";
    /// Timeout of calls to JobManagers.
    FLINK_CLIENT_TIMEOUT = "flink.client.timeout" | "observer.flink.client.timeout", Duration = "10 s", Start,
        Works "how long one call to a JobManager may take";
    /// Timeout of cancellations.
    FLINK_CANCEL_TIMEOUT = "flink.client.cancel.timeout" | "reconciler.flink.cancel.job.timeout", Duration = "1 min", Start,
        Ignored "a cancellation is asked for and then watched; nothing waits for it";
    /// Timeout of deletions.
    RESOURCE_CLEANUP_TIMEOUT = "resource.cleanup.timeout" | "reconciler.flink.cluster.shutdown.timeout", Duration = "5 min", Start,
        Ignored "a cluster that goes away is watched until it is gone; nothing waits for it";
    /// Timeout of submissions.
    JOB_SUBMISSION_TIMEOUT = "job.submission.timeout", Duration = "10 min", Start,
        Ignored "FlinkSessionJobs are not acted upon yet";
    /// How long the end may take.
    TERMINATION_TIMEOUT = "termination.timeout", Duration = "10 s", Start,
        Works "how long steps and actions that have begun may go on after SIGTERM";
    /// Readiness of JobManagers.
    REST_READY_DELAY = "observer.rest-ready.delay", Duration = "10 s", Running,
        Ignored "a JobManager is asked as soon as it can answer";
    /// Propagation of deletions.
    DELETION_PROPAGATION = "resource.deletion.propagation", Text = "Foreground", Start,
        Ignored "a cluster counts as gone when no pod of it is left, however it is deleted";
    /// Errors of informers.
    STOP_ON_INFORMER_ERROR = "startup.stop-on-informer-error", Boolean = "true", Start,
        Ignored "a watch that fails is opened again; `/readyz` and `/healthz` tell of it";
    /// Size of a cache.
    CONFIG_CACHE_SIZE = "config.cache.size", Integer = "1000", Start,
        Ignored "there is no such cache";
    /// Age of a cache.
    CONFIG_CACHE_TIMEOUT = "config.cache.timeout", Duration = "10 min", Start,
        Ignored "there is no such cache";
    /// Capacity of the cluster.
    RESOURCE_VIEW_REFRESH = "cluster.resource-view.refresh-interval", SignedDuration = "-1 min", Start,
        Ignored "there is no autoscaler yet";
    /// Health probe.
    HEALTH_PROBE = "health.probe.enabled", Boolean = "true", Start,
        Works "`/`, `/healthz` and `/readyz` are served";
    /// Its port.
    HEALTH_PROBE_PORT = "health.probe.port", Port = "8085", Start,
        Works "port of `/`, `/healthz` and `/readyz`";
    /// Canaries.
    CANARY_TIMEOUT = "health.canary.resource.timeout", Duration = "1 min", Start,
        Ignored "health is judged by what the watches bring; resources with the label `flink.apache.org/canary=true` are left alone";
    /// Length of fields in errors.
    EXCEPTION_FIELD_LENGTH = "exception.field.max.length", Integer = "2048", Running,
        Ignored "`status.error` is a sentence, not a stack trace";
    /// Stack traces in errors.
    EXCEPTION_STACKTRACE = "exception.stacktrace.enabled", Boolean = "false", Running,
        Ignored "`status.error` is a sentence, not a stack trace";
    /// Length of stack traces in errors.
    EXCEPTION_STACKTRACE_LENGTH = "exception.stacktrace.max.length", Integer = "2048", Running,
        Ignored "`status.error` is a sentence, not a stack trace";
    /// Number of causes in errors.
    EXCEPTION_THROWABLES = "exception.throwable.list.max.count", Integer = "2", Running,
        Ignored "`status.error` is a sentence, not a stack trace";
    /// Labels of exceptions.
    EXCEPTION_LABELS = "exception.label.mapper", Text = "{}", Resource,
        Ignored "`status.error` is a sentence, not a stack trace";
    /// Events of exceptions.
    EVENTS_EXCEPTIONS = "events.exceptions.limit-per-reconciliation", Integer = "10", Running,
        Ignored "exceptions of jobs are shown in `status.error`, not as events of their own";
    /// Lines of their stack traces.
    EVENTS_STACKTRACE_LINES = "events.exceptions.stacktrace-lines", Integer = "5", Running,
        Ignored "exceptions of jobs are shown in `status.error`, not as events of their own";
    /// Artifacts of session jobs.
    ARTIFACT_SCHEMES = "user.artifacts.allowed-schemes", Text = "https", Start,
        Ignored "FlinkSessionJobs are not acted upon yet";
    /// Artifacts of session jobs.
    ARTIFACT_DIRECTORY = "user.artifacts.base.dir", Text = "/opt/flink/artifacts", Start,
        Ignored "FlinkSessionJobs are not acted upon yet";
    /// Artifacts of session jobs.
    ARTIFACT_HOSTS = "user.artifacts.disallow-restricted-hosts", Boolean = "true", Start,
        Ignored "FlinkSessionJobs are not acted upon yet";
    /// Artifacts of session jobs.
    ARTIFACT_HEADER = "user.artifacts.http.header", Text, Resource,
        Ignored "FlinkSessionJobs are not acted upon yet";
    /// Listeners.
    LISTENERS = "plugins.listeners.*", Text, Start,
        Refused "listeners are Java classes, which cannot be loaded; follow the Kubernetes events instead";
    /// Configuration of one namespace.
    NAMESPACE_DEFAULTS = "default-configuration.namespace.*", Text, Running,
        Works "Flink configuration of the clusters in one namespace";
    /// Configuration of one Flink version.
    VERSION_DEFAULTS = "default-configuration.flink-version.*", Text, Running,
        Works "Flink configuration of the clusters of one Flink version, or with a `+` of that and all later ones";

    /// Rollback.
    ROLLBACK = "deployment.rollback.enabled", Boolean = "false", Resource,
        Works "go back to the last stable spec when the new one does not become ready in time";
    /// Time to become ready.
    READINESS_TIMEOUT = "deployment.readiness.timeout", Duration = "5 min", Resource,
        Works "how long a new spec may take to become ready before it is rolled back";
    /// Failed jobs.
    RESTART_FAILED = "job.restart.failed", Boolean = "false", Resource,
        Works "restart a job that failed, from its last checkpoint";
    /// Fallback of savepoint upgrades.
    LAST_STATE_FALLBACK = "job.upgrade.last-state-fallback.enabled", Boolean = "true", Resource,
        Works "fall back to `last-state` when no savepoint can be taken";
    /// Last-state by cancelling.
    LAST_STATE_JOB_CANCEL = "job.upgrade.last-state.job-cancel.enabled", Boolean = "false", Resource,
        Works "cancel the job for a `last-state` upgrade instead of taking its cluster down";
    /// Age of checkpoints.
    MAX_CHECKPOINT_AGE = "job.upgrade.last-state.max.allowed.checkpoint.age", Duration, Resource,
        Works "take a savepoint for a `last-state` upgrade when the last checkpoint is older";
    /// Savepoint at the end.
    SAVEPOINT_ON_DELETION = "job.savepoint-on-deletion", Boolean = "false", Resource,
        Works "take a savepoint when the resource is deleted";
    /// Drain at the end.
    DRAIN_ON_DELETION = "job.drain-on-savepoint-deletion", Boolean = "false", Resource,
        Works "drain the job when a savepoint is taken at deletion";
    /// Format of savepoints.
    SAVEPOINT_FORMAT = "savepoint.format.type", SavepointFormat = "CANONICAL", Resource,
        Works "format of savepoints";
    /// Kind of checkpoints.
    CHECKPOINT_TYPE = "checkpoint.type", CheckpointType = "FULL", Resource,
        Works "kind of the checkpoints that are triggered";
    /// Periodic savepoints.
    PERIODIC_SAVEPOINT = "periodic.savepoint.interval", Schedule = "", Resource,
        Works "when savepoints are taken";
    /// Periodic checkpoints.
    PERIODIC_CHECKPOINT = "periodic.checkpoint.interval", Schedule = "", Resource,
        Works "when checkpoints are triggered, beside Flink's own";
    /// Number of savepoints.
    SAVEPOINT_HISTORY_COUNT = "savepoint.history.max.count", Integer = "10", Resource,
        Works "how many savepoints are kept";
    /// Age of savepoints.
    SAVEPOINT_HISTORY_AGE = "savepoint.history.max.age", Duration = "1 d", Resource,
        Works "how long savepoints are kept";
    /// Bound of the number.
    SAVEPOINT_HISTORY_COUNT_CAP = "savepoint.history.max.count.threshold", Integer, Running,
        Works "upper bound of `savepoint.history.max.count` of every resource";
    /// Bound of the age.
    SAVEPOINT_HISTORY_AGE_CAP = "savepoint.history.max.age.threshold", Duration, Running,
        Works "upper bound of `savepoint.history.max.age` of every resource";
    /// Disposal of savepoints.
    SAVEPOINT_CLEANUP = "savepoint.cleanup.enabled", Boolean = "true", Resource,
        Works "dispose of savepoints that are kept no longer";
    /// Retries of savepoints.
    SAVEPOINT_GRACE_PERIOD = "savepoint.trigger.grace-period" | "observer.savepoint.trigger.grace-period", Duration = "1 min", Resource,
        Works "how long a savepoint that was triggered may be unheard of";
    /// Retries of checkpoints.
    CHECKPOINT_GRACE_PERIOD = "checkpoint.trigger.grace-period", Duration = "1 min", Resource,
        Works "how long a checkpoint that was triggered may be unheard of";
    /// Savepoints under way.
    IGNORE_PENDING_SAVEPOINT = "job.upgrade.ignore-pending-savepoint", Boolean = "false", Resource,
        Ignored "an upgrade waits until a savepoint that is under way is known to be over";
    /// Lost JobManagers.
    DEPLOYMENT_RECOVERY = "jm-deployment-recovery.enabled" | "reconciler.jm-deployment-recovery.enabled", Boolean = "true", Resource,
        Works "bring a JobManager back that was lost";
    /// Ended jobs.
    SHUTDOWN_TTL = "jm-deployment.shutdown-ttl", Duration = "1 d", Resource,
        Works "how long the cluster of a job that ended is kept";
    /// Ingresses.
    INGRESS_MANAGE = "ingress.manage", Boolean = "true", Resource,
        Works "whether what `spec.ingress` asks for is made and kept in step";
    /// Routes in place of Ingresses.
    HTTP_ROUTE_GATEWAY = "ingress.http-route.gateway", Text, Resource,
        Works "drey's own: `spec.ingress` is made as an HTTPRoute of this Gateway, given as `namespace/name` or `namespace/name/listener`, in place of an Ingress";
    /// Startup probe.
    STARTUP_PROBE = "jm-deployment.startup.probe.enabled", Boolean = "true", Resource,
        Works "give the JobManager's container a startup probe";
    /// Health check.
    HEALTH_CHECK = "cluster.health-check.enabled", Boolean = "false", Resource,
        Works "restart an unhealthy cluster";
    /// Restarts.
    HEALTH_RESTARTS = "cluster.health-check.restarts.threshold", Integer = "64", Resource,
        Works "more restarts of the job than this within the window are unhealthy";
    /// Their window.
    HEALTH_RESTARTS_WINDOW = "cluster.health-check.restarts.window", Duration = "2 min", Resource,
        Works "the window in which restarts are counted";
    /// Checkpoints.
    HEALTH_CHECKPOINTS = "cluster.health-check.checkpoint-progress.enabled", Boolean = "true", Resource,
        Works "a job whose checkpoints do not complete any more is unhealthy";
    /// Their window.
    HEALTH_CHECKPOINTS_WINDOW = "cluster.health-check.checkpoint-progress.window", Duration, Resource,
        Works "the window in which a checkpoint has to complete";
    /// Snapshots as resources.
    SNAPSHOT_RESOURCE = "snapshot.resource.enabled", Boolean = "true", Resource,
        Ignored "snapshots are recorded in `status.jobStatus.savepointInfo`";
    /// Disposal with their resource.
    SAVEPOINT_DISPOSE_ON_DELETE = "savepoint.dispose-on-delete", Boolean = "false", Resource,
        Ignored "snapshots are recorded in `status.jobStatus.savepointInfo`";
    /// Scaling in place.
    IN_PLACE_SCALING = "job.upgrade.inplace-scaling.enabled", Boolean = "true", Resource,
        Ignored "a change of parallelism is an upgrade with state";
    /// Merging of pod templates.
    MERGE_ARRAYS_BY_NAME = "pod-template.merge-arrays-by-name", Boolean = "false", Resource,
        Works "merge lists of pod templates by `name` instead of by position";
    /// Session clusters.
    BLOCK_ON_SESSION_JOBS = "session.deletion.block-on-session-jobs", Boolean = "true", Resource,
        Ignored "session clusters are not acted upon yet";
    /// Session clusters.
    BLOCK_ON_UNMANAGED_JOBS = "session.deletion.block-on-unmanaged-jobs" | "session.block-on-unmanaged-jobs", Boolean = "true", Resource,
        Ignored "session clusters are not acted upon yet";
    /// The autoscaler.
    AUTOSCALER = "job.autoscaler.*", Text, Resource,
        Ignored "there is no autoscaler yet";

    /// Metrics of the framework.
    JOSDK_METRICS = "josdk.metrics.enabled", Boolean = "true", Start,
        Ignored "drey has metrics of its own for this, always";
    /// Metrics of the virtual machine.
    JVM_METRICS = "jvm.metrics.enabled", Boolean = "true", Start,
        Ignored "there is no virtual machine";
    /// Metrics of the client.
    CLIENT_METRICS = "kubernetes.client.metrics.enabled", Boolean = "true", Start,
        Ignored "drey has metrics of its own for this, always";
    /// Groups of answers.
    CLIENT_METRICS_GROUPS = "kubernetes.client.metrics.http.response.code.groups.enabled", Boolean = "false", Start,
        Ignored "drey has metrics of its own for this, always";
    /// Slow requests.
    CLIENT_METRICS_SLOW = "kubernetes.client.metrics.slow.request.threshold", Duration = "5 s", Start,
        Ignored "drey has metrics of its own for this, always";
    /// Metrics of resources.
    RESOURCE_METRICS = "resource.metrics.enabled", Boolean = "true", Start,
        Works "counts of resources under the names that Flink's Prometheus reporter gives to the operator's";
    /// Metrics of life cycles.
    LIFECYCLE_METRICS = "resource.lifecycle.metrics.enabled", Boolean = "true", Start,
        Works "counts of resources by life cycle state, likewise";
    /// Histograms of life cycles.
    LIFECYCLE_HISTOGRAMS = "resource.lifecycle.namespace.histograms.enabled", Boolean = "true", Start,
        Ignored "there are no histograms of transitions";
    /// Size of histograms.
    HISTOGRAM_SIZE = "metrics.histogram.sample.size", Integer = "1000", Start,
        Ignored "histograms have fixed buckets";
    /// Scope of system metrics.
    SCOPE_SYSTEM = "metrics.scope.k8soperator.system", Text = "<host>.k8soperator.<namespace>.<name>.system", Start,
        Ignored "what a scope would hold are Prometheus labels";
    /// Scope of namespace metrics.
    SCOPE_NAMESPACE = "metrics.scope.k8soperator.resourcens", Text = "<host>.k8soperator.<namespace>.<name>.namespace.<resourcens>.<resourcetype>", Start,
        Ignored "what a scope would hold are Prometheus labels";
    /// Scope of resource metrics.
    SCOPE_RESOURCE = "metrics.scope.k8soperator.resource", Text = "<host>.k8soperator.<namespace>.<name>.resource.<resourcens>.<resourcename>.<resourcetype>", Start,
        Ignored "what a scope would hold are Prometheus labels";
    /// Port of the metrics.
    METRICS_PORT = "metrics.reporter.prom.port", Port = "9999", Start,
        Works "port of the Prometheus metrics; of a range such as `9250-9260` the first one";
    /// Reporters.
    METRICS_REPORTERS = "metrics.*", Text, Start,
        Ignored "metrics are served for Prometheus, always; no other reporter is there";
}
