//! From evidence to one closed word: in what situation is the resource? Reads the journal only to know which run
//! the evidence is about; remembers nothing and decides nothing.

use drey_api::kinds::FlinkJobState;

use crate::journal::Journal;
use crate::observed::{Cluster, ClusterPhase, JobView, Observed, Rest, Seen};

/// The situation of an application FlinkDeployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation<'a> {
    /// Whether a cluster exists is not known.
    NotKnown,
    /// Provably nothing of a cluster is alive.
    Gone,
    /// An object of the cluster's name belongs to somebody else.
    Foreign,
    /// The cluster is going away.
    Terminating,
    /// The job of this run is over, and its cluster is still there.
    Ended(FlinkJobState),
    /// The JobManager cannot start.
    Failing(&'a str, &'a str),
    /// The JobManager is not available yet.
    Starting,
    /// The JobManager is said to be available and does not answer.
    Unreachable,
    /// The JobManager answers and does not know the job.
    JobMissing,
    /// The job exists and is neither running nor over: INITIALIZING, CREATED, RESTARTING, FAILING, RECONCILING.
    Unsettled(FlinkJobState),
    /// The job is being cancelled.
    Cancelling,
    /// The job runs, all tasks of it.
    Running,
}

/// Names the situation.
pub fn assess<'a>(observed: &'a Observed, journal: &Journal) -> Situation<'a> {
    let cluster = match &observed.cluster {
        Seen::Unknown => return Situation::NotKnown,
        Seen::Absent => return Situation::Gone,
        Seen::Present(cluster) => cluster,
    };
    if !cluster.owned {
        return Situation::Foreign;
    }
    if cluster.terminating {
        return Situation::Terminating;
    }
    if let Some(end) = journal.end() {
        return Situation::Ended(end.state);
    }
    match observed.rest.as_ref().filter(|rest| rest.reachable) {
        None => silent(cluster, observed.rest.as_ref()),
        Some(rest) => match &rest.job {
            Seen::Unknown => Situation::Unreachable,
            Seen::Absent => Situation::JobMissing,
            Seen::Present(job) => of_job(job),
        },
    }
}

fn silent<'a>(cluster: &'a Cluster, rest: Option<&Rest>) -> Situation<'a> {
    if let Some(missing) = &cluster.missing {
        return Situation::Failing("Missing", missing);
    }
    match &cluster.phase {
        ClusterPhase::Failing { reason, message } => Situation::Failing(reason, message),
        ClusterPhase::Starting => Situation::Starting,
        ClusterPhase::Available if rest.is_some_and(|rest| rest.ever_reachable) => Situation::Unreachable,
        ClusterPhase::Available => Situation::Starting,
    }
}

fn of_job<'a>(job: &JobView) -> Situation<'a> {
    match shown_state(job) {
        FlinkJobState::Running => Situation::Running,
        FlinkJobState::Cancelling => Situation::Cancelling,
        state @ (FlinkJobState::Finished | FlinkJobState::Canceled | FlinkJobState::Failed) => {
            Situation::Ended(state)
        }
        state @ (FlinkJobState::Initializing
        | FlinkJobState::Created
        | FlinkJobState::Failing
        | FlinkJobState::Restarting
        | FlinkJobState::Suspended
        | FlinkJobState::Reconciling) => Situation::Unsettled(state),
    }
}

/// The state as upstream shows it: a RUNNING job whose tasks do not all run is CREATED.
pub fn shown_state(job: &JobView) -> FlinkJobState {
    match job.state {
        FlinkJobState::Running if !job.all_tasks_running => FlinkJobState::Created,
        state => state,
    }
}
