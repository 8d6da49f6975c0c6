//! The user: writes specs, edits them at the worst moments, deletes, creates again, and meddles with objects that are
//! not his to touch.

use std::sync::Arc;

use drey_api::configuration::flatten;
use drey_api::desired::{Desired, Invalid, Problem};
use drey_api::kinds::{
    DeploymentMode, FlinkDeploymentSpec, FlinkVersion, JobSpec, JobState, ReconciliationState, UpgradeMode,
};
use drey_api::options::Options;
use drey_api::schedule::Schedule;
use drey_core::Journal;
use serde_json::json;

use crate::chance::Kind;
use crate::flink::SnapshotKind;
use crate::motion::FOREIGN;
use crate::world::{Spec, World};

/// What a user can do to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edit {
    /// Another parallelism.
    Parallelism,
    /// Other arguments.
    Arguments,
    /// Another upgrade mode, together with other arguments.
    UpgradeMode(UpgradeMode),
    /// `job.state: suspended`.
    Suspend,
    /// `job.state: running`.
    Resume,
    /// Another Flink version.
    Version,
    /// Another `restartNonce`.
    Restart,
    /// Another `savepointTriggerNonce`.
    TriggerSavepoint,
    /// Another `checkpointTriggerNonce`.
    TriggerCheckpoint,
    /// `savepointRedeployNonce` with the path of a savepoint.
    Redeploy,
    /// A spec that validation refuses.
    Break,
    /// An image that cannot be pulled.
    BadImage,
    /// A main class that throws.
    BadMain,
    /// A spec without the flaws of the last edits.
    Mend,
    /// Only metadata: a new resourceVersion.
    Touch,
    /// Delete.
    Delete,
    /// Delete, and create again under the same name.
    Recreate,
    /// Delete the JobManager Deployment by hand.
    DeleteCluster,
    /// Wipe the status.
    WipeStatus,
    /// Give a standalone cluster another number of TaskManagers by hand.
    ScaleByHand,
}

impl Edit {
    /// The edits of the swarm, the more frequent ones several times.
    pub const MENU: &[Edit] = &[
        Edit::Parallelism,
        Edit::Parallelism,
        Edit::Arguments,
        Edit::Arguments,
        Edit::UpgradeMode(UpgradeMode::Savepoint),
        Edit::UpgradeMode(UpgradeMode::LastState),
        Edit::UpgradeMode(UpgradeMode::Stateless),
        Edit::Suspend,
        Edit::Resume,
        Edit::Resume,
        Edit::Version,
        Edit::Restart,
        Edit::TriggerSavepoint,
        Edit::TriggerCheckpoint,
        Edit::Redeploy,
        Edit::Break,
        Edit::BadImage,
        Edit::BadMain,
        Edit::Mend,
        Edit::Mend,
        Edit::Touch,
        Edit::Delete,
        Edit::Recreate,
        Edit::DeleteCluster,
        Edit::WipeStatus,
    ];

    /// What comes to the menu where clusters are standalone.
    pub const STANDALONE: &[Edit] = &[Edit::Parallelism, Edit::ScaleByHand];

    /// The edits of the exhaustive search: those that change what runs.
    pub const BASE: &[Edit] = &[
        Edit::Parallelism,
        Edit::UpgradeMode(UpgradeMode::Savepoint),
        Edit::UpgradeMode(UpgradeMode::LastState),
        Edit::UpgradeMode(UpgradeMode::Stateless),
        Edit::Suspend,
        Edit::Version,
        Edit::Restart,
        Edit::TriggerSavepoint,
        Edit::TriggerCheckpoint,
        Edit::Redeploy,
        Edit::BadImage,
        Edit::BadMain,
        Edit::Delete,
        Edit::Recreate,
        Edit::DeleteCluster,
    ];
}

/// Validation rule 3, which holds at every look: no other Flink version while suspended by last-state.
pub fn is_version_refused(journal: &Journal, version: FlinkVersion) -> bool {
    journal.reconciled.as_ref().is_some_and(|reconciled| {
        reconciled.job_state == JobState::Suspended
            && reconciled.upgrade_mode == UpgradeMode::LastState
            && journal.state == ReconciliationState::Deployed
            && reconciled.desired.flink_version != version
    })
}

/// What validation then says.
pub fn version_refusal() -> Arc<Invalid> {
    let message = "Changing flinkVersion after last-state suspend is not allowed.".to_owned();
    Arc::new(Invalid { errors: vec![Problem { field: "spec.flinkVersion".to_owned(), message, hint: None }] })
}

