//! Every bound that this crate puts on waiting, reading, retrying and keeping.
//!
//! It refuses to know what happens at a bound: that stands where the bound is used.

use std::time::Duration;

/// How long one attempt to kill what is left of a cluster lasts.
pub const SWEEP_DEADLINE: Duration = Duration::from_secs(10);

/// How long a process has after SIGTERM before it is killed, unless configured otherwise.
pub const TERMINATION_GRACE: Duration = Duration::from_secs(10);

/// How often a dying process is looked at.
pub const TERMINATION_POLL: Duration = Duration::from_millis(50);

/// How often a cluster whose JobManager does not answer yet is looked at.
pub const STARTING_TICK: Duration = Duration::from_millis(200);

/// How often a cluster at rest is looked at. Exits of processes that drey started itself do not wait for it.
pub const RESTING_TICK: Duration = Duration::from_secs(1);

/// How long a JobManager has to answer one readiness request.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// How long the lock of a state directory is tried for before it counts as held by another drey.
pub const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Wait before the first restart of a process, milliseconds; doubled with each failure in a row.
pub const RESTART_DELAY_MS: i64 = 1_000;

/// The longest wait before a restart, milliseconds.
pub const RESTART_DELAY_MS_MAX: i64 = 60_000;

/// A process that was up for so long has not failed "in a row", milliseconds.
pub const HEALTHY_AFTER_MS: i64 = 60_000;

/// Quick exits in a row after which a JobManager that was once available counts as failing.
pub const QUICK_EXITS_MAX: u32 = 3;

/// Log directories of ended clusters kept for each resource.
pub const KEPT_LOGS_MAX: usize = 5;

/// Size of one file of a log4j log, as log4j writes it, and how many old ones it keeps.
pub const LOG_FILE_SIZE: &str = "20MB";

/// How many rotated files a process keeps besides the current one.
pub const LOG_FILES_MAX: u32 = 5;

/// Size at which the captured stdout and stderr of a process are cut, bytes.
pub const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How much of the end of a log is read to find out why a process ended, bytes.
pub const LOG_TAIL_BYTES: u64 = 256 * 1024;

/// The longest sentence taken from a log, bytes.
pub const CAUSE_BYTES_MAX: usize = 1_024;

/// Entries of a snapshot directory that are looked at.
pub const DIRECTORY_ENTRIES_MAX: usize = 10_000;

/// Options of one cluster. Flink's scripts read 1,000 lines of configuration, some of them messages.
pub const OPTIONS_MAX: usize = 900;

/// The largest `cluster.json` that is read, bytes.
pub const RECORD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The largest jar that is downloaded, bytes.
pub const JAR_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The largest Flink archive that is downloaded, bytes.
pub const ARCHIVE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The largest checksum file, bytes.
pub const CHECKSUM_BYTES_MAX: u64 = 4 * 1024;

/// How long a server may take to begin its answer: there may be another source.
pub const DOWNLOAD_ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// How long a download may stand still.
pub const DOWNLOAD_STALL: Duration = Duration::from_secs(60);

/// How long a whole download may take.
pub const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(3_600);

/// How long the `pip` client may take for one package.
pub const PACKAGE_DEADLINE: Duration = Duration::from_secs(1_800);

/// How long a Java may take to tell its version.
pub const JAVA_VERSION_DEADLINE: Duration = Duration::from_secs(20);

/// Ports that are tried for one listener.
pub const PORTS_TRIED_MAX: u16 = 500;

/// Free space without which no cluster is started, bytes: its logs and first checkpoints need it.
pub const DISK_FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// Changes that a slow listener may miss without anybody waiting for it.
pub const CHANGES_CAPACITY: usize = 1_024;
