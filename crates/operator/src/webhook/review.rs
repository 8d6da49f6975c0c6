//! `AdmissionReview` of `admission.k8s.io/v1`, as far as it is used: in from the API server's JSON, out to it.
//! Refuses to know what is right.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drey_api::kinds;
use serde::Deserialize;
use serde_json::{Value, json};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// How many warnings an answer has at most, and how long each may be: longer ones are cut off by the API server.
const WARNINGS_MAX: usize = 16;
const WARNING_CHARS_MAX: usize = 250;

/// A body that is no review.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no {KIND} of {API_VERSION}: {0}")]
pub(super) struct BadReview(pub(super) String);

/// What the API server asks about.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    /// Id of the question, which is the answer's too.
    pub(super) uid: String,
    /// Kind of the object.
    pub(super) kind: Kind,
    /// What is done to it.
    pub(super) operation: Operation,
    /// Its subresource, if that is meant.
    #[serde(default)]
    pub(super) sub_resource: Option<String>,
    /// Its namespace.
    #[serde(default)]
    pub(super) namespace: String,
    /// The object as it is to be; absent for deletions.
    #[serde(default)]
    pub(super) object: Option<Value>,
    /// The object as it is; absent for creations.
    #[serde(default)]
    pub(super) old_object: Option<Value>,
}

/// A kind with its group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Kind {
    /// API group.
    pub(super) group: String,
    /// Kind.
    pub(super) kind: String,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is taken away.
    Delete,
    /// Somebody connects to it.
    Connect,
}

/// What is said to the API server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It may be.
    Allowed,
    /// It may be, with these operations of a JSON patch.
    Patched(Value),
    /// It may not be.
    Refused {
        /// Why.
        message: String,
        /// What else there is to say.
        warnings: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    #[serde(default)]
    request: Option<Request>,
}

/// Reads the body of a request.
pub(super) fn read(body: &[u8]) -> Result<Request, BadReview> {
    let body: Value = serde_json::from_slice(body).map_err(|error| BadReview(error.to_string()))?;
    let review: Review = kinds::read(&body).map_err(|error| BadReview(error.to_string()))?;
    for (field, found, expected) in
        [("apiVersion", review.api_version, API_VERSION), ("kind", review.kind, KIND)]
    {
        if found != expected {
            return Err(BadReview(format!("{field}: expected `{expected}`, found `{found}`")));
        }
    }
    review.request.ok_or_else(|| BadReview("request: it is missing".to_owned()))
}

/// The body of the answer.
pub(super) fn answer(uid: &str, verdict: Verdict) -> Value {
    let response = match verdict {
        Verdict::Allowed => json!({ "uid": uid, "allowed": true }),
        Verdict::Patched(operations) => json!({
            "uid": uid,
            "allowed": true,
            "patchType": "JSONPatch",
            "patch": STANDARD.encode(operations.to_string()),
        }),
        Verdict::Refused { message, warnings } => json!({
            "uid": uid,
            "allowed": false,
            "status": { "code": 403, "reason": "Forbidden", "message": message },
            "warnings": warnings.iter().take(WARNINGS_MAX).map(|text| cut(text)).collect::<Vec<_>>(),
        }),
    };
    json!({ "apiVersion": API_VERSION, "kind": KIND, "response": response })
}

fn cut(text: &str) -> String {
    text.chars().take(WARNING_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_review_is_told_with_its_field() {
        let request = |request: Value| json!({"apiVersion": API_VERSION, "kind": KIND, "request": request});
        for (body, says) in [
            ("{".to_owned(), "EOF while parsing"),
            ("[]".to_owned(), "expected"),
            (json!({"apiVersion": API_VERSION, "kind": KIND}).to_string(), "request: it is missing"),
            (
                json!({"apiVersion": "admission.k8s.io/v1beta1", "kind": KIND}).to_string(),
                "apiVersion: expected `admission.k8s.io/v1`, found `admission.k8s.io/v1beta1`",
            ),
            (
                json!({"apiVersion": API_VERSION, "kind": "Pod"}).to_string(),
                "kind: expected `AdmissionReview`",
            ),
            (request(json!({"uid": "a"})).to_string(), "request: missing field `kind`"),
            (
                request(json!({"uid": "a", "kind": {"group": "", "kind": "Pod"}, "operation": "LOOK"}))
                    .to_string(),
                "request.operation: unknown variant `LOOK`",
            ),
        ] {
            let error = read(body.as_bytes()).expect_err(&body).to_string();
            assert!(error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn warnings_have_bounds() {
        let warnings = vec!["ä".repeat(1000); 100];
        let answer = answer("a", Verdict::Refused { message: "no".to_owned(), warnings });
        let warnings = answer["response"]["warnings"].as_array().expect("a list");
        assert_eq!(warnings.len(), WARNINGS_MAX);
        assert_eq!(warnings[0].as_str().map(|text| text.chars().count()), Some(WARNING_CHARS_MAX));
    }
}