/// The first spec of a resource.
pub fn first_spec(mode: UpgradeMode, high_availability: bool) -> Arc<Desired> {
    let options = Options {
        high_availability,
        savepoint_directory: Some("sp".to_owned()),
        checkpoint_directory: Some("ck".to_owned()),
        checkpoint_interval_ms: Some(10_000),
        readiness_timeout_ms: 60_000,
        ..Options::default()
    };
    let job = JobSpec { parallelism: 1, upgrade_mode: mode, state: JobState::Running, ..JobSpec::default() };
    let spec = FlinkDeploymentSpec {
        job: Some(job),
        flink_version: Some(FlinkVersion::V1_20),
        ..FlinkDeploymentSpec::default()
    };
    Arc::new(desired(spec, options))
}

/// The same resource in standalone mode, reactive or not.
pub fn standalone(first: &Arc<Desired>, reactive: bool) -> Arc<Desired> {
    let mut spec = (*first.spec).clone();
    spec.mode = Some(DeploymentMode::Standalone);
    spec.flink_configuration = reactive.then(|| json!({ "scheduler-mode": "reactive" }));
    Arc::new(desired(spec, first.options.clone()))
}

/// A parsed spec, without going through the parser: the simulator's specs are valid by construction.
pub fn desired(spec: FlinkDeploymentSpec, options: Options) -> Desired {
    let parallelism = spec.job.as_ref().map_or(1, |job| job.parallelism);
    let configuration = spec.flink_configuration.as_ref().and_then(|tree| flatten(tree).ok());
    Desired {
        flink_version: spec.flink_version.unwrap_or(FlinkVersion::V1_20),
        mode: spec.mode.unwrap_or(DeploymentMode::Native),
        spec: Arc::new(spec),
        options,
        configuration: Arc::new(configuration.unwrap_or_default()),
        job_manager_memory_bytes: 1 << 30,
        task_manager_memory_bytes: 1 << 30,
        parallelism,
        slots: 1,
        task_manager_replicas: parallelism,
    }
}

/// Lineage of snapshots that nobody is expected to find again.
const FORGOTTEN: u32 = u32::MAX;

/// Draws the options that vary from schedule to schedule.
pub fn vary_options(world: &mut World, first: &Arc<Desired>) -> Arc<Desired> {
    let mut options = first.options.clone();
    let mut one_in = |count| world.chance.below(Kind::Setup, count) == 0;
    options.rollback_enabled = one_in(3);
    options.restart_failed = one_in(2);
    options.last_state_fallback = !one_in(4);
    options.last_state_job_cancel = one_in(4);
    options.savepoint_on_deletion = one_in(4);
    options.savepoint_history_max_count = if one_in(2) { 1 } else { 10 };
    if one_in(5) {
        options.periodic_savepoint = Some(Schedule::Every { interval_ms: 20_000 });
    }
    options.shutdown_ttl_ms = if one_in(3) { 30_000 } else { 86_400_000 };
    Arc::new(desired((*first.spec).clone(), options))
}

impl World {
    /// Lets the user do one thing.
    pub fn edit(&mut self, edit: Edit) {
        if self.resource.is_none() {
            return;
        }
        self.tell(|_| format!("user: {edit:?}"));
        match edit {
            Edit::Touch => self.touch(),
            Edit::Delete => self.delete(),
            Edit::Recreate => self.recreate(),
            Edit::DeleteCluster => self.delete_cluster_by_hand(),
            Edit::WipeStatus => self.wipe_status(),
            Edit::ScaleByHand => self.scale_by_hand(),
            Edit::Break => self.write_invalid("Job parallelism must be larger than 0"),
            _ => self.edit_spec(edit),
        }
    }

