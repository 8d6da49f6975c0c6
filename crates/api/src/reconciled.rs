//! The encoding of `lastReconciledSpec` and `lastStableSpec`, byte for byte as upstream writes them,
//! because "stable" there is equality of the two strings.
//!
//! ```text
//! {"spec":{<every field, nulls written>},
//!  "resource_metadata":{"apiVersion":"flink.apache.org/v1beta1","firstDeployment":false}}
//! ```
//! Refuses to know when a spec counts as reconciled or stable.

use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use serde_json::{Map, Value, json};

use crate::kinds::{API_VERSION, FlinkDeploymentSpec, JobManagerSpec, ReadError, TaskManagerSpec, read};
use crate::number;

const SPEC: &str = "spec";
const METADATA: &str = "resource_metadata";
const FIRST_DEPLOYMENT: &str = "firstDeployment";

/// Which releases of upstream wrote a spec; what follows is written in the same manner, so that a spec
/// that did not change keeps its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Release 1.15 and older, to which `resources` is unknown.
    #[default]
    Release1_15,
    /// Later releases, which write `resources` as null where there is none.
    Release1_16,
}

/// A spec that was acted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconciled {
    /// The spec, with `job.state` and `job.upgradeMode` as they were reached.
    pub spec: Arc<FlinkDeploymentSpec>,
    /// Whether the first deployment has not been left behind yet.
    pub first_deployment: bool,
    /// Siblings of the spec that upstream does not know; upstream drops them.
    pub extra: Map<String, Value>,
    /// How it was written.
    pub format: Format,
}

/// An encoded spec that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconciledError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object.
    #[error("expected a JSON object")]
    NotAnObject,
    /// A part has a wrong type or an unknown word.
    #[error(transparent)]
    Field(#[from] ReadError),
}

impl Reconciled {
    /// A spec as it is written for the first time.
    #[must_use]
    pub fn new(spec: Arc<FlinkDeploymentSpec>, first_deployment: bool) -> Self {
        Self { spec, first_deployment, extra: Map::new(), format: Format::default() }
    }

    /// The same record with another spec.
    #[must_use]
    pub fn with_spec(&self, spec: Arc<FlinkDeploymentSpec>) -> Self {
        Self { spec, ..self.clone() }
    }
}

/// Writes a spec for `lastReconciledSpec`.
#[must_use]
pub fn encode(reconciled: &Reconciled) -> String {
    let mut spec = serde_json::to_value(&*reconciled.spec).expect("a spec is plain data with text keys");
    if reconciled.format == Format::Release1_16 || uses_resources(&reconciled.spec) {
        write_null_resources(&mut spec);
    }
    let mut envelope = Map::new();
    envelope.insert(SPEC.to_owned(), spec);
    envelope.insert(
        METADATA.to_owned(),
        json!({ "apiVersion": API_VERSION, FIRST_DEPLOYMENT: reconciled.first_deployment }),
    );
    for (key, value) in &reconciled.extra {
        envelope.entry(key).or_insert_with(|| value.clone());
    }
    let mut bytes = Vec::new();
    envelope
        .serialize(&mut Serializer::with_formatter(&mut bytes, Jackson))
        .expect("writing JSON to memory does not fail");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn uses_resources(spec: &FlinkDeploymentSpec) -> bool {
    let job_manager =
        spec.job_manager.as_ref().and_then(|manager: &JobManagerSpec| manager.resources.as_ref());
    let task_manager =
        spec.task_manager.as_ref().and_then(|manager: &TaskManagerSpec| manager.resources.as_ref());
    job_manager.is_some() || task_manager.is_some()
}

/// `resources` stands behind `resource`, the first field.
fn write_null_resources(spec: &mut Value) {
    for manager in ["jobManager", "taskManager"] {
        if let Some(Value::Object(manager)) = spec.get_mut(manager)
            && !manager.contains_key("resources")
        {
            manager.shift_insert(1, "resources".to_owned(), Value::Null);
        }
    }
}

/// Reads a spec from `lastReconciledSpec` or `lastStableSpec`, also in the format of old releases, which
/// is the spec alone.
///
/// # Errors
/// It is not JSON, or a field of it cannot be read.
pub fn decode(text: &str) -> Result<Reconciled, ReconciledError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| ReconciledError::NotJson(error.to_string()))?;
    let Value::Object(mut envelope) = value else {
        return Err(ReconciledError::NotAnObject);
    };
    let Some(metadata) = envelope.shift_remove(METADATA) else {
        envelope.shift_remove("apiVersion");
        let spec = Value::Object(envelope);
        let format = format_of(&spec);
        return Ok(Reconciled { format, ..Reconciled::new(Arc::new(read(&spec)?), false) });
    };
    let spec = envelope.shift_remove(SPEC).unwrap_or_default();
    Ok(Reconciled {
        format: format_of(&spec),
        first_deployment: metadata.get(FIRST_DEPLOYMENT).and_then(Value::as_bool).unwrap_or(false),
        spec: Arc::new(read(&spec).map_err(|error| ReadError { path: below_spec(&error.path), ..error })?),
        extra: envelope,
    })
}

fn below_spec(path: &str) -> String {
    if path == "." { SPEC.to_owned() } else { format!("{SPEC}.{path}") }
}

fn format_of(spec: &Value) -> Format {
    let knows_resources =
        ["jobManager", "taskManager"].iter().any(|manager| spec[*manager].get("resources").is_some());
    if knows_resources { Format::Release1_16 } else { Format::Release1_15 }
}

/// Whether two encoded specs say the same. Upstream compares the strings; two releases of it, or upstream
/// and drey, may have written the same spec in different bytes.
#[must_use]
pub fn same(left: &str, right: &str) -> bool {
    left == right
        || matches!((decode(left), decode(right)), (Ok(left), Ok(right))
            if left.spec == right.spec && left.first_deployment == right.first_deployment)
}

/// Writes JSON as Jackson does: doubles in Java's manner, control characters in capital hexadecimals.
struct Jackson;

impl Formatter for Jackson {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(number::double_text(value).as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        char_escape: CharEscape,
    ) -> io::Result<()> {
        match char_escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
        }
    }
}
