//! The webhook of the operator: whether the API server can ask it. One that cannot be asked refuses every change.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::{Finding, Verdict};

const CHECK: &str = "webhook";
const GROUP: &str = drey_api::kinds::GROUP;

/// A webhook for Flink's kinds.
struct Webhook {
    object: String,
    client: WebhookClientConfig,
    /// Without an answer the request is let through.
    lets_through: bool,
}

/// Looks at the webhooks for Flink's kinds.
pub async fn look(client: &Client) -> Vec<Finding> {
    let all = ListParams::default();
    let (validating, mutating) = (
        Api::<ValidatingWebhookConfiguration>::all(client.clone()),
        Api::<MutatingWebhookConfiguration>::all(client.clone()),
    );
    let found = tokio::try_join!(validating.list(&all), mutating.list(&all));
    let (validating, mutating) = match found {
        Ok(found) => found,
        Err(error) => return vec![Finding::unknown(CHECK, "webhook configurations", &error)],
    };
    let mut webhooks = Vec::new();
    for configuration in validating.items {
        let object = format!("validatingwebhookconfiguration/{}", configuration.name_any());
        for webhook in configuration.webhooks.unwrap_or_default() {
            webhooks.extend(ours(
                &object,
                webhook.rules,
                webhook.client_config,
                webhook.failure_policy.as_deref(),
            ));
        }
    }
    for configuration in mutating.items {
        let object = format!("mutatingwebhookconfiguration/{}", configuration.name_any());
        for webhook in configuration.webhooks.unwrap_or_default() {
            webhooks.extend(ours(
                &object,
                webhook.rules,
                webhook.client_config,
                webhook.failure_policy.as_deref(),
            ));
        }
    }
    if webhooks.is_empty() {
        let message = "there is none: what is wrong in a resource is said after it was taken";
        return vec![Finding::new(CHECK, Verdict::Note, message)];
    }
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for webhook in &webhooks {
        let finding = one(client, webhook).await;
        if seen.insert((webhook.object.clone(), finding.message.clone())) {
            findings.push(finding);
        }
    }
    findings
}

fn ours(
    object: &str,
    rules: Option<Vec<RuleWithOperations>>,
    client: WebhookClientConfig,
    policy: Option<&str>,
) -> Option<Webhook> {
    let groups = rules.into_iter().flatten().filter_map(|rule| rule.api_groups).flatten();
    let is_ours = groups.into_iter().any(|group| group == GROUP);
    let lets_through = policy == Some("Ignore");
    is_ours.then(|| Webhook { object: object.to_owned(), client, lets_through })
}

async fn one(client: &Client, webhook: &Webhook) -> Finding {
    let Some(service) = &webhook.client.service else {
        return Finding::new(CHECK, Verdict::Unknown, "is asked at an address outside of the cluster")
            .on(webhook.object.clone());
    };
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &service.namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", service.name));
    let place = format!("{}/{}", service.namespace, service.name);
    let finding = match slices.list(&of_service).await {
        Ok(found) => judge(webhook, &place, &found.items),
        Err(error) => Finding::unknown(CHECK, &format!("the endpoints of service {place}"), &error),
    };
    finding.on(webhook.object.clone())
}

fn judge(webhook: &Webhook, place: &str, slices: &[EndpointSlice]) -> Finding {
    let effect = if webhook.lets_through {
        "what is wrong in a resource is said after it was taken"
    } else {
        "the API server refuses every change of Flink's resources"
    };
    if webhook.client.ca_bundle.as_ref().is_none_or(|bundle| bundle.0.is_empty()) {
        let message = format!("the API server does not know its certificate: {effect}");
        return Finding::new(CHECK, Verdict::Wrong, message)
            .fix("`kubectl logs` of the operator says why it could not write it; docs/rights.md lists the rights that it takes");
    }
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints
        .filter(|endpoint| endpoint.conditions.as_ref().is_none_or(|known| known.ready != Some(false)))
        .count();
    if ready == 0 {
        let message = format!("nothing answers behind service {place}: {effect}");
        return Finding::new(CHECK, Verdict::Wrong, message)
            .fix("start the operator that serves it, or take the configuration away");
    }
    Finding::new(CHECK, Verdict::Ok, format!("{ready} ready behind service {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_webhook_needs_a_certificate_and_somebody_behind_it() {
        let webhook = |bundle: &str| Webhook {
            object: "v/w".to_owned(),
            client: serde_json::from_value(
                json!({ "caBundle": bundle, "service": { "name": "s", "namespace": "n" } }),
            )
            .expect("a client"),
            lets_through: false,
        };
        let slice = |ready: bool| -> EndpointSlice {
            serde_json::from_value(json!({ "addressType": "IPv4",
                "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "ready": ready } }], "metadata": {} }))
            .expect("a slice")
        };
        let verdict = |bundle: &str, slices: &[EndpointSlice]| judge(&webhook(bundle), "n/s", slices).verdict;
        assert_eq!(verdict("eA==", &[slice(true)]), Verdict::Ok);
        assert_eq!(verdict("", &[slice(true)]), Verdict::Wrong);
        assert_eq!(verdict("eA==", &[slice(false)]), Verdict::Wrong);
        assert_eq!(verdict("eA==", &[]), Verdict::Wrong);
    }

    #[test]
    fn only_webhooks_for_flinks_kinds_are_looked_at() {
        let rules = |group: &str| {
            Some(vec![RuleWithOperations {
                api_groups: Some(vec![group.to_owned()]),
                ..RuleWithOperations::default()
            }])
        };
        let ours = |group| ours("o", rules(group), WebhookClientConfig::default(), None).is_some();
        assert!(ours(GROUP) && !ours("apps"));
    }
}
