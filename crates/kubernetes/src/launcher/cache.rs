//! What watches tell of all clusters, so that a glance costs nothing. Refuses to say anything of what it has not listed
//! yet, and is never the ground for an act: those look at the source.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drey_engine::Target;
use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::judge::Found;
use super::record::{DeploymentRecord, PartRecord, PodRecord, label};
use crate::cluster::APP_LABEL;

/// Selects what belongs to Flink clusters, whoever made them.
pub(crate) const CLUSTERS: &str = "type in (flink-native-kubernetes,flink-standalone-kubernetes)";
/// Selects ConfigMaps and Services that we made. Those in which Flink keeps its high-availability data change every few
/// seconds and are not among them.
pub(crate) const OWN_PARTS: &str = "app.kubernetes.io/managed-by=drey";

/// How many objects one page of a list holds: pods are large, and each page is a request that the next one waits for.
const PAGE: u32 = 250;

/// Namespace and cluster id.
type ClusterKey = (Arc<str>, Arc<str>);

/// What an object adds to what is known of its cluster.
#[derive(Clone, Debug)]
enum Record {
    Deployment(DeploymentRecord),
    Pod(PodRecord),
    Part(PartRecord),
}

/// A kind of object in one watched scope. Each is listed on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Deployment,
    Pod,
    ConfigMap,
    Service,
}

const KINDS: [Kind; 4] = [Kind::Deployment, Kind::Pod, Kind::ConfigMap, Kind::Service];

/// A watch: a kind in a namespace, or in all of them.
type Watch = (Kind, Option<Arc<str>>);

#[derive(Debug, Default)]
struct Known {
    clusters: HashMap<ClusterKey, BTreeMap<(u8, Arc<str>), Record>>,
    unlisted: HashSet<Watch>,
    /// Objects seen in a list that is not complete.
    relisted: HashMap<Watch, HashSet<(ClusterKey, Arc<str>)>>,
}

/// Everything that watches have told.
#[derive(Debug)]
pub(crate) struct Cache {
    scopes: Vec<Option<String>>,
    known: Mutex<Known>,
    /// Whether everything was listed once.
    is_listed: watch::Sender<bool>,
    changes: broadcast::Sender<Target>,
}

impl Cache {
    /// A cache that knows nothing yet, of these namespaces; `None` stands for all.
    pub(crate) fn new(scopes: &[Option<String>], changes: broadcast::Sender<Target>) -> Cache {
        let unlisted =
            scopes.iter().flat_map(|scope| KINDS.map(|kind| (kind, shared_scope(scope)))).collect();
        Cache {
            scopes: scopes.to_vec(),
            known: Mutex::new(Known { unlisted, ..Known::default() }),
            is_listed: watch::Sender::new(false),
            changes,
        }
    }

    /// Waits until everything was listed once, at most until `until`.
    pub(crate) async fn listed_by(&self, until: Instant) {
        let mut listed = self.is_listed.subscribe();
        // Too late is no failure: whoever asks then looks at the source.
        let _ = tokio::time::timeout_at(until, listed.wait_for(|listed| *listed)).await;
    }

    /// What is known of a cluster; `None` before everything was listed once, and in namespaces that are not watched.
    pub(crate) fn found(&self, namespace: &str, name: &str) -> Option<Found> {
        let is_watched =
            self.scopes.iter().any(|scope| scope.as_deref().is_none_or(|scope| scope == namespace));
        let known = self.lock();
        if !is_watched || !known.unlisted.is_empty() {
            return None;
        }
        let mut found = Found::default();
        let Some(records) = known.clusters.get(&(Arc::from(namespace), Arc::from(name))) else {
            return Some(found);
        };
        for record in records.values() {
            match record.clone() {
                Record::Deployment(deployment) if deployment.is_task_managers => {
                    found.task_managers = Some(deployment);
                }
                Record::Deployment(deployment) => found.job_manager = Some(deployment),
                Record::Pod(pod) => found.pods.push(pod),
                Record::Part(part) => found.parts.push(part),
            }
        }
        Some(found)
    }

