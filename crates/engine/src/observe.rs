//! Assembles the evidence of one step: from memory, or live from every source. Refuses to conclude; a look that
//! failed or took too long is `Unknown`.

use std::future::Future;
use std::sync::Arc;

use drey_api::desired::Desired;
use drey_core::observed::{Cluster, Observed, Refused, Rest, StoredSnapshot};
use drey_core::{JobId, Journal, Seen};
use tokio::time::timeout;

use crate::act::Actor;
use crate::high_availability;
use crate::index::PollResult;
use crate::launcher::Target;
use crate::object::Stored;

/// What memory adds to the evidence.
pub(crate) struct Remembered {
    pub(crate) poll: Option<PollResult>,
    pub(crate) refused: Option<Refused>,
}

impl Remembered {
    /// The last poll, if it was one of exactly this cluster.
    fn rest(&self, cluster: &Seen<Cluster>) -> Option<Rest> {
        let uid = &cluster.present()?.uid;
        let poll = self.poll.as_ref().filter(|poll| poll.cluster_uid == *uid)?;
        Some((*poll.rest).clone())
    }
}

/// Evidence as far as it is remembered.
pub(crate) fn from_memory(cluster: Seen<Cluster>, remembered: &Remembered) -> Observed {
    Observed {
        live: false,
        rest: remembered.rest(&cluster),
        refused: remembered.refused.clone(),
        cluster,
        ..Observed::default()
    }
}

/// Evidence read from its sources now. The order matters: what a dead run left is read after it was seen dead, so
/// that nothing can be added to it later.
pub(crate) async fn live(
    actor: &Actor,
    stored: &Stored,
    journal: &Journal,
    remembered: &Remembered,
) -> Observed {
    let target = stored.target();
    let cluster = within(actor, actor.launcher.observe(&target)).await;
    let high_availability = within(actor, high_availability::read(&actor.client, &stored.key)).await;
    let directories = journal.run.as_ref().map(|run| run.open_directories.as_slice()).unwrap_or_default();
    let storage_hidden = directories.iter().any(|directory| !actor.launcher.reads(directory));
    let open_snapshot = open_snapshot(actor, &target, directories).await;
    let (retained_checkpoint, job_result) = match (journal.run.as_ref(), journal.deployed()) {
        (Some(run), Some(deployed)) => {
            let deployed: Arc<Desired> = deployed.desired.clone();
            tokio::join!(
                retained_checkpoint(actor, &target, &cluster, &deployed, &run.job_id),
                within(actor, actor.launcher.job_result(&target, &deployed, run)),
            )
        }
        _ => (Seen::Unknown, Seen::Unknown),
    };
    Observed {
        live: true,
        rest: remembered.rest(&cluster),
        refused: remembered.refused.clone(),
        cluster,
        high_availability,
        open_snapshot,
        storage_hidden,
        retained_checkpoint,
        job_result,
    }
}

/// What storage keeps of a job that is dead; a living one may add to it.
async fn retained_checkpoint(
    actor: &Actor,
    target: &Target,
    cluster: &Seen<Cluster>,
    deployed: &Desired,
    job_id: &JobId,
) -> Seen<StoredSnapshot> {
    match cluster {
        Seen::Absent => {
            within(actor, actor.launcher.newest_retained_checkpoint(target, deployed, job_id)).await
        }
        Seen::Unknown | Seen::Present(_) => Seen::Unknown,
    }
}

/// What is heard of the cluster.
pub(crate) async fn glance(actor: &Actor, target: &Target) -> Seen<Cluster> {
    within(actor, actor.launcher.glance(target)).await
}

/// The newest snapshot in the directories of requests whose outcome nobody knows.
async fn open_snapshot(actor: &Actor, target: &Target, directories: &[Arc<str>]) -> Seen<StoredSnapshot> {
    let mut newest = if directories.is_empty() { Seen::Unknown } else { Seen::Absent };
    for directory in directories {
        match within(actor, actor.launcher.find_snapshot(target, directory)).await {
            Seen::Unknown => return Seen::Unknown,
            Seen::Absent => {}
            Seen::Present(found) => newest = Seen::Present(newer(newest.present(), found)),
        }
    }
    newest
}

fn newer(known: Option<&StoredSnapshot>, found: StoredSnapshot) -> StoredSnapshot {
    match known {
        Some(known) if known.checkpoint_id > found.checkpoint_id => known.clone(),
        Some(_) | None => found,
    }
}

async fn within<T>(actor: &Actor, look: impl Future<Output = Seen<T>>) -> Seen<T> {
    timeout(actor.limits.look_timeout, look).await.unwrap_or(Seen::Unknown)
}
