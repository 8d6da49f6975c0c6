//! A client that changes nothing: whatever would is refused before it is sent. Refuses to know why nothing may be
//! changed.

use std::fmt;

use http::{Method, Request};
use tower::BoxError;

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOnly;

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is changed, because `read-only` is set")
    }
}

impl std::error::Error for ReadOnly {}

/// Lets a request through that changes nothing.
///
/// # Errors
/// [`ReadOnly`] for one that would.
pub fn check<B>(request: Request<B>) -> Result<Request<B>, BoxError> {
    if is_harmless(request.method(), request.uri()) { Ok(request) } else { Err(ReadOnly.into()) }
}

/// Questions about rights are posted, and what is only tried leaves nothing.
fn is_harmless(method: &Method, uri: &http::Uri) -> bool {
    let is_question = ["/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/"]
        .iter()
        .any(|group| uri.path().contains(group));
    let is_tried = uri.query().unwrap_or_default().split('&').any(|pair| pair == "dryRun=All");
    method.is_safe() || (*method == Method::POST && is_question) || is_tried
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_nothing_is_sent() {
        let flink = "/apis/flink.apache.org/v1beta1/namespaces/a/flinkdeployments";
        let expected = [
            ("GET", flink.to_owned(), true),
            ("POST", flink.to_owned(), false),
            ("POST", format!("{flink}?dryRun=All&fieldManager=x"), true),
            ("PATCH", format!("{flink}/a"), false),
            ("DELETE", format!("{flink}/a"), false),
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(), true),
            ("DELETE", "/apis/authorization.k8s.io/v1/x".to_owned(), false),
        ];
        for (method, uri, is_sent) in expected {
            let request = Request::builder().method(method).uri(&uri).body(()).expect("a request");
            assert_eq!(check(request).is_ok(), is_sent, "{method} {uri}");
        }
    }
}
