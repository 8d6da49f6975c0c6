//! What a real API server makes of the objects: each is sent to it as a dry run with strict validation, and accounts and
//! roles are made, so that what they may do is the server's own answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drey_cli::command::crds;
use drey_cli::connection::ConnectionArgs;
use drey_engine::Namespaces;
use drey_operator::Operator;
use drey_operator::rights::{self, Lack};
use drey_testbed::kube::Kube;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::config::{AuthInfo, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::helm::RELEASE_NAMESPACE;
use super::objects::{self, Objects};

/// Namespaces that values name.
const NAMESPACES: &[&str] = &[RELEASE_NAMESPACE, "flink-a", "flink-b"];
/// Kinds of the Prometheus operator that the chart can make.
const MONITORING: &[(&str, &str)] = &[("PodMonitor", "podmonitors"), ("PrometheusRule", "prometheusrules")];
/// Values whose accounts and roles are made: first the one with few rights, since rights add up.
const TRIED: &[&str] = &["namespaced-values.yaml", "minimal-values.yaml"];
/// What accounts and roles are.
const RBAC: &[&str] = &["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
/// Who applies.
const MANAGER: &str = "chart-check";
/// How long the server may take to serve a definition, or to learn of a role.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Whether the accounts and roles of these values are made.
pub(crate) fn is_tried_for_real(file: &str) -> bool {
    TRIED.contains(&file)
}

/// Makes what the objects take for granted: namespaces, and the kinds of the Prometheus operator.
pub(crate) async fn prepare(client: &Client) -> Result<()> {
    let namespaces = Api::<Namespace>::all(client.clone());
    for name in NAMESPACES {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
    }
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    for (kind, plural) in MONITORING {
        definitions.create(&PostParams::default(), &definition(kind, plural)?).await?;
    }
    for (kind, _) in MONITORING {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", kind));
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), RELEASE_NAMESPACE, &resource);
        until(&format!("{kind} to be served"), async || api.list(&Default::default()).await.is_ok()).await?;
    }
    Ok(())
}

/// A definition that takes every spec: the schema is not ours to repeat.
fn definition(kind: &str, plural: &str) -> Result<CustomResourceDefinition> {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    }))?)
}

/// The server takes it: every field is known, and every admission lets it pass.
pub(crate) async fn dry_run(client: &Client, object: &Value) -> Result<()> {
    let parameters = PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(MANAGER)
    };
    apply(client, object, &parameters).await
}

async fn apply(client: &Client, object: &Value, parameters: &PatchParams) -> Result<()> {
    let text = |member: &str| object[member].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
    let metadata = &object["metadata"];
    let api: Api<DynamicObject> = match metadata["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = metadata["name"].as_str().context("an object has a name")?;
    api.patch(name, parameters, &Patch::Apply(object)).await?;
    Ok(())
}

/// Once its account and roles are made, drey finds every right that it asks for at its start, and none before.
pub(crate) async fn account_lacks_nothing(kube: &Kube, objects: &Objects, operator: &Operator) -> Result<()> {
    let admin = kube.client();
    let forced = PatchParams::apply(MANAGER).force();
    for account in objects.of_kind("ServiceAccount") {
        apply(&admin, account, &forced).await?;
    }
    let client = kube.client_with_token(&token(&admin, "flink-operator").await?).await?;
    let namespaces = Namespaces::of(&operator.configuration().namespaces, RELEASE_NAMESPACE);
    let parts = rights::Parts { election: true, webhook: objects.has_own_certificate()? };
    let lacking = async || rights::lacking(&client, &namespaces, RELEASE_NAMESPACE, parts).await;
    ensure!(lacking().await.iter().any(Lack::is_fatal), "the account has all rights before it has roles");
    for object in objects.all().iter().filter(|object| RBAC.iter().any(|kind| object["kind"] == *kind)) {
        apply(&admin, object, &forced).await.with_context(|| objects::name(object))?;
    }
    let complete = until("the roles to count", async || lacking().await.is_empty()).await;
    let lacking: Vec<String> = lacking().await.iter().map(Lack::to_string).collect();
    complete.with_context(|| lacking.join("; "))
}

/// The account of the hook can do what the hook does; the roles are there already.
pub(crate) async fn hook_installs_definitions(kube: &Kube, objects: &Objects) -> Result<()> {
    let account = objects.hook_account().context("there is no hook")?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("kubeconfig");
    let token = token(&kube.client(), account).await?;
    let mut kubeconfig = Kubeconfig::read_from(kube.kubeconfig())?;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() });
    }
    std::fs::write(&path, serde_json::to_string(&kubeconfig)?)?;
    let connection = ConnectionArgs { kubeconfig: Some(path), ..ConnectionArgs::default() };
    let install = crds::Command::Apply(crds::ApplyArgs { force: false, timeout: TIMEOUT });
    // The second time everything is there already, as with an upgrade.
    for _ in 0..2 {
        if let Err(failure) = crds::run(&install, &connection).await {
            bail!("{failure}");
        }
    }
    Ok(())
}

async fn token(admin: &Client, account: &str) -> Result<String> {
    let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), RELEASE_NAMESPACE);
    let request: TokenRequest =
        serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 3600}}))?;
    let made = accounts.create_token_request(account, &PostParams::default(), &request).await?;
    made.status.and_then(|status| status.token).context("the server gives a token")
}

/// Makes the API server serve the kinds of drey.
pub(crate) async fn define(client: &Client) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let parameters = PatchParams::apply(MANAGER).force();
    for definition in drey_api::crd::all() {
        let name = definition.metadata.name.clone().context("a definition has a name")?;
        let value = serde_json::to_value(&definition)?;
        definitions.patch(&name, &parameters, &Patch::Apply(&value)).await?;
    }
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment"));
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), RELEASE_NAMESPACE, &resource);
    until("FlinkDeployments to be served", async || api.list(&Default::default()).await.is_ok()).await
}

/// Looks until it holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !holds().await {
        ensure!(Instant::now() < deadline, "waited {} s for {what}", TIMEOUT.as_secs());
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
