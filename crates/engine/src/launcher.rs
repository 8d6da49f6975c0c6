//! Where the compute runs, behind one trait: the only part of the engine that has more than one implementation.
//! A launcher creates and removes clusters and tells what it sees; it decides nothing.

use std::sync::Arc;

use async_trait::async_trait;
use drey_api::desired::Desired;
use drey_api::kinds::FlinkJobState;
use drey_core::decision::Deployment;
use drey_core::journal::Run;
use drey_core::observed::{Cluster, StoredSnapshot};
use drey_core::{JobId, Seen};

/// Which resource a call is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// `metadata.namespace` of the FlinkDeployment.
    pub namespace: Arc<str>,
    /// `metadata.name` of the FlinkDeployment, which is also the Flink cluster id.
    pub name: Arc<str>,
    /// `metadata.uid` of the FlinkDeployment: the owner of everything that is created for it.
    pub uid: Arc<str>,
}

/// Why a call to a launcher did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LaunchError {
    /// Certainly nothing was done; the message is for the user and says what to change.
    #[error("{0}")]
    Refused(String),
    /// Nobody knows whether it was done; observing tells.
    #[error("{0}")]
    UnknownOutcome(String),
}

/// Runs Flink clusters somewhere.
#[async_trait]
pub trait Launcher: Send + Sync + 'static {
    /// Looks at the cluster now, from its source. `Absent` only when the cluster is provably dead: its object is
    /// gone and no pod or process of any incarnation is alive. A failed look is `Unknown`.
    async fn observe(&self, target: &Target) -> Seen<Cluster>;

    /// What is known of the cluster from the changes heard of so far, without asking: enough to see that something is
    /// to be done, not to do it. A launcher for which looking is cheap looks.
    async fn glance(&self, target: &Target) -> Seen<Cluster> {
        self.observe(target).await
    }

    /// Creates the cluster. One that exists already, whichever intent made it, is left alone. Either everything of
    /// the cluster comes to exist, or what was created is removed by a later `delete`.
    ///
    /// # Errors
    /// See [`LaunchError`].
    async fn apply(&self, target: &Target, deployment: &Deployment) -> Result<(), LaunchError>;

    /// Creates what the last look found missing of the incarnation `uid`, which was made from `deployment`. Creates
    /// nothing of any other, and no cluster. A launcher that never sees anything missing has nothing to do.
    ///
    /// # Errors
    /// See [`LaunchError`].
    async fn complete(
        &self,
        _target: &Target,
        _uid: &str,
        _deployment: &Deployment,
    ) -> Result<(), LaunchError> {
        Ok(())
    }

    /// Lets the incarnation `uid`, and no other, have this many TaskManagers. A launcher whose clusters never have
    /// another number than they were made with, or where Flink itself decides it, has nothing to do.
    ///
    /// # Errors
    /// See [`LaunchError`].
    async fn scale(&self, _target: &Target, _uid: &str, _task_managers: i32) -> Result<(), LaunchError> {
        Ok(())
    }

    /// Makes what stands in front of the REST API (an Ingress, a route) as the deployed spec asks, and removes what it
    /// asks for no longer. Called at every step that has nothing else to do: a launcher that sees all in order asks
    /// nobody. Such an object that changes is announced like a change of the cluster.
    ///
    /// # Errors
    /// See [`LaunchError`]. The cluster goes on without it.
    async fn expose(&self, _target: &Target, _deployed: &Desired) -> Result<(), LaunchError> {
        Ok(())
    }

    /// Begins to take down the incarnation `uid`, and no other. Returns at once; `observe` tells when it is over.
    ///
    /// # Errors
    /// See [`LaunchError`].
    async fn delete(&self, target: &Target, uid: &str) -> Result<(), LaunchError>;

    /// Base URL of the REST API of the cluster's JobManager, with a trailing slash; `None` when the launcher knows
    /// of no cluster.
    async fn rest_endpoint(&self, target: &Target, deployed: &Desired) -> Option<String>;

    /// Whether this launcher has access to the storage of a directory, so that looks into it can succeed.
    fn reads(&self, _directory: &str) -> bool {
        false
    }

    /// The complete snapshot (one with `_metadata`) in or directly below a directory that was made for one request
    /// alone. `Unknown` when it cannot be read, as for the two that follow.
    async fn find_snapshot(&self, _target: &Target, _directory: &str) -> Seen<StoredSnapshot> {
        Seen::Unknown
    }

    /// The newest complete retained checkpoint (`<state.checkpoints.dir>/<job id>/chk-N`) of a job.
    async fn newest_retained_checkpoint(
        &self,
        _target: &Target,
        _deployed: &Desired,
        _job_id: &JobId,
    ) -> Seen<StoredSnapshot> {
        Seen::Unknown
    }

    /// How the job of this run ended, by its entry (clean or dirty) in Flink's job result store: FINISHED, CANCELED or
    /// FAILED.
    async fn job_result(&self, _target: &Target, _deployed: &Desired, _run: &Run) -> Seen<FlinkJobState> {
        Seen::Unknown
    }

    /// A stream of resources whose cluster may have changed, so that they are looked at soon. Losing one only
    /// costs time.
    fn changes(&self) -> tokio::sync::broadcast::Receiver<Target>;

    /// Ends every cluster whose resource does not exist (any more): called once when the list of resources is
    /// known.
    async fn retain(&self, existing: &[Target]);
}
