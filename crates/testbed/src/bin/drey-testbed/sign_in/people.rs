//! Accounts of people and of the dashboard, with what each may do, and the tokens that they show.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drey_testbed::kube::Kube;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, Kubeconfig};
use kube::{Api, Client};
use serde_json::{Value, json};

/// Where the accounts live.
pub(super) const HOME: &str = "people";
/// What everybody of the first team belongs to, whom a proxy names.
pub(super) const GROUP: &str = "team-a";

/// What somebody may do to Flink's resources in the namespace of a team, or everywhere.
pub(super) struct Role {
    pub(super) account: &'static str,
    pub(super) namespace: Option<&'static str>,
    pub(super) verbs: &'static [&'static str],
}

const LOOK: &[&str] = &["get", "list", "watch"];

/// The people, and the dashboard itself, which only looks.
pub(super) const ROLES: [Role; 4] = [
    Role { account: "dashboard", namespace: None, verbs: LOOK },
    Role { account: "viewer", namespace: Some("team-a"), verbs: LOOK },
    Role {
        account: "editor",
        namespace: Some("team-a"),
        verbs: &["get", "list", "watch", "patch", "update"],
    },
    Role { account: "admin", namespace: None, verbs: &["*"] },
];

/// Makes the accounts and gives them their rights.
pub(super) async fn make(client: &Client) -> Result<()> {
    for namespace in [HOME, "team-a", "team-b"] {
        put(client, None, "v1", "Namespace", namespace, json!({})).await?;
    }
    for role in &ROLES {
        put(client, Some(HOME), "v1", "ServiceAccount", role.account, json!({})).await?;
        let rules = [
            json!({ "apiGroups": ["flink.apache.org"], "resources": ["*"], "verbs": role.verbs }),
            json!({ "apiGroups": [""], "resources": ["events", "pods", "pods/log"], "verbs": LOOK }),
        ];
        let subject = json!({ "kind": "ServiceAccount", "name": role.account, "namespace": HOME });
        bind(client, role.namespace, role.account, json!(rules), subject).await?;
    }
    // The group may do what its editor may.
    let group = json!({ "kind": "Group", "name": GROUP, "apiGroup": "rbac.authorization.k8s.io" });
    let rules = json!([{ "apiGroups": ["flink.apache.org"], "resources": ["*"], "verbs": ROLES[2].verbs }]);
    bind(client, Some("team-a"), "group", rules, group).await?;
    // And the dashboard may speak for those whom a proxy names.
    let rules = json!([{ "apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"] }]);
    let dashboard = json!({ "kind": "ServiceAccount", "name": "dashboard", "namespace": HOME });
    bind(client, None, "impersonate", rules, dashboard).await
}

async fn bind(
    client: &Client,
    namespace: Option<&str>,
    name: &str,
    rules: Value,
    subject: Value,
) -> Result<()> {
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    let prefix = if namespace.is_some() { "" } else { "Cluster" };
    let (role, binding) = (format!("{prefix}Role"), format!("{prefix}RoleBinding"));
    put(client, namespace, RBAC, &role, name, json!({ "rules": rules })).await?;
    let reference = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name });
    let bound = json!({ "roleRef": reference, "subjects": [subject] });
    put(client, namespace, RBAC, &binding, name, bound).await
}

/// Creates an object, or makes it what it says.
pub(super) async fn put(
    client: &Client,
    namespace: Option<&str>,
    api_version: &str,
    kind: &str,
    name: &str,
    mut object: Value,
) -> Result<()> {
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    object["metadata"] = json!({ "name": name });
    let object: DynamicObject = serde_json::from_value(object)?;
    let types = object.types.clone().context("an object has a kind")?;
    let resource = ApiResource::from_gvk(&types.try_into()?);
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams::apply("testbed").force();
    api.patch(name, &params, &Patch::Apply(&object)).await.with_context(|| format!("{kind} {name}"))?;
    Ok(())
}

/// A token of `account`, as `kubectl create token` makes one.
pub(super) async fn token(client: &Client, account: &str) -> Result<String> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), HOME);
    let request: TokenRequest =
        serde_json::from_value(json!({ "spec": { "audiences": [], "expirationSeconds": 3600 } }))?;
    let made = accounts.create_token_request(account, &PostParams::default(), &request).await?;
    made.status.and_then(|status| status.token).context("the server gives a token")
}

/// A kubeconfig with the token of `account` and nothing else.
pub(super) async fn kubeconfig(kube: &Kube, account: &str, directory: &Path) -> Result<PathBuf> {
    let token = token(&kube.client(), account).await?;
    let path = directory.join("kubeconfig");
    let mut kubeconfig = Kubeconfig::read_from(kube.kubeconfig())?;
    let credentials: AuthInfo = serde_json::from_value(json!({ "token": token }))?;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(credentials.clone());
    }
    std::fs::write(&path, serde_json::to_string(&kubeconfig)?)?;
    Ok(path)
}
