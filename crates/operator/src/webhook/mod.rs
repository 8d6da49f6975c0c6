//! Admission: the API server asks drey about Flink's resources before it keeps them.
//!
//! ```text
//!   kube-apiserver ──TLS──► tls ──► /validate, /mutate ──► review::read ──► judge ──► review::answer
//!                            ▲                                               ▲
//!        Secret ─► keeper ───┤ papers; caBundle of the configurations        └── defaults, read again from the files
//!        files ──► mounted ──┘
//! ```
//! Every replica answers; none has to lead for it. Nothing hangs on being asked: the engine applies the same rules to
//! every spec before it acts, so a webhook that is down or left out lets a bad spec be kept, and never be run.
//! Architecture invariant: `judge`, `review` and `papers` have no client and no clock.

mod judge;
mod keeper;
mod mounted;
mod papers;
mod review;
mod tls;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use drey_api::defaults::Defaults;
use drey_api::operator;
use kube::Client;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::files::Sources;
use keeper::Keeper;
use mounted::Mounted;
use review::{BadReview, Request, Verdict};
use tls::{Served, Tls};

/// Environment variable of the port; without it there is no webhook.
pub const PORT_VARIABLE: &str = "WEBHOOK_SERVER_PORT";
/// A review has the object twice, and each has at most 3 MiB.
const BODY_BYTES_MAX: usize = 8 << 20;
/// How often certificates are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

/// How the webhook is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Port on all addresses.
    pub port: u16,
    /// Name of the Service, in the operator's namespace.
    pub service: String,
    /// Name of the `ValidatingWebhookConfiguration` and the `MutatingWebhookConfiguration`.
    pub configuration: String,
    /// Name of the Secret with the certificate that drey makes for itself.
    pub secret: String,
    /// Directory with `tls.crt` and `tls.key` of somebody else's making; without it drey makes its own.
    pub directory: Option<PathBuf>,
    /// How often certificates are looked at.
    pub check_interval: Duration,
}

/// Why the webhook cannot be configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable `{PORT_VARIABLE}` is `{0}`, expected a port, such as `9443`")]
pub struct BadPort(String);

impl WebhookConfig {
    /// The names of the operator's chart in this namespace.
    #[must_use]
    pub fn named_as_by_the_chart(port: u16, own_namespace: &str) -> WebhookConfig {
        WebhookConfig {
            port,
            service: "flink-operator-webhook-service".to_owned(),
            configuration: format!("flink-operator-{own_namespace}-webhook-configuration"),
            secret: "drey-webhook-certificate".to_owned(),
            directory: None,
            check_interval: CHECK_INTERVAL,
        }
    }

    /// What the environment says, given a way to read its variables; `None` when there is to be no webhook.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `WEBHOOK_SERVER_PORT` | the port; without it there is no webhook |
    /// | `WEBHOOK_CERT_DIR` | directory with `tls.crt` and `tls.key` |
    /// | `WEBHOOK_KEYSTORE_FILE` | its directory counts when `tls.crt` is there; the key store itself is not read |
    /// | `WEBHOOK_SERVICE_NAME`, `WEBHOOK_CONFIGURATION_NAME`, `WEBHOOK_SECRET_NAME` | other names than the chart's |
    ///
    /// # Errors
    /// A port that is none.
    pub fn of_environment(
        variable: impl Fn(&str) -> Option<String>,
        own_namespace: &str,
    ) -> Result<Option<WebhookConfig>, BadPort> {
        let Some(port) = variable(PORT_VARIABLE) else { return Ok(None) };
        let port = port.trim().parse().ok().filter(|port| *port != 0).ok_or(BadPort(port))?;
        let chart = WebhookConfig::named_as_by_the_chart(port, own_namespace);
        let beside_key_store = || {
            let directory = PathBuf::from(variable("WEBHOOK_KEYSTORE_FILE")?).parent()?.to_owned();
            directory.join(mounted::CERTIFICATE_FILE).exists().then_some(directory)
        };
        Ok(Some(WebhookConfig {
            service: variable("WEBHOOK_SERVICE_NAME").unwrap_or(chart.service),
            configuration: variable("WEBHOOK_CONFIGURATION_NAME").unwrap_or(chart.configuration),
            secret: variable("WEBHOOK_SECRET_NAME").unwrap_or(chart.secret),
            directory: variable("WEBHOOK_CERT_DIR").map(PathBuf::from).or_else(beside_key_store),
            ..chart
        }))
    }
}

/// What the webhook judges by, and how.
pub(crate) struct Means {
    /// The Kubernetes API.
    pub(crate) client: Client,
    /// Namespace of the operator itself.
    pub(crate) own_namespace: String,
    /// Defaults of resources, as they were read at the start.
    pub(crate) defaults: Defaults,
    /// Where they are read again, and how often, if they are.
    pub(crate) reread: Option<(Sources, Duration)>,
}

