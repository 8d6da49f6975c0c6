//! The objects of the webhook, held to the webhook that drey serves with the environment of its container. Refuses to
//! serve one: what an API server and the webhook say to each other is tried elsewhere.

use anyhow::{Context, Result, bail, ensure};
use drey_engine::Namespaces;
use drey_operator::Operator;
use drey_operator::webhook::WebhookConfig;
use serde_json::{Value, json};

use super::helm::{Helm, RELEASE_NAMESPACE};
use super::objects::{self, Objects};

/// What each of the two configurations asks about, and by which path.
const KINDS: &[(&str, &str, &[&str])] = &[
    (
        "ValidatingWebhookConfiguration",
        "/validate",
        &["flinkdeployments", "flinksessionjobs", "flinkstatesnapshots"],
    ),
    ("MutatingWebhookConfiguration", "/mutate", &["flinksessionjobs"]),
];
/// With it cert-manager writes `caBundle`.
const CERT_MANAGER: &str = "cert-manager.io/inject-ca-from";
/// Values, and which of the two configurations they make, in the order of `KINDS`.
const PARTS: &[(&str, [bool; 2])] = &[
    ("webhook.create=true", [true, true]),
    ("webhook.create=false", [false, false]),
    ("webhook.validator.create=false", [false, true]),
    ("webhook.mutator.create=false", [true, false]),
    ("webhook.create=false,webhook.mutator.create=true", [false, true]),
    ("webhook.validator.create=false,webhook.mutator.create=false", [false, false]),
];

/// Each part is made when it is asked for, and the webhook is served when there is one.
pub(crate) fn parts(helm: &Helm) -> Vec<(String, Result<()>)> {
    let mut outcomes: Vec<(String, Result<()>)> = PARTS
        .iter()
        .map(|(values, expected)| ((*values).to_owned(), makes(helm, values, *expected)))
        .collect();
    let lonely = "webhook.certificate.injectCaFrom=drey-system/certificate";
    outcomes.push((lonely.to_owned(), is_refused(helm, lonely)));
    let whole = format!("{lonely},webhook.certificate.secretName=certificate");
    let outcome = is_left_to_cert_manager(helm, &whole);
    outcomes.push((whole, outcome));
    outcomes
}

fn makes(helm: &Helm, values: &str, expected: [bool; 2]) -> Result<()> {
    let objects = helm.template_with(values)?;
    for ((kind, ..), expected) in KINDS.iter().zip(expected) {
        ensure!(objects.of_kind(kind).next().is_some() == expected, "{kind} is there: {}", !expected);
    }
    let is_served = objects.webhook()?.is_some();
    ensure!(is_served == expected.contains(&true), "the webhook is served: {is_served}");
    Ok(())
}

/// The annotation without a certificate that is mounted would leave nobody to write `caBundle`.
fn is_refused(helm: &Helm, values: &str) -> Result<()> {
    let Err(error) = helm.template_with(values) else { bail!("it is taken") };
    let text = format!("{error:#}");
    ensure!(
        text.contains("without `webhook.certificate.secretName`"),
        "the refusal does not tell why: {text}"
    );
    Ok(())
}

fn is_left_to_cert_manager(helm: &Helm, values: &str) -> Result<()> {
    let objects = helm.template_with(values)?;
    for (kind, ..) in KINDS {
        let configuration = objects.of_kind(kind).next().with_context(|| format!("there is no {kind}"))?;
        let annotation = &configuration["metadata"]["annotations"][CERT_MANAGER];
        ensure!(annotation == "drey-system/certificate", "{kind} has {annotation}");
    }
    ensure!(!objects.has_own_certificate()?, "drey makes a certificate beside that of cert-manager");
    Ok(())
}

/// Service, port, certificate and both configurations are those of the webhook that drey serves; without it there is
/// nothing of them.
pub(crate) fn agrees(objects: &Objects, operator: &Operator) -> Result<()> {
    let configurations: Vec<&Value> = KINDS.iter().flat_map(|(kind, ..)| objects.of_kind(kind)).collect();
    let Some(webhook) = objects.webhook()? else {
        let left: Vec<String> =
            configurations.into_iter().chain(objects.of_kind("Service")).map(objects::name).collect();
        ensure!(left.is_empty(), "no webhook is served, and yet there is {}", left.join(", "));
        return Ok(());
    };
    ensure!(!configurations.is_empty(), "nobody asks the webhook");
    is_reached(objects, &webhook)?;
    let is_mounted = is_mounted(objects, &webhook)?;
    for (kind, path, resources) in KINDS {
        for configuration in objects.of_kind(kind) {
            asks(configuration, &webhook, path, resources)
                .and_then(|()| is_of_watched(configuration, operator))
                .with_context(|| objects::name(configuration))?;
            let is_of_cert_manager = configuration["metadata"]["annotations"].get(CERT_MANAGER).is_some();
            ensure!(
                is_mounted || !is_of_cert_manager,
                "cert-manager's CA for a certificate of drey's own making"
            );
        }
    }
    Ok(())
}

