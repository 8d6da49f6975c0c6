//! Tickets to Flink's own pages: each opens the pages of one cluster for a while, and nothing else. They stand in addresses,
//! because pages in a sandbox have no cookies. Refuses to know who may have one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::ClusterName;

/// How long a ticket opens: a working day.
const LIFE: Duration = Duration::from_secs(8 * 60 * 60);
/// How many there are at most; the oldest are of no use then.
const TICKETS_MAX: usize = 10_000;
const BYTES: usize = 16;

/// All tickets.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<String, (ClusterName, Instant)>>);

impl Tickets {
    /// A new one, to the pages of `cluster`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn issue(&self, cluster: ClusterName) -> io::Result<String> {
        let mut bytes = [0; BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let ticket: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut tickets = self.lock();
        if tickets.len() >= TICKETS_MAX {
            tickets.retain(|_, (_, at)| at.elapsed() < LIFE);
        }
        if tickets.len() >= TICKETS_MAX
            && let Some(oldest) =
                tickets.iter().min_by_key(|(_, (_, at))| *at).map(|(ticket, _)| ticket.clone())
        {
            tickets.remove(&oldest);
        }
        tickets.insert(ticket.clone(), (cluster, Instant::now()));
        Ok(ticket)
    }

    /// The cluster whose pages `ticket` opens, when it is the one of this name.
    pub(crate) fn opens(&self, ticket: &str, namespace: &str, name: &str) -> Option<ClusterName> {
        let tickets = self.lock();
        let (cluster, at) = tickets.get(ticket)?;
        let is_it = &*cluster.namespace == namespace && &*cluster.name == name;
        (is_it && at.elapsed() < LIFE).then(|| cluster.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (ClusterName, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str) -> ClusterName {
        ClusterName { namespace: "n".into(), name: name.into(), rest_port: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_opens_one_cluster_for_a_while() {
        let tickets = Tickets::default();
        let ticket = tickets.issue(cluster("a")).expect("random bytes");
        assert_ne!(ticket, tickets.issue(cluster("a")).expect("random bytes"));
        assert_eq!(tickets.opens(&ticket, "n", "a"), Some(cluster("a")));
        for (namespace, name) in [("n", "b"), ("m", "a")] {
            assert_eq!(tickets.opens(&ticket, namespace, name), None);
        }
        assert_eq!(tickets.opens("guess", "n", "a"), None);
        tokio::time::advance(LIFE).await;
        assert_eq!(tickets.opens(&ticket, "n", "a"), None);
    }
}
