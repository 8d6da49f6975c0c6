//! Flink's high-availability store of one cluster id, in ConfigMaps: read live when a decision needs it, and changed
//! only with preconditions. Refuses to keep what it read.
//!
//! The ConfigMaps carry the labels `app=<cluster id>` and `type=flink-native-kubernetes`, and are named
//! `<cluster id>-cluster-config-map` and `<cluster id>-<job id>-config-map`. Flink 1.x also labels them
//! `configmap-type=high-availability`; Flink 2.1 was seen not to. Flink before 1.17 could be told to make one
//! ConfigMap per component, whose names begin with the cluster id as well.

use std::sync::Arc;

use drey_core::observed::{HighAvailability, JobStore};
use drey_core::{JobId, Seen};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use crate::act::Outcome;
use crate::object::Key;

/// Reads the store. Every failure is `Unknown`.
pub(crate) async fn read(client: &Client, key: &Key) -> Seen<HighAvailability> {
    let selector = format!("app={},type=flink-native-kubernetes", key.name);
    // Without a resourceVersion the list is read from the store itself, not from a cache of the API server.
    let params = ListParams::default().labels(&selector);
    match api(client, key).list(&params).await {
        Ok(maps) => interpret(&key.name, &maps.items),
        Err(error) => {
            tracing::warn!(resource = %key, %error, "the high-availability ConfigMaps could not be listed");
            Seen::Unknown
        }
    }
}

fn interpret(cluster_id: &str, maps: &[ConfigMap]) -> Seen<HighAvailability> {
    let mut store = HighAvailability::default();
    for map in maps {
        let (Some(name), Some(uid), Some(version)) =
            (&map.metadata.name, &map.metadata.uid, &map.metadata.resource_version)
        else {
            return Seen::Unknown;
        };
        let Some(rest) = name.strip_prefix(cluster_id).and_then(|rest| rest.strip_prefix('-')) else {
            // Somebody else's ConfigMap with our labels, or one of configuration.
            continue;
        };
        if !is_labelled(map) && rest != "cluster-config-map" && job_id_of(rest).is_none() {
            continue;
        }
        let name: Arc<str> = Arc::from(name.as_str());
        store.maps.push((name.clone(), Arc::from(uid.as_str())));
        if job_graph_keys(map).next().is_some() {
            store.job_graphs.push((name, Arc::from(version.as_str())));
        }
        if let Some(job_id) = job_id_of(rest) {
            store.jobs.push(JobStore {
                job_id,
                newest_checkpoint_id: newest_checkpoint_id(map),
                created_at_ms: map
                    .metadata
                    .creation_timestamp
                    .as_ref()
                    .map_or(0, |time| time.0.as_millisecond()),
            });
        }
    }
    if store.maps.is_empty() { Seen::Absent } else { Seen::Present(store) }
}

fn is_labelled(map: &ConfigMap) -> bool {
    let labels = map.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get("configmap-type")).is_some_and(|value| value == "high-availability")
}

/// The job id in `<job id>-config-map`, or in `<job id>-jobmanager-leader` of older Flink.
fn job_id_of(rest: &str) -> Option<JobId> {
    let id = rest.strip_suffix("-config-map").or_else(|| rest.strip_suffix("-jobmanager-leader"))?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| JobId::new(id))
}

fn newest_checkpoint_id(map: &ConfigMap) -> Option<u64> {
    let keys = map.data.iter().flat_map(|data| data.keys());
    keys.filter_map(|key| key.strip_prefix("checkpointID-")?.parse().ok()).max()
}

/// The keys that make a JobManager start the job as it was submitted earlier (`executionPlan-` since Flink 2.0).
fn job_graph_keys(map: &ConfigMap) -> impl Iterator<Item = &String> {
    let keys = map.data.iter().flat_map(|data| data.keys());
    keys.filter(|key| key.starts_with("jobGraph-") || key.starts_with("executionPlan-"))
}

