//! Who the resource is and what its user wants, after parsing. Raw specs stop before this file.

use std::sync::Arc;

use drey_api::desired::{Desired, Invalid};

/// One FlinkDeployment, as the API server has it, without its status.
#[derive(Clone, Debug)]
pub struct Resource {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`, which is also the Flink cluster id.
    pub name: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our finalizer is on it.
    pub finalizer: bool,
    /// The parsed spec, or why it is refused.
    pub desired: Result<Arc<Desired>, Arc<Invalid>>,
}

/// What holds for the whole operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Leadership number of this operator process; a journal of a higher one is never overwritten.
    pub epoch: i64,
    /// How long an open intent waits for evidence before its action is sent again, milliseconds; doubled with each
    /// attempt up to `retry_delay_max_ms`.
    pub retry_delay_ms: i64,
    /// Upper bound of that wait, milliseconds.
    pub retry_delay_max_ms: i64,
    /// How often a resource is looked at while something is under way, milliseconds.
    pub progress_interval_ms: i64,
    /// How often a resource at rest is looked at, milliseconds (`kubernetes.operator.reconcile.interval`).
    pub rest_interval_ms: i64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            epoch: 0,
            retry_delay_ms: 2_000,
            retry_delay_max_ms: 300_000,
            progress_interval_ms: 1_000,
            rest_interval_ms: 60_000,
        }
    }
}
