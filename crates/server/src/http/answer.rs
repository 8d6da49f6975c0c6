//! Answers that are no data: each says what is wrong and what to do, in one shape. Refuses to log secrets.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request was not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Refusal {
    kind: Kind,
    message: String,
    /// What to do.
    hint: Option<String>,
    /// The field that is meant, if it is one.
    field: Option<String>,
}

/// An answer that is no data.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    error: Refusal,
}

/// What kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ProblemKind")]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    Unauthorized,
    Forbidden,
    ReadOnly,
    NotFound,
    Invalid,
    Conflict,
    Unreachable,
    TooMany,
    Internal,
}

impl Refusal {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Refusal {
        Refusal { kind, message: message.into(), hint: None, field: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn on(mut self, field: impl Into<String>) -> Refusal {
        self.field = Some(field.into());
        self
    }

    fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::ReadOnly => StatusCode::FORBIDDEN,
            Kind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        (status, Json(Problem { error: self })).into_response()
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Refusal {
        match error {
            kube::Error::Api(status) => {
                let kind = match status.code {
                    401 => Kind::Unauthorized,
                    403 => Kind::Forbidden,
                    404 => Kind::NotFound,
                    409 => Kind::Conflict,
                    400..500 => Kind::Invalid,
                    _ => Kind::Unreachable,
                };
                Refusal::new(kind, status.message.clone())
            }
            error => Refusal::new(Kind::Unreachable, format!("the API server does not answer: {error}")),
        }
    }
}

pub(crate) async fn no_such_address() -> Refusal {
    Refusal::new(Kind::NotFound, "there is nothing at this address")
}

pub(crate) async fn no_such_method() -> Response {
    let refusal = Refusal::new(Kind::Invalid, "this address is not asked that way").into_response();
    (StatusCode::METHOD_NOT_ALLOWED, refusal).into_response()
}
