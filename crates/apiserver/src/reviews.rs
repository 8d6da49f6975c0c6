//! Access reviews: whoever may reach this server may do everything, and is told so.

use http::{Method, StatusCode};
use serde_json::json;

use crate::answer::Answer;
use crate::errors::ApiError;
use crate::kinds::{Family, Kind};
use crate::routes::{Call, json_body};

/// Answers `SelfSubjectAccessReview` and `SelfSubjectRulesReview`.
pub(crate) fn answer(kind: &Kind, call: &Call) -> Result<Answer, ApiError> {
    if call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let mut review = json_body(call)?;
    if !review.is_object() {
        return Err(ApiError::bad_request("the review must be a JSON object with a `spec`"));
    }
    review["apiVersion"] = json!(kind.api_version());
    review["kind"] = json!(kind.kind);
    review["status"] = match kind.family {
        Family::RulesReview => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        _ => json!({"allowed": true, "reason": "this embedded API server allows everything"}),
    };
    Ok(Answer::json(StatusCode::CREATED, review))
}
