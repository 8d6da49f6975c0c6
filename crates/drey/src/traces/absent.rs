//! A build without traces. Whoever asks for them is told.

use drey_cli::failure::{Failure, Kind};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Identity;

/// Traces that are being sent: none.
pub(crate) enum Traces {}

impl Traces {
    /// As with the feature; refuses what it cannot do.
    ///
    /// # Errors
    /// The environment asks for traces.
    pub(crate) fn start(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Traces>, Failure> {
        if super::asked_for(variable) {
            return Err(Failure::new(
                Kind::Invalid,
                "`OTEL_EXPORTER_OTLP_ENDPOINT` is set, and this build sends no traces",
            )
            .hint("build it with the feature `traces`, or set `OTEL_SDK_DISABLED=true`"));
        }
        Ok(None)
    }

    /// Listens to nothing.
    pub(crate) fn layer<S: tracing::Subscriber>(&self) -> impl Layer<S> + use<S> {
        Identity::new()
    }

    /// Nothing is left to send.
    pub(crate) async fn finish(self) {}
}
