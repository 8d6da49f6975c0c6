//! Flink's own pages through the dashboard: who gets to them, what is passed on, and what they may not do.

use axum::http::{Method as Asked, Uri};
use axum::routing::{any, get};
use axum::{Json, Router};
use drey_server::Access;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::world::{Setup, TOKEN, World};

/// A JobManager that serves a page, its configuration, and says what else it was asked.
async fn job_manager() -> reqwest::Url {
    let said = async |method: Asked, uri: Uri| format!("{method} {uri}");
    let pages = Router::new()
        .route(
            "/",
            get(async || {
                (
                    [("content-type", "text/html"), ("set-cookie", "a=b"), ("x-odd", "1")],
                    "<script>top</script>",
                )
            }),
        )
        .route(
            "/config",
            get(async || Json(json!({ "features": { "web-cancel": true, "web-submit": true } }))),
        )
        .fallback(any(said));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, pages).await });
    address.parse().unwrap()
}

#[tokio::test]
async fn flinks_pages_are_only_looked_at_and_reach_nothing_of_the_dashboards() {
    let world = World::start(Setup { job_manager: Some(job_manager().await), ..Setup::default() }).await;
    world.deployment("a", 1).await;
    world.deployment("b", 1).await;
    let open = "api/v1/ns/default/flinkdeployments/a/flink";
    assert_eq!(world.stranger(Method::GET, open).send().await.unwrap().status(), 401);
    let opened = world.ask(Method::GET, open).send().await.unwrap();
    assert_eq!(opened.status(), StatusCode::SEE_OTHER);
    let place = opened.headers()["location"].to_str().unwrap().trim_start_matches('/').to_owned();
    // From here on the address is what lets in: a page in a sandbox has no cookie.
    let get = async |path: &str| world.stranger(Method::GET, path).send().await.unwrap();
    let page = get(&place).await;
    assert_eq!(page.status(), 200);
    let header = |name: &str| page.headers().get(name).and_then(|value| value.to_str().ok());
    let policy = header("content-security-policy").unwrap();
    assert!(policy.contains("sandbox") && !policy.contains("allow-same-origin"), "{policy}");
    assert_eq!(
        (header("set-cookie"), header("x-odd"), header("content-type")),
        (None, None, Some("text/html"))
    );
    assert_eq!(page.text().await.unwrap(), "<script>top</script>");
    let config: serde_json::Value = get(&format!("{place}config")).await.json().await.unwrap();
    assert_eq!(config["features"], json!({ "web-cancel": false, "web-submit": false }));
    let asked = get(&format!("{place}jobs/abc/metrics?get=a%20b")).await.text().await.unwrap();
    assert_eq!(asked, "GET /jobs/abc/metrics?get=a%20b");
    for method in [Method::POST, Method::PATCH, Method::DELETE, Method::PUT] {
        let answer = world.ask(method.clone(), &format!("{place}jobs/abc")).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{method}");
    }
    for path in ["jobs/abc/yarn-cancel", "jobs/abc/yarn-stop", "a%2f..%2fb", "a%5cb"] {
        let answer = get(&format!("{place}{path}")).await;
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
    }
    let of_another = place.replace("/a/", "/b/");
    let forged = place.replace(|digit: char| digit.is_ascii_digit(), "0");
    for path in [&of_another, &forged, "flink/default/a/x/"] {
        let answer = get(path).await;
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_there_says_so() {
    let reason = "this dashboard only shows".to_owned();
    let world = World::start(Setup { access: Access::ReadOnly { reason }, ..Setup::default() }).await;
    world.deployment("a", 1).await;
    let opened = world.ask(Method::GET, "api/v1/ns/default/flinkdeployments/a/flink").send().await.unwrap();
    let place = opened.headers()["location"].to_str().unwrap().trim_start_matches('/').to_owned();
    let answer = world.ask(Method::GET, &place).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("there is no cluster now"));
}
