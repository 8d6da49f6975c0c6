//! Who may do what: certificates, tokens of service accounts, RBAC, and the admission of pods.

use drey_testbed::kube::{Kube, Options};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenReview};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::until;

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

async fn token_of(client: &Client, account: &str) -> String {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    let request: TokenRequest = object(json!({"spec": {"audiences": [], "expirationSeconds": 3600}}));
    let made = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    made.status.unwrap().token.unwrap()
}

/// The code with which a call was refused.
fn code<T: std::fmt::Debug>(outcome: Result<T, kube::Error>) -> u16 {
    match outcome {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("not an answer of the API that refuses: {other:?}"),
    }
}

/// Lets the account `reader` list ConfigMaps of the namespace `default`.
async fn bind(client: &Client) {
    let parameters = PostParams::default();
    let role = json!({
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
    });
    Api::<Role>::namespaced(client.clone(), "default").create(&parameters, &object(role)).await.unwrap();
    let binding = json!({
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
    });
    let bindings = Api::<RoleBinding>::namespaced(client.clone(), "default");
    bindings.create(&parameters, &object(binding)).await.unwrap();
}

#[tokio::test]
async fn an_account_may_do_what_its_role_says_and_nothing_else() {
    let cluster = Kube::start(Options::for_test().unwrap()).await.unwrap();
    let admin = cluster.client();
    let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), "default");
    let account = object(json!({"metadata": {"name": "reader"}}));
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let token = token_of(&admin, "reader").await;

    let reader = cluster.client_with_token(&token).await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(reader.clone(), "default");
    assert_eq!(code(maps.list(&ListParams::default()).await), 403);
    bind(&admin).await;
    // The authorizer learns of a role by watching.
    until("the role to count", async || maps.list(&ListParams::default()).await.ok()).await;
    assert_eq!(code(maps.delete("kube-root-ca.crt", &DeleteParams::default()).await), 403);
    assert_eq!(code(Api::<Pod>::all(reader).list(&ListParams::default()).await), 403);

    let forged = cluster.client_with_token(&format!("{token}x")).await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(forged, "default");
    assert_eq!(code(maps.list(&ListParams::default()).await), 401);

    let review: TokenReview = object(json!({"spec": {"token": token}}));
    let reviews = Api::<TokenReview>::all(admin);
    let reviewed = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    let user = reviewed.user.unwrap().username.unwrap();
    assert_eq!(user, "system:serviceaccount:default:reader");
    cluster.stop().unwrap();
}

#[tokio::test]
async fn a_deployment_becomes_pods_with_their_account_and_all_goes_with_its_owner() {
    let cluster = Kube::start(Options::for_test().unwrap()).await.unwrap();
    let client = cluster.client();
    let namespace = object(json!({"metadata": {"name": "work"}}));
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            },
        },
    });
    let deployments = Api::<Deployment>::namespaced(client.clone(), "work");
    deployments.create(&PostParams::default(), &object(deployment)).await.unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), "work");
    let list = || async { Some(pods.list(&ListParams::default()).await.unwrap().items) };
    let made = until("two pods", async || list().await.filter(|pods| pods.len() == 2)).await;
    for pod in made {
        let spec = pod.spec.unwrap();
        assert_eq!(spec.service_account_name.as_deref(), Some("default"));
        let mounts = spec.containers[0].volume_mounts.clone().unwrap();
        assert_eq!(mounts[0].mount_path, "/var/run/secrets/kubernetes.io/serviceaccount");
    }
    deployments.delete("web", &DeleteParams::background()).await.unwrap();
    until("the pods to go", async || list().await.filter(Vec::is_empty)).await;

    let namespaces = Api::<Namespace>::all(client);
    namespaces.delete("work", &DeleteParams::default()).await.unwrap();
    until("the namespace to go", async || namespaces.get_opt("work").await.unwrap().is_none().then_some(()))
        .await;
    cluster.stop().unwrap();
}
