//! Every bound of the server in one place, each with where it comes from.

/// Largest request body: kube-apiserver's `--max-request-bytes` for writes.
pub(crate) const REQUEST_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Largest stored object: etcd's default request limit of 1.5 MiB.
pub(crate) const OBJECT_BYTES_MAX: usize = 1_572_864;
/// Most operations in one JSON patch, as kube-apiserver.
pub(crate) const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;
/// Total size of the values of a ConfigMap or Secret, as kube-apiserver.
pub(crate) const DATA_BYTES_MAX: usize = 1024 * 1024;
/// Total size of all annotations of an object, as apimachinery.
pub(crate) const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;
/// Events that each resource remembers for watches that come back.
pub(crate) const HISTORY_EVENTS_MAX: usize = 10_000;
/// Bytes of those events; bodies are mostly shared with the stored objects.
pub(crate) const HISTORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Age of those events: etcd's default compaction interval in kube-apiserver.
pub(crate) const HISTORY_AGE_MS_MAX: i64 = 5 * 60 * 1000;
/// How long a read waits for a revision from the future before it answers 504, as the watch cache.
pub(crate) const FUTURE_REVISION_WAIT_MS: u64 = 3_000;
/// Watches without `timeoutSeconds` end after this long; kube-apiserver takes 30 to 60 minutes.
pub(crate) const WATCH_TIMEOUT_SECONDS: u64 = 45 * 60;
/// Time between bookmarks, as the watch cache.
pub(crate) const BOOKMARK_INTERVAL_SECONDS: u64 = 60;
/// How long before its end a watch gets its last bookmark, as the watch cache.
pub(crate) const LAST_BOOKMARK_SECONDS: u64 = 2;
/// Time between websocket pings, so that a peer that vanished is noticed.
pub(crate) const WEBSOCKET_PING_SECONDS: u64 = 30;
/// Events (the Kubernetes kind) live this long after their last write: `--event-ttl`.
pub(crate) const EVENT_TTL_MS: i64 = 60 * 60 * 1000;
/// How often writes of events look for expired ones.
pub(crate) const EVENT_SWEEP_INTERVAL_MS: i64 = 60 * 1000;
/// Tries to find a free name for `generateName`, as kube-apiserver.
pub(crate) const GENERATE_NAME_ATTEMPTS: u32 = 8;
/// Batches that one SQLite transaction commits together.
pub(crate) const COMMIT_BATCHES_MAX: usize = 512;
/// Events that one watcher takes from the history at a time.
pub(crate) const WATCH_BATCH_EVENTS: usize = 256;
/// Errors that one validation reports.
pub(crate) const FIELD_ERRORS_MAX: usize = 100;
