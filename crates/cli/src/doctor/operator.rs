//! The operator: whether one runs, and whether it is one.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::{Finding, Verdict};

const CHECK: &str = "operator";
/// What the charts of drey and of the Java operator label their Deployment with.
pub(crate) const SELECTOR: &str = "app.kubernetes.io/name=flink-kubernetes-operator";

/// Looks for operators in all namespaces.
pub async fn look(client: &Client) -> Vec<Finding> {
    let api: Api<Deployment> = Api::all(client.clone());
    match api.list(&ListParams::default().labels(SELECTOR)).await {
        Ok(found) => judge(&found.items),
        Err(error) => vec![Finding::unknown(CHECK, "Deployments of all namespaces", &error)],
    }
}

fn judge(found: &[Deployment]) -> Vec<Finding> {
    if found.is_empty() {
        let message = format!(
            "no Deployment has the label {SELECTOR}: nobody acts on resources, unless an operator runs elsewhere"
        );
        let fix = "helm install drey charts/drey-operator, or `drey operator` with a kubeconfig";
        return vec![Finding::new(CHECK, Verdict::Wrong, message).fix(fix)];
    }
    let mut findings: Vec<Finding> = found.iter().map(one).collect();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(name).collect();
        let message = format!("there are {}: {}", found.len(), names.join(", "));
        let fix = "give each its own namespaces (`watchNamespaces`), or take one away";
        findings.push(Finding::new(CHECK, Verdict::Note, message).fix(fix));
    }
    findings
}

fn name(deployment: &Deployment) -> String {
    format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any())
}

fn one(deployment: &Deployment) -> Finding {
    let pod = deployment.spec.template.spec.as_ref();
    let image = pod.and_then(|pod| pod.containers.first()?.image.clone()).unwrap_or_default();
    let status = deployment.status.as_ref();
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or_default();
    let namespace = deployment.namespace().unwrap_or_default();
    let finding = if ready > 0 {
        Finding::new(CHECK, Verdict::Ok, format!("{ready} ready, image {image}"))
    } else {
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let why = conditions.iter().find(|condition| condition.status.as_deref() != Some("True"));
        let why = why.and_then(|condition| condition.message.clone());
        let message =
            format!("none of its pods is ready: {}", why.unwrap_or_else(|| format!("image {image}")));
        let fix = format!("kubectl --namespace {namespace} describe pods -l {SELECTOR}");
        Finding::new(CHECK, Verdict::Wrong, message).fix(fix)
    };
    finding.on(format!("deployment/{} in {namespace}", deployment.name_any()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn none_one_and_two_operators() {
        let operator = |namespace: &str, ready: i32| -> Deployment {
            serde_json::from_value(json!({
                "metadata": { "name": "o", "namespace": namespace },
                "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "o", "image": "drey:1" }] } } },
                "status": { "readyReplicas": ready, "conditions": [
                    { "type": "Available", "status": if ready > 0 { "True" } else { "False" }, "message": "no quota" }] },
            }))
            .expect("a Deployment")
        };
        let verdicts = |found: &[Deployment]| -> Vec<Verdict> {
            judge(found).iter().map(|finding| finding.verdict).collect()
        };
        assert_eq!(verdicts(&[]), [Verdict::Wrong]);
        assert_eq!(verdicts(&[operator("a", 1)]), [Verdict::Ok]);
        assert_eq!(
            verdicts(&[operator("a", 1), operator("b", 1)]),
            [Verdict::Ok, Verdict::Ok, Verdict::Note]
        );
        let [finding] = &judge(&[operator("a", 0)])[..] else { panic!("one") };
        assert!(finding.verdict == Verdict::Wrong && finding.message.contains("no quota"), "{finding:?}");
    }
}
