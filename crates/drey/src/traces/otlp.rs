//! Sends traces by OTLP over HTTP to where the standard `OTEL_*` variables say. Refuses to know what is traced.

use std::time::Duration;

use async_trait::async_trait;
use drey_cli::failure::{Failure, Kind};
use drey_engine::spans;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// The service's name, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` gives one.
const SERVICE_NAME: &str = "drey-operator";
/// How long the last spans may take on their way out when the operator ends.
const LAST_SPANS: Duration = Duration::from_secs(5);
/// An answer of a collector is an empty message, or says how many spans it did not take.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Traces that are being sent.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends traces from now on, when the environment asks for it. `variable` reads a variable that is not empty.
    ///
    /// # Errors
    /// A variable that asks for what cannot be done.
    pub(crate) fn start(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Traces>, Failure> {
        if !super::asked_for(&variable) {
            return Ok(None);
        }
        over_http(&variable)?;
        let client = OnRuntime { http: http(&variable)?, runtime: Handle::current() };
        let exporter =
            SpanExporter::builder().with_http().with_http_client(client).build().map_err(|error| {
                Failure::new(Kind::Invalid, format!("traces cannot be sent: {error}"))
                    .hint("the variables `OTEL_EXPORTER_OTLP_*` say where and how")
            })?;
        let mut resource = Resource::builder();
        let named = variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains("service.name="));
        if !named && variable("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(SERVICE_NAME);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Some(Traces { provider }))
    }

    /// What listens to the spans of the engine, and to what is logged inside them.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.provider.tracer("drey");
        let listens = Targets::new()
            .with_target(spans::TARGET, LevelFilter::TRACE)
            .with_target("drey_engine", LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(listens)
    }

    /// Sends what is left.
    pub(crate) async fn finish(self) {
        // It blocks until the exporter is done, which needs this runtime.
        let ended =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST_SPANS)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// The exporter speaks from a thread of its own; the connections belong to the runtime.
#[derive(Debug)]
struct OnRuntime {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), reqwest::Request::try_from(request)?);
        self.runtime.spawn(async move { send(&http, request).await }).await?
    }
}

async fn send(http: &reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, HttpError> {
    let mut answer = http.execute(request).await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(answer.headers());
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(format!("the collector's answer is longer than {ANSWER_BYTES_MAX} bytes").into());
        }
        body.extend_from_slice(&part);
    }
    Ok(response.body(body.into())?)
}

/// Refuses another protocol than the one that is spoken.
fn over_http(variable: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        if let Some(protocol) = variable(name) {
            if protocol == "http/protobuf" {
                return Ok(());
            }
            return Err(Failure::new(
                Kind::Invalid,
                format!("`{name}={protocol}`: traces are sent by `http/protobuf`"),
            )
            .hint("collectors take it on port 4318"));
        }
    }
    Ok(())
}

/// Connections to the collector, which may have a certificate authority of its own.
fn http(variable: impl Fn(&str) -> Option<String>) -> Result<reqwest::Client, Failure> {
    let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let names = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
    if let Some((name, path)) = names.iter().find_map(|name| Some((name, variable(name)?))) {
        let refuse = |error: String| Failure::new(Kind::Invalid, format!("`{name}={path}`: {error}"));
        let pem = std::fs::read(&path).map_err(|error| refuse(error.to_string()))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| refuse(error.to_string()))?;
        client = client.tls_certs_merge(roots);
    }
    crate::reach::built(client)
}
