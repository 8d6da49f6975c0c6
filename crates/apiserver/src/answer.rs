//! What a handler gives back, before it is rendered in the form that the client asked for.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::kinds::Kind;

/// The outcome of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) content: Content,
    /// Texts for `Warning` headers.
    pub(crate) warnings: Vec<String>,
    /// What must be on the disk before the answer may leave.
    pub(crate) revision: u64,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// Plain JSON, whatever the client prefers.
    Json(Value),
    /// One object in its stored form.
    Object { kind: Arc<Kind>, body: Bytes },
    /// A list of objects in their stored form.
    List(List),
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) kind: Arc<Kind>,
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) revision: u64,
    pub(crate) continue_token: Option<String>,
    pub(crate) remaining: Option<usize>,
}

impl Answer {
    pub(crate) fn json(code: StatusCode, value: Value) -> Answer {
        Answer { code, content: Content::Json(value), warnings: Vec::new(), revision: 0 }
    }
}
