//! From stored bodies to what goes on the wire: plain JSON, metadata only, or a Table, as `Accept` asks.
//!
//! Plain JSON in the stored version is passed through without decoding, because that is nearly all traffic.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::List;
use crate::errors::ApiError;
use crate::event_forms::to_served;
use crate::kinds::{Family, Kind};
use crate::state::decode;
use crate::table;

/// The form of objects that the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Table,
    /// `PartialObjectMetadata`, or its list.
    Metadata,
}

/// What a table's rows carry of their objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

/// How to show objects in one answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) form: Form,
    pub(crate) include: IncludeObject,
    /// For ages in tables.
    pub(crate) now_ms: i64,
}

/// Chooses the first form of an `Accept` header that is served.
pub(crate) fn negotiate(accept: &str) -> Result<Form, ApiError> {
    if accept.trim().is_empty() {
        return Ok(Form::Json);
    }
    for choice in accept.split(',') {
        let mut parts = choice.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        if !matches!(media, "application/json" | "*/*" | "application/*") {
            continue;
        }
        let mut form = Some(Form::Json);
        for parameter in parts {
            form = match parameter.split_once('=') {
                Some(("as", "Table")) => Some(Form::Table),
                Some(("as", "PartialObjectMetadata" | "PartialObjectMetadataList")) => Some(Form::Metadata),
                Some(("as", _)) => None,
                Some(("g", "meta.k8s.io")) | Some(("v", "v1")) | Some(("q" | "charset" | "stream", _)) => {
                    form
                }
                Some(("g" | "v", _)) => None,
                _ => form,
            };
        }
        if let Some(form) = form {
            return Ok(form);
        }
    }
    Err(ApiError::not_acceptable("only the following media types are accepted: application/json"))
}

/// One object.
pub(crate) fn object(kind: &Kind, body: &Bytes, view: View) -> Bytes {
    match view.form {
        Form::Json if kind.is_stored_form() => body.clone(),
        Form::Json => encode(&served(kind, body)),
        Form::Metadata => encode(&metadata_only(&decode(body))),
        Form::Table => {
            let rows = [table::row(kind, &decode(body), view)];
            let revision = decode(body)["metadata"]["resourceVersion"].clone();
            encode(&table::table(kind, rows.into(), json!({"resourceVersion": revision}), true))
        }
    }
}

/// One object inside a watch event; `first` decides whether a table says what its columns are.
pub(crate) fn watched(kind: &Kind, body: &Bytes, view: View, first: bool) -> Bytes {
    match view.form {
        Form::Json | Form::Metadata => object(kind, body, view),
        Form::Table => {
            let value = decode(body);
            let rows = [table::row(kind, &value, view)];
            let revision = value["metadata"]["resourceVersion"].clone();
            encode(&table::table(kind, rows.into(), json!({"resourceVersion": revision}), first))
        }
    }
}

/// A list, in pieces that together are the body.
pub(crate) fn list(list: &List, view: View) -> Vec<Bytes> {
    let kind = &list.kind;
    let mut metadata = json!({"resourceVersion": list.revision.to_string()});
    if let Some(token) = &list.continue_token {
        metadata["continue"] = json!(token);
    }
    if let Some(remaining) = list.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    let (list_kind, api_version) = match view.form {
        Form::Table => {
            let rows = list.bodies.iter().map(|body| table::row(kind, &decode(body), view)).collect();
            return vec![encode(&table::table(kind, rows, metadata, true))];
        }
        Form::Json => (kind.list_kind.clone(), kind.api_version()),
        Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
    };
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
        json!(list_kind),
        json!(api_version)
    );
    // Items of built-in kinds do not repeat their kind, as Go's typed lists do not.
    let typed = view.form == Form::Json && kind.family != Family::Custom && kind.is_stored_form();
    let item_prefix = typed.then(|| {
        format!("{{\"apiVersion\":{},\"kind\":{},", json!(kind.storage_api_version), json!(kind.kind))
    });
    let mut pieces = Vec::with_capacity(list.bodies.len() * 3 + 2);
    pieces.push(Bytes::from(head));
    for (index, body) in list.bodies.iter().enumerate() {
        if index > 0 {
            pieces.push(Bytes::from_static(b","));
        }
        match item_prefix.as_deref().and_then(|prefix| body.strip_prefix(prefix.as_bytes())) {
            Some(rest) => {
                pieces.push(Bytes::from_static(b"{"));
                pieces.push(body.slice_ref(rest));
            }
            None => pieces.push(object(kind, body, view)),
        }
    }
    pieces.push(Bytes::from_static(b"]}"));
    pieces
}

/// The stored object as the kind's version shows it.
pub(crate) fn served(kind: &Kind, body: &[u8]) -> Value {
    let mut value = decode(body);
    if !kind.is_stored_form() {
        to_served(&mut value, kind);
    }
    value
}

/// An object reduced to its metadata.
pub(crate) fn metadata_only(value: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]})
}

pub(crate) fn encode(value: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("a JSON tree with string keys always encodes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("application/json, */*", Form::Json),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form::Table),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Form::Json),
            ("application/vnd.kubernetes.protobuf, application/json", Form::Json),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form::Metadata),
            ("application/json;stream=watch", Form::Json),
        ] {
            assert_eq!(negotiate(accept).unwrap(), form, "{accept}");
        }
        assert_eq!(negotiate("application/vnd.kubernetes.protobuf").unwrap_err().code.as_u16(), 406);
    }
}
