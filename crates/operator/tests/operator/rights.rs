//! Which rights are asked for, and what is said of those that are lacking.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use drey_engine::Namespaces;
use drey_operator::rights::{self, Lack, Need, Parts};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

const ALL: Parts = Parts { election: true, webhook: true };

type Asked = Arc<Mutex<Vec<String>>>;

/// An API server that judges rights by a function of `verb resource.group@namespace`.
fn client(allows: impl Fn(&str) -> Option<bool> + Clone + Send + Sync + 'static) -> (Client, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let service = service_fn(move |request: http::Request<Body>| {
        let (allows, log) = (allows.clone(), log.clone());
        async move {
            assert_eq!(request.uri().path(), "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
            let body = request.into_body().collect_bytes().await.unwrap();
            let mut review: Value = serde_json::from_slice(&body).unwrap();
            let attributes = review["spec"]["resourceAttributes"].clone();
            let text = |key: &str| attributes[key].as_str().unwrap_or_default().to_owned();
            let question = format!(
                "{} {}/{}.{}@{}",
                text("verb"),
                text("resource"),
                text("subresource"),
                text("group"),
                text("namespace")
            );
            log.lock().unwrap().push(question.clone());
            let response = match allows(&question) {
                Some(allowed) => {
                    review["status"] = json!({ "allowed": allowed });
                    http::Response::builder().status(201).body(Body::from(review.to_string().into_bytes()))
                }
                None => {
                    let status = json!({ "kind": "Status", "code": 500, "message": "out of order" });
                    http::Response::builder().status(500).body(Body::from(status.to_string().into_bytes()))
                }
            };
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    (Client::new(service, "default"), asked)
}

fn list() -> Namespaces {
    Namespaces::List(vec!["a".to_owned(), "b".to_owned()])
}

#[tokio::test]
async fn who_may_everything_lacks_nothing_and_each_right_is_asked_for_where_it_is_needed() {
    let (client, asked) = client(|_| Some(true));
    assert_eq!(rights::lacking(&client, &list(), "own", ALL).await, []);
    let asked = asked.lock().unwrap().clone();
    for question in [
        "watch flinkdeployments/.flink.apache.org@a",
        "update flinkdeployments/status.flink.apache.org@b",
        "create leases/.coordination.k8s.io@own",
        "get customresourcedefinitions/.apiextensions.k8s.io@",
    ] {
        assert!(asked.iter().any(|one| one == question), "{question} is not among {asked:#?}");
    }
    assert!(
        !asked.iter().any(|one| one.ends_with("@own")
            && !["leases", "secrets"].iter().any(|resource| one.contains(resource)))
    );
}

#[tokio::test]
async fn what_is_off_is_not_asked_for_and_all_namespaces_are_one_question() {
    let (client, asked) = client(|_| Some(true));
    assert_eq!(rights::lacking(&client, &Namespaces::All, "own", Parts::default()).await, []);
    let asked = asked.lock().unwrap().clone();
    for part in ["leases", "secrets", "webhookconfigurations"] {
        assert!(!asked.iter().any(|one| one.contains(part)), "{part}");
    }
    assert!(asked.iter().all(|one| one.ends_with('@')), "{asked:#?}");
}

#[tokio::test]
async fn what_is_lacking_is_told_with_its_place_and_what_fails() {
    let denied = |question: &str| Some(!(question.contains("pods/") && question.ends_with("@b")));
    let (client, _) = client(denied);
    let lacking = rights::lacking(&client, &list(), "own", ALL).await;
    let words: Vec<String> = lacking.iter().map(Lack::to_string).collect();
    assert_eq!(
        words,
        [
            "not allowed: `list, watch, delete` on `pods` in namespace `b`, needed to know that a cluster is dead before \
          another one starts from its state, and why one does not start; without it no upgrade goes on: a cluster \
          whose pods cannot be seen is never known to be gone"
        ]
    );
    assert!(lacking[0].is_fatal());
}

#[tokio::test]
async fn an_optional_right_is_no_fatal_lack() {
    let (client, _) = client(|question| Some(!question.contains("events/")));
    let lacking = rights::lacking(&client, &Namespaces::All, "own", ALL).await;
    assert_eq!(lacking.len(), 1);
    assert!(!lacking[0].is_fatal() && lacking[0].right.need == Need::Optional);
}

#[tokio::test]
async fn what_nobody_knows_is_not_said_to_be_lacking() {
    let (client, _) = client(|_| None);
    let lacking = rights::lacking(&client, &Namespaces::All, "own", Parts::default()).await;
    assert!(!lacking.is_empty());
    for lack in lacking {
        assert!(!lack.is_fatal() && lack.to_string().contains("out of order"), "{lack}");
    }
}

#[tokio::test]
async fn without_the_rights_of_the_webhook_drey_works_all_the_same() {
    let (client, _) = client(|question| Some(!question.contains("secrets/")));
    let lacking = rights::lacking(&client, &Namespaces::All, "own", ALL).await;
    assert_eq!(lacking.len(), 1);
    assert!(!lacking[0].is_fatal() && lacking[0].to_string().contains("WEBHOOK_CERT_DIR"), "{}", lacking[0]);
}