    fn edit_spec(&mut self, edit: Edit) {
        let Some(last) = self.last_valid() else { return };
        let mut spec = (*last.spec).clone();
        let mut version = spec.flink_version;
        let savepoint = self.some_savepoint();
        let nonce = self.resource.as_ref().map_or(1, |resource| resource.generation + 1);
        let Some(job) = &mut spec.job else { return };
        match edit {
            Edit::Parallelism => job.parallelism += 1,
            Edit::Arguments => job.args = vec![format!("{nonce}")],
            Edit::UpgradeMode(mode) => {
                if mode == UpgradeMode::LastState
                    && !last.options.high_availability
                    && !last.options.last_state_job_cancel
                {
                    return;
                }
                job.upgrade_mode = mode;
                job.args = vec![format!("{nonce}")];
            }
            Edit::Suspend => job.state = JobState::Suspended,
            Edit::Resume => job.state = JobState::Running,
            Edit::Version => {
                version = match version {
                    Some(FlinkVersion::V1_20) => Some(FlinkVersion::V2_0),
                    _ => Some(FlinkVersion::V1_20),
                };
            }
            Edit::Restart => spec.restart_nonce = Some(nonce),
            Edit::TriggerSavepoint => job.savepoint_trigger_nonce = Some(nonce),
            Edit::TriggerCheckpoint => job.checkpoint_trigger_nonce = Some(nonce),
            Edit::Redeploy => {
                let Some(path) = savepoint else { return };
                job.savepoint_redeploy_nonce = Some(nonce);
                job.initial_savepoint_path = Some(path);
            }
            Edit::BadImage => spec.image = Some("broken".to_owned()),
            Edit::BadMain => job.entry_class = Some("broken".to_owned()),
            Edit::Mend => {
                spec.image = None;
                job.entry_class = None;
            }
            Edit::Break
            | Edit::Touch
            | Edit::Delete
            | Edit::Recreate
            | Edit::DeleteCluster
            | Edit::WipeStatus
            | Edit::ScaleByHand => return,
        }
        spec.flink_version = version;
        self.write_spec(Spec::Valid(Arc::new(desired(spec, last.options.clone()))));
    }

    /// The last spec that was not refused.
    pub fn last_valid(&self) -> Option<Arc<Desired>> {
        let resource = self.resource.as_ref()?;
        match &resource.spec {
            Spec::Valid(desired) => Some(desired.clone()),
            Spec::Invalid(_) => {
                resource.status.reconciled.as_ref().map(|reconciled| reconciled.desired.clone())
            }
        }
    }

    fn some_savepoint(&self) -> Option<String> {
        self.snapshots
            .iter()
            .rev()
            .find(|snapshot| {
                snapshot.kind != SnapshotKind::Checkpoint && snapshot.complete && !snapshot.disposed
            })
            .map(|snapshot| snapshot.path.to_string())
    }

    fn write_invalid(&mut self, message: &str) {
        let problem = Problem { field: "spec".to_owned(), message: message.to_owned(), hint: None };
        self.write_spec(Spec::Invalid(Arc::new(Invalid { errors: vec![problem] })));
    }

    fn touch(&mut self) {
        let version = self.next_version();
        if let Some(resource) = &mut self.resource {
            resource.version = version;
        }
    }

    fn delete(&mut self) {
        let version = self.next_version();
        let Some(resource) = &mut self.resource else { return };
        resource.deleting = true;
        resource.version = version;
        if !resource.finalizer {
            self.resource = None;
        }
    }

    /// The finalizer is forced off, and a resource of the same name is made at once.
    fn recreate(&mut self) {
        let Some(last) = self.last_valid() else { return };
        self.resource = None;
        self.create_resource(last);
    }

    fn delete_cluster_by_hand(&mut self) {
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| &*cluster.owner != FOREIGN) {
            cluster.terminating = true;
        }
    }

    fn scale_by_hand(&mut self) {
        for task_managers in self.job_managers.iter_mut().filter_map(|manager| manager.task_managers.as_mut())
        {
            *task_managers += 1;
        }
    }

    /// `kubectl replace --subresource=status` with an empty one. Only where high availability or a running cluster
    /// still tells what there was; otherwise nobody could know.
    fn wipe_status(&mut self) {
        let at_rest = self.resource.as_ref().is_some_and(|resource| resource.status.intent.is_none());
        let running = self.cluster.as_ref().is_some_and(|cluster| !cluster.terminating);
        if !at_rest || !running || self.job_managers.iter().all(|manager| !manager.may_emit()) {
            return;
        }
        let version = self.next_version();
        let Some(resource) = &mut self.resource else { return };
        let wiped = drey_core::Journal { epoch: resource.status.epoch, ..drey_core::Journal::default() };
        resource.status = Arc::new(wiped);
        resource.version = version;
        self.ghost.wiped = true;
        // Only the status knew where the savepoints are. Flink itself does not go on from them either.
        for savepoint in
            self.snapshots.iter_mut().filter(|snapshot| snapshot.kind != SnapshotKind::Checkpoint)
        {
            savepoint.lineage = FORGOTTEN;
        }
        self.ghost.ends.clear();
        self.ghost.rollbacks.clear();
    }
}
