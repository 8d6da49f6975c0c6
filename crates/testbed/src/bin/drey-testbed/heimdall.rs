//! Heimdall's own front end over our answers: its built files and our `/jobs` and `/config` behind one address, as its image has
//! them. Refuses to hold any of it: the files come from outside.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use crate::front_end::walk;

struct Both {
    pages: PathBuf,
    /// Address of the dashboard, with a slash at the end.
    dashboard: String,
    http: reqwest::Client,
}

/// Walks through it in a real browser.
pub(crate) async fn walk_over(pages: &Path, dashboard: &str, ui: PathBuf) -> Result<()> {
    let both = Both {
        pages: std::fs::canonicalize(pages)?,
        dashboard: dashboard.to_owned(),
        http: reqwest::Client::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/", listener.local_addr()?);
    let serving = axum::serve(listener, Router::new().fallback(answer).with_state(Arc::new(both)));
    let serving = tokio::spawn(serving.into_future());
    let walked = tokio::task::spawn_blocking(move || walk(&ui, "heimdall", &address, &[])).await?;
    serving.abort();
    walked
}

async fn answer(State(both): State<Arc<Both>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if matches!(path.as_str(), "jobs" | "config") {
        return match both.ask(&path).await {
            Ok(answer) => answer,
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        };
    }
    let name = if path.is_empty() { "index.html" } else { &path };
    let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    match std::fs::read(both.pages.join(name)).ok().filter(|_| is_plain) {
        Some(content) => ([(header::CONTENT_TYPE, media_type(name))], content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Both {
    async fn ask(&self, path: &str) -> Result<Response, reqwest::Error> {
        let answer = self.http.get(format!("{}{path}", self.dashboard)).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        Ok((status, [(header::CONTENT_TYPE, "application/json")], text).into_response())
    }
}

fn media_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