/// Deletes exactly these ConfigMaps, each only while it has the uid that was seen.
pub(crate) async fn delete(client: &Client, key: &Key, maps: &[(Arc<str>, Arc<str>)]) -> Outcome {
    for (name, uid) in maps {
        let preconditions = Preconditions { uid: Some(uid.to_string()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match api(client, key).delete(name, &params).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Outcome::of_kube(&format!("deleting ConfigMap `{name}`"), &error),
        }
    }
    Outcome::Done
}

/// Removes the job graphs from these ConfigMaps, each only while it is at the version that was seen.
pub(crate) async fn strip_job_graphs(client: &Client, key: &Key, maps: &[(Arc<str>, Arc<str>)]) -> Outcome {
    for (name, version) in maps {
        let done = strip_one(client, key, name, version).await;
        if done != Outcome::Done {
            return done;
        }
    }
    Outcome::Done
}

async fn strip_one(client: &Client, key: &Key, name: &str, version: &str) -> Outcome {
    let what = format!("removing the job graph from ConfigMap `{name}`");
    let map = match api(client, key).get(name).await {
        Ok(map) => map,
        Err(error) => return Outcome::of_kube(&what, &error),
    };
    if map.metadata.resource_version.as_deref() != Some(version) {
        return Outcome::Refused(format!("{what}: it has changed since it was looked at"));
    }
    let nulls: Map<String, Value> = job_graph_keys(&map).map(|key| (key.clone(), Value::Null)).collect();
    let patch = json!({ "metadata": { "resourceVersion": version }, "data": nulls });
    match api(client, key).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::of_kube(&what, &error),
    }
}

fn api(client: &Client, key: &Key) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), &key.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "00000000000000000000000000000abc";

    fn map(name: &str, keys: &[&str]) -> ConfigMap {
        let data: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!("x"))).collect();
        serde_json::from_value(json!({
            "metadata": {
                "name": name, "uid": format!("uid-{name}"), "resourceVersion": "9",
                "creationTimestamp": "2026-01-01T00:00:01Z",
            },
            "data": data,
        }))
        .unwrap()
    }

    #[test]
    fn the_store_of_a_job_has_its_newest_checkpoint() {
        let maps = [
            map(
                "a-cluster-config-map",
                &[&format!("jobGraph-{JOB}"), "org.apache.flink.k8s.leader.dispatcher"],
            ),
            map(
                &format!("a-{JOB}-config-map"),
                &["checkpointID-0000000000000000009", "checkpointID-0000000000000000010", "counter"],
            ),
        ];
        let Seen::Present(store) = interpret("a", &maps) else { panic!("two maps are there") };
        assert_eq!(store.maps.len(), 2);
        assert_eq!(store.job_graphs, vec![("a-cluster-config-map".into(), "9".into())]);
        let job = store.job(&JobId::new(JOB)).unwrap();
        assert_eq!(job.newest_checkpoint_id, Some(10));
        assert_eq!(job.created_at_ms, 1_767_225_601_000);
    }

    #[test]
    fn a_job_without_a_checkpoint_has_a_store_without_one() {
        let Seen::Present(store) = interpret("a", &[map(&format!("a-{JOB}-config-map"), &["counter"])])
        else {
            panic!("a map is there")
        };
        assert_eq!(store.job(&JobId::new(JOB)).unwrap().newest_checkpoint_id, None);
        assert!(store.job_graphs.is_empty());
    }

    #[test]
    fn other_clusters_maps_are_not_ours() {
        assert_eq!(interpret("a", &[map("ab-cluster-config-map", &[])]), Seen::Absent);
        assert_eq!(interpret("a", &[map("a-settings", &[])]), Seen::Absent);
        assert_eq!(interpret("a", &[]), Seen::Absent);
    }

    #[test]
    fn an_execution_plan_is_a_job_graph() {
        let maps = [map("a-cluster-config-map", &[&format!("executionPlan-{JOB}")])];
        let Seen::Present(store) = interpret("a", &maps) else { panic!("a map is there") };
        assert_eq!(store.job_graphs.len(), 1);
    }
}