    /// Follows everything in one scope, for ever.
    pub(crate) async fn follow(self: Arc<Cache>, client: Client, scope: Option<String>) {
        let clusters = || watcher::Config::default().labels(CLUSTERS).page_size(PAGE);
        let parts = || watcher::Config::default().labels(OWN_PARTS).page_size(PAGE);
        let at = |kind| (kind, shared_scope(&scope));
        tokio::join!(
            self.listen(
                at(Kind::Deployment),
                watcher(api::<Deployment>(&client, scope.as_deref()), clusters()),
                |object| DeploymentRecord::of(object).map(Record::Deployment),
            ),
            self.listen(
                at(Kind::Pod),
                watcher(api::<Pod>(&client, scope.as_deref()), clusters()),
                |object| { PodRecord::of(object).map(Record::Pod) }
            ),
            self.listen(
                at(Kind::ConfigMap),
                watcher(api::<PartialObjectMeta<ConfigMap>>(&client, scope.as_deref()), parts()),
                |object: &PartialObjectMeta<ConfigMap>| PartRecord::of("ConfigMap", object).map(Record::Part),
            ),
            self.listen(
                at(Kind::Service),
                watcher(api::<PartialObjectMeta<Service>>(&client, scope.as_deref()), parts()),
                |object: &PartialObjectMeta<Service>| PartRecord::of("Service", object).map(Record::Part),
            ),
        );
    }

    async fn listen<K: Resource + Clone>(
        &self,
        watch: Watch,
        events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
        record: impl Fn(&K) -> Option<Record>,
    ) {
        let mut events = std::pin::pin!(events.default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.hear(&watch, event, &record),
                Err(error) => tracing::warn!(kind = ?watch.0, %error, "watching the objects of clusters"),
            }
        }
    }

    fn hear<K: Resource>(&self, watch: &Watch, event: Event<K>, record: &impl Fn(&K) -> Option<Record>) {
        match event {
            Event::Init => drop(self.lock().relisted.insert(watch.clone(), HashSet::new())),
            Event::InitApply(object) => {
                if let Some(place) = self.put(watch.0, object.meta(), record(&object)) {
                    self.lock().relisted.entry(watch.clone()).or_default().insert(place);
                }
            }
            Event::InitDone => self.listed(watch),
            Event::Apply(object) => drop(self.put(watch.0, object.meta(), record(&object))),
            Event::Delete(object) => {
                if let Some((cluster, name)) = place(object.meta()) {
                    let mut known = self.lock();
                    known.forget(&cluster, watch.0, &name);
                    drop(known);
                    self.announce(&cluster);
                }
            }
        }
    }

    fn put(&self, kind: Kind, meta: &ObjectMeta, record: Option<Record>) -> Option<(ClusterKey, Arc<str>)> {
        let (cluster, name) = place(meta)?;
        let record = record?;
        let mut known = self.lock();
        let complete = known.unlisted.is_empty();
        known.clusters.entry(cluster.clone()).or_default().insert((kind as u8, name.clone()), record);
        drop(known);
        if complete {
            self.announce(&cluster);
        }
        Some((cluster, name))
    }

    /// A list is complete: what it did not hold is gone. Once all are, everybody looks again.
    fn listed(&self, watch: &Watch) {
        let mut known = self.lock();
        let seen = known.relisted.remove(watch).unwrap_or_default();
        let gone: Vec<(ClusterKey, Arc<str>)> = known
            .clusters
            .iter()
            .filter(|((namespace, _), _)| watch.1.as_ref().is_none_or(|scope| scope == namespace))
            .flat_map(|(cluster, records)| {
                records
                    .keys()
                    .filter(|(kind, _)| *kind == watch.0 as u8)
                    .map(|(_, name)| (cluster.clone(), name.clone()))
            })
            .filter(|place| !seen.contains(place))
            .collect();
        for (cluster, name) in &gone {
            known.forget(cluster, watch.0, name);
        }
        let was_complete = known.unlisted.is_empty();
        known.unlisted.remove(watch);
        let completed = !was_complete && known.unlisted.is_empty();
        let all: Vec<ClusterKey> =
            if completed { known.clusters.keys().cloned().collect() } else { Vec::new() };
        drop(known);
        if completed {
            self.is_listed.send_replace(true);
        }
        for cluster in all.iter().chain(gone.iter().map(|(cluster, _)| cluster)) {
            self.announce(cluster);
        }
    }

    fn announce(&self, (namespace, name): &ClusterKey) {
        // Nobody listening is no failure.
        let _ = self.changes.send(Target {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: Arc::from(""),
        });
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self, cluster: &ClusterKey, kind: Kind, name: &Arc<str>) {
        if let Some(records) = self.clusters.get_mut(cluster) {
            records.remove(&(kind as u8, name.clone()));
            if records.is_empty() {
                self.clusters.remove(cluster);
            }
        }
    }
}

fn shared_scope(scope: &Option<String>) -> Option<Arc<str>> {
    scope.as_deref().map(Arc::from)
}

/// The cluster that an object belongs to, and the object's name.
fn place(meta: &ObjectMeta) -> Option<(ClusterKey, Arc<str>)> {
    let cluster = label(meta, APP_LABEL)?;
    Some(((Arc::from(meta.namespace.as_deref()?), Arc::from(cluster)), Arc::from(meta.name.as_deref()?)))
}

