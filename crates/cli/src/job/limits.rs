//! Every bound on what the commands for bare Flink wait for, repeat and accept.

use std::time::Duration;

/// How long is waited between two looks, and until what was seen counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often Flink is asked how something goes.
    pub look: Duration,
    /// How long every task of a job has to run, without a failure in between, before the job counts as started.
    pub settle: Duration,
    /// How long a job that may have been submitted is looked for before the request is repeated.
    pub appear: Duration,
    /// How old Flink's checkpoint statistics may be (`rest.cache.checkpoint-statistics.timeout`), with some room.
    pub statistics_age: Duration,
    /// How long Flink may be away before what waits for it gives up.
    pub away: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(500),
            settle: Duration::from_secs(2),
            appear: Duration::from_secs(5),
            statistics_age: Duration::from_millis(3500),
            away: Duration::from_secs(120),
        }
    }
}

/// How often a job may fail while it starts before it counts as one that does not come up.
pub const FAILURES_MAX: usize = 3;

/// How often something is read in all, when the answer is lost.
pub const READS_MAX: usize = 3;

/// How often a request that may be repeated is sent in all.
pub const SENDS_MAX: usize = 5;

/// How long a cancelled job may take to end.
pub const CANCEL: Duration = Duration::from_secs(120);

/// How many runs may follow one run, and how many stops of one run may be tried.
pub const ATTEMPTS_MAX: u32 = 16;

/// What an upload may take at least, and what it may take more for each megabyte.
pub const UPLOAD: Duration = Duration::from_secs(30);
/// See [`UPLOAD`].
pub const UPLOAD_EACH_MEGABYTE: Duration = Duration::from_secs(2);

/// How much of a jar is read at once, in bytes.
pub const PIECE_BYTES: usize = 256 * 1024;

/// How often progress of a transfer is said.
pub const PROGRESS: Duration = Duration::from_secs(5);

/// How many redirects a download follows.
pub const REDIRECTS_MAX: usize = 5;

/// How long a server of jars may keep silent.
pub const DOWNLOAD_SILENCE: Duration = Duration::from_secs(60);

/// The longest record of how a job was started, in files of Flink's jar store.
pub const RECORD_FILES_MAX: usize = 40;

/// How much of a record goes into one file name, in characters: 255 bytes are the most that file systems take.
pub const RECORD_CHARACTERS: usize = 140;

/// Lines of talk that wait for a reader who does not read; the rest is dropped.
pub const TALK_LINES_MAX: usize = 1024;

/// How long the end of a command waits for a reader of its talk.
pub const TALK_END: Duration = Duration::from_secs(1);

/// How old a record may be whose job Flink does not know and that is taken for one that is being submitted. An older one is of
/// a job that has ended long ago, or in a JobManager before this one: its id would meet its own checkpoints.
pub const RECORD_AGE: Duration = Duration::from_secs(600);
