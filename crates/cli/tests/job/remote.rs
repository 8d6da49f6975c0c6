//! Jars that are somewhere else.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use drey_cli::failure::Kind;
use drey_cli::job::remote::fetch;
use drey_cli::job::talk::Talk;

/// A server that has a jar, or knows who has it, and the tokens that it was shown.
struct Server {
    address: String,
    shown: Arc<Mutex<Vec<Option<String>>>>,
}

#[derive(Clone)]
struct Told {
    /// Where whoever asks is sent to.
    elsewhere: Option<String>,
    shown: Arc<Mutex<Vec<Option<String>>>>,
}

async fn answer(State(told): State<Told>, uri: Uri, headers: HeaderMap) -> Response {
    let token = headers.get("PRIVATE-TOKEN").and_then(|token| token.to_str().ok()).map(str::to_owned);
    told.shown.lock().expect("no thread has panicked").push(token);
    match (uri.path(), told.elsewhere) {
        ("/missing.jar", _) => StatusCode::NOT_FOUND.into_response(),
        ("/loop.jar", _) => (StatusCode::FOUND, [(header::LOCATION, "/loop.jar")]).into_response(),
        (_, Some(elsewhere)) => (StatusCode::FOUND, [(header::LOCATION, elsewhere)]).into_response(),
        (_, None) => "the jar".into_response(),
    }
}

impl Server {
    async fn start(elsewhere: Option<String>) -> Server {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shown = Arc::default();
        let told = Told { elsewhere, shown: Arc::clone(&shown) };
        let routes = Router::new().fallback(answer).with_state(told);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Server { address, shown }
    }

    fn shown(&self) -> Vec<Option<String>> {
        self.shown.lock().expect("no thread has panicked").clone()
    }
}

#[tokio::test]
async fn a_token_goes_to_the_server_that_it_was_given_for_and_to_no_other() {
    let store = Server::start(None).await;
    let gate = Server::start(Some(format!("{}/store/job.jar", store.address))).await;
    let talk = Talk::kept();
    let address = format!("{}/packages/job.jar?secret=1", gate.address);
    let fetched = fetch(&address, Some("of-the-gate"), &talk).await.expect("fetched");
    assert_eq!(std::fs::read_to_string(fetched.path()).expect("a file"), "the jar");
    assert_eq!(fetched.path().file_name().and_then(|name| name.to_str()), Some("job.jar"));
    assert_eq!(gate.shown(), [Some("of-the-gate".to_owned())]);
    assert_eq!(store.shown(), [None]);
    let path = fetched.path().to_owned();
    drop(fetched);
    assert!(!path.exists() && !path.parent().is_some_and(std::path::Path::exists), "it goes away again");
}

#[tokio::test]
async fn what_cannot_be_fetched_says_why_and_no_secret() {
    let server = Server::start(None).await;
    let talk = Talk::kept();
    for (path, kind, why) in [
        ("missing.jar?secret=1", Kind::Failed, "unexpected response code: 404"),
        ("loop.jar?secret=1", Kind::Unreachable, "redirects without end"),
    ] {
        let failed = fetch(&format!("{}/{path}", server.address), None, &talk).await.expect_err(path);
        assert_eq!(failed.kind(), kind, "{failed}");
        assert!(failed.to_string().contains(why) && !failed.to_string().contains("secret"), "{failed}");
        assert!(failed.to_string().contains(&server.address), "the server with its port: {failed}");
    }
    let failed = fetch("ftp://host/a.jar", None, &talk).await.expect_err("another protocol");
    assert_eq!(failed.kind(), Kind::Usage);
}