fn api<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use super::*;

    fn cache(scopes: &[Option<String>]) -> (Cache, broadcast::Receiver<Target>) {
        let (changes, heard) = broadcast::channel(16);
        (Cache::new(scopes, changes), heard)
    }

    fn meta(namespace: &str, cluster: &str, name: &str) -> ObjectMeta {
        ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            uid: Some(format!("uid-of-{name}")),
            labels: Some(Map::from([(APP_LABEL.to_owned(), cluster.to_owned())])),
            ..ObjectMeta::default()
        }
    }

    fn pod(cluster: &str, name: &str) -> Pod {
        Pod { metadata: meta("jobs", cluster, name), ..Pod::default() }
    }

    fn hear_pods(cache: &Cache, events: impl IntoIterator<Item = Event<Pod>>) {
        for event in events {
            cache.hear(&(Kind::Pod, None), event, &|pod| PodRecord::of(pod).map(Record::Pod));
        }
    }

    fn list_nothing_else(cache: &Cache) {
        for kind in [Kind::Deployment, Kind::ConfigMap, Kind::Service] {
            cache.listed(&(kind, None));
        }
    }

    fn pods(cache: &Cache, cluster: &str) -> Vec<String> {
        let found = cache.found("jobs", cluster).expect("everything was listed");
        found.pods.iter().map(|pod| pod.name.to_string()).collect()
    }

    fn names(heard: &mut broadcast::Receiver<Target>) -> Vec<String> {
        std::iter::from_fn(|| heard.try_recv().ok()).map(|target| target.name.to_string()).collect()
    }

    #[test]
    fn nothing_is_said_before_all_was_listed() {
        let (cache, mut heard) = cache(&[None]);
        hear_pods(&cache, [Event::Init, Event::InitApply(pod("led", "led-1")), Event::InitDone]);
        assert_eq!(cache.found("jobs", "led"), None, "Deployments are not listed yet");
        assert_eq!(names(&mut heard), [""; 0]);
        list_nothing_else(&cache);
        assert_eq!(pods(&cache, "led"), ["led-1"]);
        assert_eq!(pods(&cache, "other"), [""; 0]);
        assert_eq!(names(&mut heard), ["led"], "everybody looks again once all is listed");
    }

    #[test]
    fn a_list_that_is_made_anew_drops_what_it_does_not_hold() {
        let (cache, mut heard) = cache(&[None]);
        let first = ["led-1", "led-2"].map(|name| Event::InitApply(pod("led", name)));
        hear_pods(&cache, [Event::Init].into_iter().chain(first).chain([Event::InitDone]));
        list_nothing_else(&cache);
        names(&mut heard);
        hear_pods(&cache, [Event::Init, Event::InitApply(pod("led", "led-2"))]);
        assert_eq!(pods(&cache, "led"), ["led-1", "led-2"], "the list is not complete");
        names(&mut heard);
        hear_pods(&cache, [Event::InitDone]);
        assert_eq!(pods(&cache, "led"), ["led-2"]);
        assert_eq!(names(&mut heard), ["led"]);
    }

    #[test]
    fn changes_are_told_and_what_is_deleted_is_forgotten() {
        let (cache, mut heard) = cache(&[None]);
        hear_pods(&cache, [Event::Init, Event::InitDone]);
        list_nothing_else(&cache);
        hear_pods(&cache, [Event::Apply(pod("led", "led-1"))]);
        assert_eq!(
            (pods(&cache, "led"), names(&mut heard)),
            (vec!["led-1".to_owned()], vec!["led".to_owned()])
        );
        hear_pods(&cache, [Event::Delete(pod("led", "led-1"))]);
        assert_eq!((pods(&cache, "led"), names(&mut heard)), (vec![], vec!["led".to_owned()]));
        assert!(cache.lock().clusters.is_empty(), "nothing is kept of a cluster that is gone");
    }

    #[test]
    fn namespaces_that_are_not_watched_are_not_answered_for() {
        let (cache, _heard) = cache(&[Some("jobs".to_owned())]);
        for kind in KINDS {
            cache.listed(&(kind, Some(Arc::from("jobs"))));
        }
        assert!(cache.found("jobs", "led").is_some());
        assert_eq!(cache.found("elsewhere", "led"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_lists_are_waited_for_but_not_for_ever() {
        let (cache, _heard) = cache(&[None]);
        let began = Instant::now();
        cache.listed_by(began + std::time::Duration::from_secs(10)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        hear_pods(&cache, [Event::Init, Event::InitDone]);
        list_nothing_else(&cache);
        let complete = Instant::now();
        cache.listed_by(complete + std::time::Duration::from_secs(10)).await;
        assert_eq!(complete.elapsed().as_secs(), 0);
    }
}
