//! HTTP for machines: health on one port and metrics on another. Refuses to judge; that is the engine's and the
//! election's business.
//!
//! | Path | 200 | 500 |
//! |---|---|---|
//! | `/healthz`, and every other path as the Java operator has it | a new process would do no better | it might |
//! | `/readyz` | this process does its work, or waits for the leadership | it does not |

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use tokio::net::TcpListener;

use crate::operator::Status;

/// Binds a port on all addresses of the machine.
pub(crate) async fn bind(port: u16) -> Result<TcpListener, std::io::Error> {
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(_) => TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], port))).await,
    }
}

/// Serves health until the future is dropped.
pub(crate) async fn serve_health(listener: TcpListener, status: Arc<Status>) -> std::io::Result<()> {
    let router = Router::new().route("/readyz", get(readyz)).fallback(any(healthz)).with_state(status);
    axum::serve(listener, router).await
}

/// Serves metrics until the future is dropped.
pub(crate) async fn serve_metrics(listener: TcpListener, status: Arc<Status>) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(metrics)).route("/", get(metrics)).with_state(status);
    axum::serve(listener, router).await
}

async fn healthz(State(status): State<Arc<Status>>) -> impl IntoResponse {
    answer(&status.health().not_alive)
}

async fn readyz(State(status): State<Arc<Status>>) -> impl IntoResponse {
    answer(&status.health().not_ready)
}

fn answer(wrong: &[String]) -> (StatusCode, String) {
    if wrong.is_empty() {
        (StatusCode::OK, "OK".to_owned())
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("ERROR\n{}\n", wrong.join("\n")))
    }
}

async fn metrics(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match status.metrics() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, content_type)], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}
