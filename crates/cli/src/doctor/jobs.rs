//! The deployments: whether somebody acts on them, and whether they may start.

use std::collections::BTreeMap;
use std::path::Path;

use drey_api::kinds::FlinkDeployment;
use drey_api::story::Story;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::Value;

use super::{Finding, Verdict, storage};

const CHECK: &str = "deployments";
/// How long a resource may be there before somebody has written its status, or has let it go.
const PATIENCE_S: i64 = 60;
/// The most that are looked at.
const RESOURCES_MAX: u32 = 500;

/// Looks at the deployments of `namespace`, or of all. A `state_directory` is that of laptop mode.
pub async fn look(client: &Client, namespace: Option<&str>, state_directory: Option<&Path>) -> Vec<Finding> {
    let kind = ApiResource::erase::<FlinkDeployment>(&());
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let found = match api.list(&ListParams::default().limit(RESOURCES_MAX)).await {
        Ok(found) => found,
        Err(kube::Error::Api(status)) if status.code == 404 => return Vec::new(),
        Err(error) => return vec![Finding::unknown(CHECK, "FlinkDeployments", &error)],
    };
    let is_more = found.metadata.continue_.is_some_and(|token| !token.is_empty());
    let objects: Vec<Value> =
        found.items.into_iter().filter_map(|object| serde_json::to_value(object).ok()).collect();
    let mut findings: Vec<Finding> =
        objects.iter().flat_map(|object| judge(object, Timestamp::now())).collect();
    match state_directory {
        Some(root) => findings.extend(storage::on_this_machine(&objects, root)),
        None => {
            findings.extend(objects.iter().flat_map(storage::in_cluster));
            findings.extend(accounts(client, &objects).await);
        }
    }
    if is_more {
        let message = format!("only the first {RESOURCES_MAX} were looked at");
        findings.push(Finding::new(CHECK, Verdict::Note, message).fix("name a namespace with `-n`"));
    }
    if findings.iter().all(|finding| finding.check != CHECK) {
        let message = match objects.len() {
            0 => "there are none".to_owned(),
            count => format!("nothing is wrong with the {count} that there are"),
        };
        findings.push(Finding::new(CHECK, Verdict::Ok, message));
    }
    findings
}

/// Service accounts that are named and not there, each with the deployments that name it.
async fn accounts(client: &Client, objects: &[Value]) -> Vec<Finding> {
    let mut named: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for object in objects {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
        if let (Some(namespace), Some(account)) = (text("/metadata/namespace"), text("/spec/serviceAccount"))
        {
            named.entry((namespace, account)).or_default().extend(text("/metadata/name"));
        }
    }
    let mut findings = Vec::new();
    for ((namespace, account), names) in named {
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        match accounts.get_metadata_opt(&account).await {
            Ok(Some(_)) => {}
            Ok(None) => findings.push(
                Finding::new(CHECK, Verdict::Wrong, format!("is named by {} and does not exist", names.join(", ")))
                    .on(format!("serviceaccount/{account} in {namespace}"))
                    .fix(format!(
                        "kubectl create serviceaccount {account} --namespace {namespace}, and bind it to the role of jobs: the chart does both for its `watchNamespaces`"
                    )),
            ),
            Err(error) => {
                findings.push(Finding::unknown(CHECK, &format!("service accounts of {namespace}"), &error));
                break;
            }
        }
    }
    findings
}

fn judge(object: &Value, now: Timestamp) -> Vec<Finding> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let (name, namespace) =
        (text("/metadata/name").unwrap_or_default(), text("/metadata/namespace").unwrap_or_default());
    let waits = |path: &str| {
        let since: Option<Timestamp> = text(path).and_then(|at| at.parse().ok());
        since.is_some_and(|since| now.as_second() - since.as_second() > PATIENCE_S)
    };
    let found = |verdict, message: String| {
        Finding::new(CHECK, verdict, message).on(format!("flinkdeployment/{name} in {namespace}"))
    };
    let look = format!("drey describe {name} --namespace {namespace}");
    let mut findings = Vec::new();
    if waits("/metadata/deletionTimestamp") {
        let message = "is to be deleted, and its operator does not let it go".to_owned();
        findings.push(found(Verdict::Wrong, message).fix(format!("{look}; see whether its operator runs")));
    } else if object.get("status").is_none_or(Value::is_null) && waits("/metadata/creationTimestamp") {
        let message = "nobody has looked at it yet".to_owned();
        let fix = format!("see whether an operator runs that watches namespace {namespace}");
        findings.push(found(Verdict::Wrong, message).fix(fix));
    }
    match Story::read(object) {
        Ok(story) => {
            if let Some(stalled) = story.stalled() {
                let why = stalled.message.as_deref().unwrap_or("its conditions say no more");
                findings.push(found(Verdict::Wrong, format!("needs a person: {why}")).fix(look));
            }
        }
        Err(error) => findings.push(found(Verdict::Wrong, format!("cannot be read: {error}")).fix(look)),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(object: &Value) -> Vec<String> {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().expect("a time");
        judge(object, now).into_iter().map(|finding| finding.message).collect()
    }

    fn job(configuration: &Value, pod: &Value) -> Value {
        json!({ "metadata": { "name": "a", "namespace": "n", "creationTimestamp": "2026-01-01T00:59:50Z" },
            "spec": { "flinkConfiguration": configuration, "podTemplate": pod, "job": { "upgradeMode": "savepoint" } } })
    }

    #[test]
    fn who_is_left_alone_is_found_after_a_minute() {
        let mut object = job(&json!({}), &json!({}));
        assert!(messages(&object).is_empty());
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:58:00Z");
        assert_eq!(messages(&object), ["nobody has looked at it yet"]);
        object["status"] = json!({ "conditions": [
            { "type": "Stalled", "status": "True", "message": "the savepoint is gone", "reason": "x",
              "lastTransitionTime": "2026-01-01T00:59:00Z" }] });
        assert_eq!(messages(&object), ["needs a person: the savepoint is gone"]);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:58:00Z");
        assert_eq!(messages(&object).len(), 2);
    }
}