/// What the metrics and the probes see of it.
#[derive(Debug, Default)]
pub(crate) struct WebhookStatus {
    served: Arc<Served>,
    failure: Mutex<Option<String>>,
    /// Reviews by path and result.
    pub(crate) reviews: Family<Vec<(String, String)>, Counter>,
}

impl WebhookStatus {
    /// Why nobody can be answered, if that is so.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if self.served.get().is_some() {
            return None;
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(format!("the webhook has no certificate: {}", failure.as_deref().unwrap_or("starting")))
    }

    /// A failure is told once, and again when it is another one.
    fn tell(&self, outcome: Result<(), String>) {
        let mut known = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = outcome.err();
        if *known == failure {
            return;
        }
        match &failure {
            Some(why) => tracing::error!("webhook: {why}"),
            None => tracing::info!("webhook: the certificate is in order again"),
        }
        *known = failure;
    }
}

struct Shared {
    status: Arc<WebhookStatus>,
    defaults: Mutex<Arc<Defaults>>,
}

/// Serves until the future is dropped. Certificates come and go meanwhile.
pub(crate) async fn serve(
    listener: TcpListener,
    config: WebhookConfig,
    means: Means,
    status: Arc<WebhookStatus>,
) -> std::io::Result<()> {
    let tls = Tls::over(listener, status.served.clone())?;
    let Means { client, own_namespace, defaults, reread } = means;
    let shared = Arc::new(Shared { status: status.clone(), defaults: Mutex::new(Arc::new(defaults)) });
    tokio::select! {
        ended = async { axum::serve(tls, router(shared.clone())).await } => ended,
        () = keep_certificate(client, own_namespace, config, &status) => Ok(()),
        () = follow_defaults(reread, &shared) => Ok(()),
    }
}

/// Looks after the certificate for ever.
async fn keep_certificate(client: Client, namespace: String, config: WebhookConfig, status: &WebhookStatus) {
    let WebhookConfig { port: _, service, configuration, secret, directory, check_interval } = config;
    let keeper = Keeper { client, namespace, secret, service, configuration };
    let mut mounted = directory.as_deref().map(Mounted::at);
    loop {
        let outcome = match &mut mounted {
            Some(mounted) => serve_mounted(mounted, &status.served),
            None => serve_own(&keeper, &status.served).await,
        };
        let pause = if outcome.is_ok() { check_interval } else { check_interval.min(RETRY) };
        status.tell(outcome);
        sleep(pause).await;
    }
}

fn serve_mounted(mounted: &mut Mounted, served: &Served) -> Result<(), String> {
    let changed = mounted.changed().map_err(|error| error.to_string())?;
    if let Some(key) = changed {
        tracing::info!("webhook: the certificate that is mounted is served");
        served.set(key);
    }
    Ok(())
}

async fn serve_own(keeper: &Keeper, served: &Served) -> Result<(), String> {
    let papers = keeper.papers(now_s()).await.map_err(|error| error.to_string())?;
    let key = papers.certified_key().map_err(|error| error.to_string())?;
    // Its authority was trusted before, or is the first one; see `papers`.
    if served.get().is_none_or(|known| known.cert != key.cert) {
        served.set(key);
    }
    keeper.inject(&papers).await.map_err(|error| error.to_string())
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Whoever leads tells what is wrong with the files; here what was read before stays.
async fn follow_defaults(reread: Option<(Sources, Duration)>, shared: &Shared) {
    let Some((sources, interval)) = reread else { return std::future::pending().await };
    loop {
        sleep(interval).await;
        let Ok(flat) = sources.read() else { continue };
        let Ok((configuration, _)) = operator::read(&flat) else { continue };
        *shared.defaults.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(configuration.defaults);
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/validate", post(validate))
        .route("/mutate", post(mutate))
        .fallback(async || (StatusCode::NOT_FOUND, "only /validate and /mutate are served\n"))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn validate(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let defaults = shared.defaults.lock().unwrap_or_else(PoisonError::into_inner).clone();
    respond(&shared, "validate", &body, |request| judge::validate(request, &defaults))
}

async fn mutate(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    respond(&shared, "mutate", &body, judge::mutate)
}

fn respond(
    shared: &Shared,
    path: &'static str,
    body: &[u8],
    judge: impl FnOnce(&Request) -> Result<Verdict, BadReview>,
) -> Response {
    let judged = review::read(body).and_then(|request| Ok((judge(&request)?, request.uid)));
    let result = match &judged {
        Ok((Verdict::Allowed | Verdict::Patched(_), _)) => "allowed",
        Ok((Verdict::Refused { .. }, _)) => "refused",
        Err(_) => "bad",
    };
    let labels = vec![("path".to_owned(), path.to_owned()), ("result".to_owned(), result.to_owned())];
    shared.status.reviews.get_or_create(&labels).inc();
    match judged {
        Ok((verdict, uid)) => Json(review::answer(&uid, verdict)).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests;
