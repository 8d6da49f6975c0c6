//! The ValidatingAdmissionPolicy of the chart, on a real API server: it refuses what drey's own validation refuses, with
//! the same words, and lets pass what that lets pass.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use drey_api::defaults::Defaults;
use drey_api::desired::{self, Context};
use drey_api::kinds::FlinkDeploymentSpec;
use drey_api::reconciled;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::helm::Helm;
use super::served;

const NAME: &str = "policy-case";
const NAMESPACE: &str = "flink-a";
/// What is changed in a valid spec, and whether the resource was deployed with the valid one before.
struct Case {
    what: &'static str,
    deployed: bool,
    change: fn(&mut Value),
}

const CASES: &[Case] = &[
    Case { what: "nothing", deployed: false, change: |_| {} },
    Case { what: "no version", deployed: false, change: |spec| remove(spec, "flinkVersion") },
    Case { what: "an old version", deployed: false, change: |spec| spec["flinkVersion"] = json!("v1_14") },
    Case {
        what: "a key that follows from the name",
        deployed: false,
        change: |spec| spec["flinkConfiguration"]["kubernetes.cluster-id"] = json!("other"),
    },
    Case { what: "an ingress without template", deployed: false, change: |spec| spec["ingress"] = json!({}) },
    Case {
        what: "an unknown file of logging",
        deployed: false,
        change: |spec| spec["logConfiguration"] = json!({ "log4j.xml": "" }),
    },
    Case {
        what: "a known file of logging",
        deployed: false,
        change: |spec| spec["logConfiguration"] = json!({ "log4j-console.properties": "" }),
    },
    Case { what: "no parallelism", deployed: false, change: |spec| spec["job"]["parallelism"] = json!(0) },
    Case {
        what: "no parallelism, and replicas",
        deployed: false,
        change: |spec| {
            spec["job"]["parallelism"] = json!(0);
            spec["taskManager"]["replicas"] = json!(2);
        },
    },
    Case {
        what: "no TaskManagers",
        deployed: false,
        change: |spec| spec["taskManager"]["replicas"] = json!(0),
    },
    Case { what: "no account", deployed: false, change: |spec| remove(spec, "serviceAccount") },
    Case { what: "the job removed", deployed: true, change: |spec| remove(spec, "job") },
    Case { what: "another mode", deployed: true, change: |spec| spec["mode"] = json!("standalone") },
    Case { what: "the mode said", deployed: true, change: |spec| spec["mode"] = json!("native") },
    Case {
        what: "another parallelism",
        deployed: true,
        change: |spec| spec["job"]["parallelism"] = json!(3),
    },
    Case {
        what: "redeployed from nowhere",
        deployed: true,
        change: |spec| spec["job"]["savepointRedeployNonce"] = json!(1),
    },
    Case {
        what: "redeployed from a savepoint",
        deployed: true,
        change: |spec| {
            spec["job"]["savepointRedeployNonce"] = json!(1);
            spec["job"]["initialSavepointPath"] = json!("s3://bucket/savepoint");
        },
    },
];

fn remove(spec: &mut Value, field: &str) {
    spec.as_object_mut().expect("a spec is an object").remove(field);
}

/// Applies the policy and tries every case.
pub(crate) async fn holds(helm: &Helm, client: &Client) -> Vec<(String, Result<()>)> {
    let applied = apply(helm, client).await;
    if applied.is_err() {
        return vec![("the policy".to_owned(), applied)];
    }
    let mut outcomes = Vec::new();
    for case in CASES {
        outcomes.push((format!("the policy: {}", case.what), agrees(client, case).await));
    }
    outcomes
}

async fn apply(helm: &Helm, client: &Client) -> Result<()> {
    served::define(client).await?;
    let objects = helm.template_with("webhook.create=false,validatingAdmissionPolicy.create=true")?;
    for kind in ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
        let object = objects.of_kind(kind).next().with_context(|| format!("there is no {kind}"))?;
        let resource =
            ApiResource::from_gvk(&GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind));
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        Api::<DynamicObject>::all_with(client.clone(), &resource)
            .create(&PostParams::default(), &object)
            .await?;
    }
    let mut without_version = valid();
    remove(&mut without_version, "flinkVersion");
    served::until("the policy to count", async || {
        said(client, &without_version).await.is_ok_and(|refusal| refusal.is_some())
    })
    .await
}

fn valid() -> Value {
    json!({
        "image": "flink:1.20", "flinkVersion": "v1_20", "serviceAccount": "flink",
        "flinkConfiguration": { "taskmanager.numberOfTaskSlots": "2" },
        "jobManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
        "taskManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
        "job": { "jarURI": "local:///job.jar", "parallelism": 2, "upgradeMode": "stateless" },
    })
}

fn api(client: &Client) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
    Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk(&gvk))
}

fn resource(spec: &Value) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment",
        "metadata": { "name": NAME, "namespace": NAMESPACE }, "spec": spec,
    }))?)
}

/// What the API server says to a new resource with this spec; nothing is kept of it.
async fn said(client: &Client, spec: &Value) -> Result<Option<String>> {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    refusal(api(client).create(&dry, &resource(spec)?).await)
}

fn refusal<T>(outcome: kube::Result<T>) -> Result<Option<String>> {
    match outcome {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.message.contains("ValidatingAdmissionPolicy") => {
            Ok(Some(status.message))
        }
        Err(error) => bail!("neither taken nor refused by the policy: {error}"),
    }
}

/// What drey says to it.
fn expected(spec: &Value, last: Option<&Value>) -> Result<Option<String>> {
    let spec: FlinkDeploymentSpec = serde_json::from_value(spec.clone())?;
    let last = last.map(|last| {
        json!({ "spec": last, "resource_metadata": { "apiVersion": "flink.apache.org/v1beta1" } }).to_string()
    });
    let last = last.map(|text| reconciled::decode(&text)).transpose()?;
    let defaults = Defaults::new(BTreeMap::new());
    let context = Context { namespace: NAMESPACE, name: NAME, defaults: &defaults, last: last.as_ref() };
    Ok(desired::parse(&spec, &context)
        .err()
        .and_then(|invalid| invalid.errors.into_iter().next())
        .map(|first| first.message))
}

async fn agrees(client: &Client, case: &Case) -> Result<()> {
    let mut spec = valid();
    (case.change)(&mut spec);
    let last = valid();
    let heard = if case.deployed { edited(client, &last, &spec).await? } else { said(client, &spec).await? };
    let expected = expected(&spec, case.deployed.then_some(&last))?;
    match (&heard, &expected) {
        (None, None) => Ok(()),
        (Some(heard), Some(expected)) if heard.contains(expected.as_str()) => Ok(()),
        _ => bail!("the policy says {heard:?}, and drey {expected:?}"),
    }
}

/// What the API server says to an edit of a resource that is deployed.
async fn edited(client: &Client, last: &Value, spec: &Value) -> Result<Option<String>> {
    let api = api(client);
    api.create(&PostParams::default(), &resource(last)?).await?;
    let status = json!({ "status": { "reconciliationStatus": { "lastReconciledSpec": "{}" } } });
    api.patch_status(NAME, &PatchParams::default(), &Patch::Merge(status)).await?;
    let mut wanted = resource(spec)?;
    wanted.metadata.resource_version = api.get(NAME).await?.metadata.resource_version;
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let heard = refusal(api.replace(NAME, &dry, &wanted).await);
    api.delete(NAME, &DeleteParams::default()).await?;
    served::until("the case to go", async || matches!(api.get_opt(NAME).await, Ok(None))).await?;
    heard
}
