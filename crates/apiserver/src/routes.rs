//! Which handler answers a request: method and path to verb. Bodies are read here, under their limits.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::admission::FieldValidation;
use crate::answer::Answer;
use crate::delete::{DeleteOptions, delete, delete_collection, parse_dry_run};
use crate::document::Document;
use crate::errors::ApiError;
use crate::kinds::{Family, Kind, Registry};
use crate::patch::PatchKind;
use crate::path::{Query, ResourcePath, Target};
use crate::protobuf::{self, ProtobufError};
use crate::read::{Freshness, ListRequest, get, list, reach};
use crate::render::{IncludeObject, View, negotiate};
use crate::server::Server;
use crate::watch::{Watch, WatchRequest};
use crate::write::{Change, Part, Scope, WriteOptions, create, read_scale, update, update_scale};
use crate::{discovery, openapi, reviews};

/// A request without its transport.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What comes back: an answer in a view, a stream of events, or finished bytes of some media type.
pub(crate) enum Outcome {
    Answer(Answer, View),
    Watch(Box<Watch>),
    Document { media_type: &'static str, body: Bytes },
}

impl Call {
    fn header(&self, name: http::header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn accept(&self) -> &str {
        self.header(http::header::ACCEPT)
    }

    /// The media type of the body, without parameters.
    fn media_type(&self) -> &str {
        self.header(http::header::CONTENT_TYPE).split(';').next().unwrap_or("").trim()
    }
}

/// Answers one request.
pub(crate) async fn dispatch(
    server: &Server,
    call: &Call,
    stop: &CancellationToken,
) -> Result<Outcome, ApiError> {
    let registry = std::sync::Arc::clone(&server.shared.lock().registry);
    let reply = |value: Value| Ok(Outcome::Answer(Answer::json(StatusCode::OK, value), plain_view(server)));
    if let Target::Resource(path) = &call.target {
        return resource(server, call, path, &registry, stop).await;
    }
    if call.method != Method::GET && call.method != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    match &call.target {
        Target::Resource(_) => unreachable_target(),
        Target::Root => reply(discovery::root(&registry)),
        Target::Health => {
            Ok(Outcome::Document { media_type: "text/plain; charset=utf-8", body: Bytes::from_static(b"ok") })
        }
        Target::Version => reply(discovery::version()),
        Target::CoreVersions => discovered(discovery::core(&registry, call.accept())),
        Target::Groups => discovered(discovery::groups(&registry, call.accept())),
        Target::Group(group) => reply(discovery::group(&registry, group).ok_or_else(|| unserved(group))?),
        Target::Resources { group, version } => {
            reply(discovery::resources(&registry, group, version).ok_or_else(|| unserved(group))?)
        }
        Target::OpenApiV2 => openapi::v2(server, &registry, call.accept()).map(finished),
        Target::OpenApiV3 => reply(openapi::v3_index(&registry)),
        Target::OpenApiV3Group { group, version } => {
            reply(openapi::v3(server, &registry, group, version).ok_or_else(ApiError::no_such_resource)?)
        }
        Target::Unknown => Err(ApiError::page_not_found()),
    }
}

fn unreachable_target() -> Result<Outcome, ApiError> {
    Err(ApiError::internal("resources are dispatched before documents"))
}

fn finished((media_type, body): (&'static str, Bytes)) -> Outcome {
    Outcome::Document { media_type, body }
}

fn discovered((media_type, value): (&'static str, Value)) -> Result<Outcome, ApiError> {
    Ok(Outcome::Document { media_type, body: crate::render::encode(&value) })
}

fn plain_view(server: &Server) -> View {
    View { form: crate::render::Form::Json, include: IncludeObject::Metadata, now_ms: server.clock.now_ms() }
}

async fn resource(
    server: &Server,
    call: &Call,
    path: &ResourcePath,
    registry: &Registry,
    stop: &CancellationToken,
) -> Result<Outcome, ApiError> {
    let kind =
        registry.find(&path.group, &path.version, &path.plural).ok_or_else(|| unserved(&path.group))?;
    let scope =
        Scope { kind: std::sync::Arc::clone(kind), namespace: path.namespace.clone().unwrap_or_default() };
    if !scope.kind.namespaced && path.namespace.is_some() {
        return Err(unserved(&path.group));
    }
    if kind.is_virtual() {
        return reviews::answer(kind, call).map(|answer| Outcome::Answer(answer, plain_view(server)));
    }
    let view = View {
        form: negotiate(call.accept())?,
        include: match call.query.get("includeObject") {
            Some("None") => IncludeObject::None,
            Some("Object") => IncludeObject::Object,
            _ => IncludeObject::Metadata,
        },
        now_ms: server.clock.now_ms(),
    };
    let outcome = match (&path.name, &path.subresource) {
        (None, _) => collection(server, call, &scope, view, stop).await,
        (Some(_), _) if kind.namespaced && path.namespace.is_none() => Err(ApiError::no_such_resource()),
        (Some(name), None) => single(server, call, &scope, name, view).await,
        (Some(name), Some(subresource)) => subresource_call(server, call, &scope, name, subresource)
            .map(|answer| Outcome::Answer(answer, view)),
    };
    with_deprecation(outcome, kind)
}

/// Paths in built-in groups are answered with a `Status`; others belong to nobody.
fn unserved(group: &str) -> ApiError {
    let builtin = group.is_empty() || group == "apps" || group.ends_with(".k8s.io");
    if builtin { ApiError::no_such_resource() } else { ApiError::page_not_found() }
}

fn with_deprecation(outcome: Result<Outcome, ApiError>, kind: &Kind) -> Result<Outcome, ApiError> {
    let Some(text) = &kind.deprecation else { return outcome };
    match outcome {
        Ok(Outcome::Answer(mut answer, view)) => {
            answer.warnings.insert(0, text.clone());
            Ok(Outcome::Answer(answer, view))
        }
        Err(mut error) => {
            error.warn(text);
            Err(error)
        }
        Ok(other) => Ok(other),
    }
}

fn not_allowed(call: &Call, kind: &Kind) -> ApiError {
    let verb = match call.method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    };
    match kind.family {
        Family::Custom => ApiError::verb_not_supported(&kind.qualified(), verb),
        _ => ApiError::method_not_allowed(),
    }
}

async fn collection(
    server: &Server,
    call: &Call,
    scope: &Scope,
    view: View,
    stop: &CancellationToken,
) -> Result<Outcome, ApiError> {
    match call.method {
        Method::GET | Method::HEAD if call.query.flag("watch") => {
            start_watch(server, call, scope, view, stop).await
        }
        Method::GET | Method::HEAD => {
            let request = ListRequest::parse(&call.query, scope)?;
            Ok(Outcome::Answer(list(server, scope, &request).await?, view))
        }
        Method::POST if scope.kind.namespaced && scope.namespace.is_empty() => {
            Err(ApiError::method_not_allowed())
        }
        Method::POST => {
            let options = write_options(&call.query, "CreateOptions")?;
            let document = document(call, &scope.kind)?;
            Ok(Outcome::Answer(create(server, scope, document, options)?, view))
        }
        Method::DELETE if scope.kind.namespaced && scope.namespace.is_empty() => {
            Err(ApiError::method_not_allowed())
        }
        // Namespaces go one by one, as in the real server.
        Method::DELETE if scope.kind.family == Family::Namespace => Err(ApiError::method_not_allowed()),
        Method::DELETE => {
            let options = delete_options(call)?;
            Ok(Outcome::Answer(delete_collection(server, scope, &call.query, &options)?, view))
        }
        _ => Err(not_allowed(call, &scope.kind)),
    }
}

async fn single(
    server: &Server,
    call: &Call,
    scope: &Scope,
    name: &str,
    view: View,
) -> Result<Outcome, ApiError> {
    let answer = match call.method {
        Method::GET | Method::HEAD => {
            if let Freshness::NotOlderThan(revision) | Freshness::Exactly(revision) =
                Freshness::of_query(&call.query)?
            {
                reach(server, revision).await?;
            }
            get(server, scope, name)?
        }
        Method::PUT => {
            let options = write_options(&call.query, "UpdateOptions")?;
            update(server, scope, name, Part::Main, Change::Replace(document(call, &scope.kind)?), options)?
        }
        Method::PATCH => {
            let options = write_options(&call.query, "PatchOptions")?;
            update(server, scope, name, Part::Main, patch_body(call, scope)?, options)?
        }
        Method::DELETE => delete(server, scope, name, &delete_options(call)?)?,
        _ => return Err(not_allowed(call, &scope.kind)),
    };
    Ok(Outcome::Answer(answer, view))
}

async fn start_watch(
    server: &Server,
    call: &Call,
    scope: &Scope,
    view: View,
    stop: &CancellationToken,
) -> Result<Outcome, ApiError> {
    let request = WatchRequest::parse(&call.query, scope)?;
    let watch = Watch::start(server.clone(), scope.clone(), request, view, stop.clone()).await?;
    Ok(Outcome::Watch(Box::new(watch)))
}

fn subresource_call(
    server: &Server,
    call: &Call,
    scope: &Scope,
    name: &str,
    subresource: &str,
) -> Result<Answer, ApiError> {
    let kind = &scope.kind;
    let change = || match call.method {
        Method::PUT => {
            Ok((Change::Replace(document(call, &scope.kind)?), write_options(&call.query, "UpdateOptions")?))
        }
        Method::PATCH => Ok((patch_body(call, scope)?, write_options(&call.query, "PatchOptions")?)),
        _ => Err(not_allowed(call, kind)),
    };
    match (subresource, kind.family) {
        ("status", _) if kind.status => match call.method {
            Method::GET | Method::HEAD => get(server, scope, name),
            _ => {
                let (change, options) = change()?;
                update(server, scope, name, Part::Status, change, options)
            }
        },
        ("scale", _) if kind.scale.is_some() => match call.method {
            Method::GET | Method::HEAD => read_scale(server, scope, name),
            _ => {
                let (change, options) = change()?;
                update_scale(server, scope, name, change, options)
            }
        },
        ("finalize", Family::Namespace) => Err(ApiError::not_implemented(
            "namespaces/finalize: namespaces are finalized when they are empty",
        )),
        ("log" | "exec" | "attach" | "portforward" | "proxy" | "eviction" | "binding", Family::Pod)
        | ("proxy", Family::Service)
        | ("token", Family::ServiceAccount) => {
            Err(ApiError::not_implemented(&format!("{}/{subresource}", kind.plural)))
        }
        (_, Family::Custom) => Err(ApiError::not_found(&kind.qualified(), name)),
        _ => Err(ApiError::no_such_resource()),
    }
}

/// The body as JSON; other encodings are named and refused, so that clients fall back.
pub(crate) fn json_body(call: &Call) -> Result<Value, ApiError> {
    match call.media_type() {
        "" | "application/json" | "*/*" => parse_json(&call.body),
        "application/vnd.kubernetes.protobuf" => match protobuf::decode(&call.body) {
            Ok(value) => Ok(value),
            Err(error @ ProtobufError::Malformed) => Err(ApiError::bad_request(error.to_string())),
            Err(error) => Err(ApiError::unsupported_media_type(error.to_string())),
        },
        _ => Err(ApiError::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json",
        )),
    }
}

/// The body as an object of `kind`.
fn document(call: &Call, kind: &Kind) -> Result<Document, ApiError> {
    match call.media_type() {
        "" | "application/json" | "*/*" => Document::parse(&call.body, &kind.kind),
        _ => json_body(call).map(Document::from),
    }
}

fn parse_json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_request(format!("the object provided is unrecognized (must be valid JSON): {error}"))
    })
}