/// The Service leads to the port that is served.
fn is_reached(objects: &Objects, webhook: &WebhookConfig) -> Result<()> {
    let service = objects.find("Service", &webhook.service).context("there is no Service")?;
    let ports = json!([{"port": 443, "targetPort": webhook.port, "protocol": "TCP"}]);
    ensure!(service["spec"]["ports"] == ports, "the Service has the ports {}", service["spec"]["ports"]);
    let labels = &objects.of_kind("Deployment").next().context("no Deployment")?["spec"]["selector"];
    ensure!(service["spec"]["selector"] == labels["matchLabels"], "the Service selects other pods");
    let ports = objects.container()?["ports"].as_array().context("the container has ports")?;
    ensure!(ports.iter().any(|port| port["containerPort"] == webhook.port), "the container has no such port");
    for policy in objects.of_kind("NetworkPolicy") {
        let rules = policy["spec"]["ingress"].as_array().context("a policy has rules")?;
        let is_open_to_all =
            |rule: &Value| rule.get("from").is_none() && rule["ports"][0]["port"] == webhook.port;
        ensure!(rules.iter().any(is_open_to_all), "the policy keeps API servers out");
    }
    Ok(())
}

/// Whether a Secret is there where drey looks for a certificate; nothing but that is mounted for the webhook.
fn is_mounted(objects: &Objects, webhook: &WebhookConfig) -> Result<bool> {
    let secrets: Vec<&Value> = objects.pod()?["volumes"]
        .as_array()
        .context("pods have volumes")?
        .iter()
        .filter(|volume| volume.get("secret").is_some())
        .collect();
    let Some(directory) = &webhook.directory else {
        ensure!(secrets.is_empty(), "Secrets are mounted that nobody reads");
        return Ok(false);
    };
    let mounts = objects.container()?["volumeMounts"].as_array().context("the container has mounts")?;
    let mount = mounts.iter().find(|mount| mount["mountPath"].as_str() == directory.to_str());
    let mount = mount.with_context(|| format!("nothing is mounted at {}", directory.display()))?;
    let secret = secrets.iter().find(|volume| volume["name"] == mount["name"]);
    let items = &secret.context("what is mounted is no Secret")?["secret"]["items"];
    for file in ["tls.crt", "tls.key"] {
        let is_there = items.as_array().is_some_and(|items| items.iter().any(|item| item["path"] == file));
        ensure!(is_there, "`{file}` is not mounted");
    }
    Ok(true)
}

fn asks(configuration: &Value, webhook: &WebhookConfig, path: &str, resources: &[&str]) -> Result<()> {
    let name = &configuration["metadata"]["name"];
    ensure!(*name == webhook.configuration.as_str(), "drey looks for `{}`", webhook.configuration);
    let hook = &configuration["webhooks"][0];
    let service = json!({"name": webhook.service, "namespace": RELEASE_NAMESPACE, "path": path, "port": 443});
    let rule = json!([{
        "apiGroups": ["flink.apache.org"],
        "apiVersions": ["*"],
        "scope": "Namespaced",
        "operations": ["CREATE", "UPDATE"],
        "resources": resources,
    }]);
    for (member, expected) in [
        // Without `caBundle`: one of the chart's own would take the place of the one that was written.
        ("clientConfig", json!({ "service": service })),
        ("rules", rule),
        ("failurePolicy", json!("Fail")),
        ("sideEffects", json!("None")),
        ("admissionReviewVersions", json!(["v1"])),
    ] {
        ensure!(hook[member] == expected, "`{member}` is {}, expected {expected}", hook[member]);
    }
    Ok(())
}

/// Resources that drey does not watch are not refused by it.
fn is_of_watched(configuration: &Value, operator: &Operator) -> Result<()> {
    let selector = configuration["webhooks"][0].get("namespaceSelector");
    let Namespaces::List(list) = Namespaces::of(&operator.configuration().namespaces, RELEASE_NAMESPACE)
    else {
        ensure!(selector.is_none(), "some namespaces only");
        return Ok(());
    };
    let expected = json!({"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list},
    ]});
    ensure!(selector == Some(&expected), "`namespaceSelector` is {selector:?}, expected {expected}");
    Ok(())
}
