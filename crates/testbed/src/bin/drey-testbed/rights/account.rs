//! An account with the rights of drey, or most of them, in a namespace of its own; and the kubeconfig of its token.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drey_operator::rights::{Place, Right, TABLE};
use drey_operator::webhook::WebhookConfig;
use drey_testbed::kube::Kube;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, Kubeconfig};
use kube::{Api, Client};
use serde_json::{Value, json};

/// Name of the account.
const NAME: &str = "drey";

/// The account.
pub(super) struct Account {
    client: Client,
    namespace: String,
    directory: PathBuf,
}

impl Account {
    /// Makes a namespace, an account without rights in it, and its files.
    pub(super) async fn make(kube: &Kube, namespace: &str, directory: &Path) -> Result<Account> {
        let client = kube.client();
        let made: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } }))?;
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &made).await?;
        std::fs::create_dir_all(directory)?;
        let account = Account { client, namespace: namespace.to_owned(), directory: directory.to_owned() };
        account.renew().await?;
        let mut kubeconfig = Kubeconfig::read_from(kube.kubeconfig())?;
        let token_file = Some(account.token_file().to_string_lossy().into_owned());
        for user in &mut kubeconfig.auth_infos {
            user.auth_info = Some(AuthInfo { token_file: token_file.clone(), ..AuthInfo::default() });
        }
        account.write_kubeconfig(&kubeconfig)?;
        Ok(account)
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    fn token_file(&self) -> PathBuf {
        self.directory.join("token")
    }

    /// Lets the cluster be reached at another port of this machine.
    pub(super) fn reach_by(&self, port: u16) -> Result<()> {
        let mut kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        for named in &mut kubeconfig.clusters {
            let cluster = named.cluster.as_mut().context("a kubeconfig has a cluster")?;
            let server = cluster.server.clone().unwrap_or_default();
            let host = server.trim_start_matches("https://").split(':').next().unwrap_or_default().to_owned();
            cluster.tls_server_name = Some(host);
            cluster.server = Some(format!("https://127.0.0.1:{port}"));
        }
        self.write_kubeconfig(&kubeconfig)
    }

    fn write_kubeconfig(&self, kubeconfig: &Kubeconfig) -> Result<()> {
        Ok(std::fs::write(self.kubeconfig(), serde_json::to_string(kubeconfig)?)?)
    }

    /// Makes the account if it is not there, and a new token of it, as a kubelet does.
    pub(super) async fn renew(&self) -> Result<()> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        let account: ServiceAccount = serde_json::from_value(json!({ "metadata": { "name": NAME } }))?;
        if accounts.get_opt(NAME).await?.is_none() {
            accounts.create(&PostParams::default(), &account).await?;
        }
        let request: TokenRequest =
            serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 3600}}))?;
        let made = accounts.create_token_request(NAME, &PostParams::default(), &request).await?;
        let token = made.status.and_then(|status| status.token).context("the server gives a token")?;
        Ok(std::fs::write(self.token_file(), token)?)
    }

    /// Deletes the account; its tokens are of no use then, also when there is one of this name again.
    pub(super) async fn delete(&self) -> Result<()> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        accounts.delete(NAME, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Gives it all rights of drey but this one.
    pub(super) async fn give(&self, but: Option<(Right, &str)>) -> Result<()> {
        let in_namespace = rules(|place| place != Place::Cluster, but);
        let on_cluster = rules(|place| place == Place::Cluster, but);
        let name = format!("drey-{}", self.namespace);
        let subjects = json!([{ "kind": "ServiceAccount", "name": NAME, "namespace": self.namespace }]);
        let bound =
            |kind: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
        let role = json!({ "kind": "Role", "rules": in_namespace });
        let binding = json!({ "kind": "RoleBinding", "roleRef": bound("Role"), "subjects": subjects });
        let cluster_role = json!({ "kind": "ClusterRole", "rules": on_cluster });
        let cluster_binding =
            json!({ "kind": "ClusterRoleBinding", "roleRef": bound("ClusterRole"), "subjects": subjects });
        put::<Role>(&Api::namespaced(self.client.clone(), &self.namespace), &name, role).await?;
        put::<RoleBinding>(&Api::namespaced(self.client.clone(), &self.namespace), &name, binding).await?;
        put::<ClusterRole>(&Api::all(self.client.clone()), &name, cluster_role).await?;
        put::<ClusterRoleBinding>(&Api::all(self.client.clone()), &name, cluster_binding).await
    }

    /// Makes the configurations of its webhook, as the chart does, which nothing is asked by.
    pub(super) async fn register_webhook(&self) -> Result<()> {
        let WebhookConfig { configuration: name, service, .. } = self.webhook();
        let entry = |path: &str| {
            json!({ "apiVersion": "admissionregistration.k8s.io/v1", "metadata": { "name": name }, "webhooks": [{
                "name": "drey.flink.apache.org",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "namespaceSelector": { "matchLabels": { "nobody": "has-this" } },
                "clientConfig": { "service": { "namespace": self.namespace, "name": service, "path": path } },
                "rules": [{ "apiGroups": ["flink.apache.org"], "apiVersions": ["*"], "operations": ["CREATE"],
                    "resources": ["flinkdeployments"] }],
            }] })
        };
        let parameters = PostParams::default();
        let validating = serde_json::from_value(entry("/validate"))?;
        let mutating = serde_json::from_value(entry("/mutate"))?;
        Api::<ValidatingWebhookConfiguration>::all(self.client.clone())
            .create(&parameters, &validating)
            .await?;
        Api::<MutatingWebhookConfiguration>::all(self.client.clone()).create(&parameters, &mutating).await?;
        Ok(())
    }

    /// Whether both configurations say whose certificate it has.
    pub(super) async fn is_webhook_trusted(&self) -> Result<bool> {
        let name = self.webhook().configuration;
        let validating = Api::<ValidatingWebhookConfiguration>::all(self.client.clone()).get(&name).await?;
        let mutating = Api::<MutatingWebhookConfiguration>::all(self.client.clone()).get(&name).await?;
        let validating =
            validating.webhooks.into_iter().flatten().all(|own| own.client_config.ca_bundle.is_some());
        let mutating =
            mutating.webhooks.into_iter().flatten().all(|own| own.client_config.ca_bundle.is_some());
        Ok(validating && mutating)
    }

    fn webhook(&self) -> WebhookConfig {
        WebhookConfig::named_as_by_the_chart(1, &self.namespace)
    }

    /// Takes all rights.
    pub(super) async fn take_all(&self) -> Result<()> {
        let name = format!("drey-{}", self.namespace);
        let parameters = DeleteParams::default();
        let bindings = Api::<RoleBinding>::namespaced(self.client.clone(), &self.namespace);
        bindings.delete(&name, &parameters).await?;
        Api::<ClusterRoleBinding>::all(self.client.clone()).delete(&name, &parameters).await?;
        Ok(())
    }
}

fn rules(is_there: impl Fn(Place) -> bool, but: Option<(Right, &str)>) -> Vec<Value> {
    let rights = TABLE.iter().filter(|right| is_there(right.place));
    let rule = |right: &Right| {
        let is_taken = |verb: &str| {
            but.is_some_and(|(taken, taken_verb)| {
                (taken.group, taken.resource, taken_verb) == (right.group, right.resource, verb)
            })
        };
        let verbs: Vec<&str> = right.verbs.iter().copied().filter(|verb| !is_taken(verb)).collect();
        json!({ "apiGroups": [right.group], "resources": [right.resource], "verbs": verbs })
    };
    // A rule without verbs is refused.
    rights.map(rule).filter(|rule| rule["verbs"] != json!([])).collect()
}

async fn put<K>(api: &Api<K>, name: &str, mut object: Value) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    object["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
    object["metadata"] = json!({ "name": name });
    let parameters = PatchParams::apply("testbed").force();
    api.patch(name, &parameters, &Patch::Apply(&object)).await.with_context(|| name.to_owned())?;
    Ok(())
}