fn patch_body(call: &Call, scope: &Scope) -> Result<Change, ApiError> {
    let kind = match call.media_type() {
        "application/json-patch+json" => PatchKind::Json,
        "application/merge-patch+json" => PatchKind::Merge,
        "application/strategic-merge-patch+json" if scope.kind.family != Family::Custom => {
            PatchKind::Strategic
        }
        "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
            return Err(ApiError::unsupported_media_type(
                "this embedded API server does not implement server-side apply (application/apply-patch+yaml): use \
                 `kubectl apply` without `--server-side`, or application/merge-patch+json",
            ));
        }
        _ => {
            return Err(match scope.kind.family {
                Family::Custom => ApiError::unsupported_media_type(
                    "the body of the request was in an unknown format - accepted media types include: \
                     application/json-patch+json, application/merge-patch+json",
                ),
                _ => ApiError::unsupported_media_type("415: Unsupported Media Type").without_details(),
            });
        }
    };
    let patch = serde_json::from_slice(&call.body)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    Ok(Change::Patch(kind, patch))
}

fn delete_options(call: &Call) -> Result<DeleteOptions, ApiError> {
    let body = if call.body.is_empty() { None } else { Some(json_body(call)?) };
    DeleteOptions::parse(body.as_ref(), &call.query)
}

fn write_options(query: &Query, options: &str) -> Result<WriteOptions, ApiError> {
    let unknown_fields = match query.get("fieldValidation") {
        None | Some("Warn") => FieldValidation::Warn,
        Some("Strict") => FieldValidation::Strict,
        Some("Ignore") => FieldValidation::Ignore,
        Some(other) => {
            let supported = ["\"\"", "\"Ignore\"", "\"Strict\"", "\"Warn\""].map(str::to_owned);
            let error = crate::errors::FieldError::unsupported("fieldValidation", &json!(other), &supported);
            return Err(ApiError::invalid("meta.k8s.io", options, "", &[error]));
        }
    };
    Ok(WriteOptions { dry_run: parse_dry_run(query.get("dryRun"), options)?, unknown_fields })
}
