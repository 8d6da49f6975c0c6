//! Routes that say what they are: the document for programs (OpenAPI) is made from the routes themselves and from the types
//! of what they take and answer. Refuses to know what is done at an address.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::answer::Problem;
use crate::server::Shared;

/// Where the document keeps its types.
const TYPES: &str = "/components/schemas";

/// What is done at an address.
pub(super) struct Operation {
    summary: &'static str,
    query: Option<fn() -> Schema>,
    body: Option<TypeOf>,
    answer: Answer,
}

/// Makes the schema of one type.
type TypeOf = fn(&mut SchemaGenerator) -> Schema;

enum Answer {
    Json(TypeOf),
    /// Text of this media type.
    Text(&'static str),
    /// Events of this type, each with its name and data.
    Events(TypeOf),
    /// Another address.
    Elsewhere,
}

fn type_of<T: JsonSchema>(types: &mut SchemaGenerator) -> Schema {
    types.subschema_for::<T>()
}

fn fields_of<T: JsonSchema>() -> Schema {
    types(Contract::Deserialize).into_root_schema_for::<T>()
}

fn types(contract: Contract) -> SchemaGenerator {
    SchemaGenerator::new(SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = TYPES.into();
        settings.meta_schema = None;
        settings.contract = contract;
    }))
}

impl Operation {
    fn new(summary: &'static str, answer: Answer) -> Operation {
        Operation { summary, query: None, body: None, answer }
    }

    /// Answers with a `T`.
    pub(super) fn json<T: JsonSchema>(summary: &'static str) -> Operation {
        Operation::new(summary, Answer::Json(type_of::<T>))
    }

    /// Answers with a text.
    pub(super) fn text(summary: &'static str, media_type: &'static str) -> Operation {
        Operation::new(summary, Answer::Text(media_type))
    }

    /// Answers with one `T` after the other, as server-sent events.
    pub(super) fn events<T: JsonSchema>(summary: &'static str) -> Operation {
        Operation::new(summary, Answer::Events(type_of::<T>))
    }

    /// Leads elsewhere.
    pub(super) fn elsewhere(summary: &'static str) -> Operation {
        Operation::new(summary, Answer::Elsewhere)
    }

    /// What may stand in the query of the address.
    pub(super) fn query<T: JsonSchema>(self) -> Operation {
        Operation { query: Some(fields_of::<T>), ..self }
    }

    /// What is sent with it.
    pub(super) fn body<T: JsonSchema>(self) -> Operation {
        Operation { body: Some(type_of::<T>), ..self }
    }
}

/// Routes, and what they are.
pub(super) struct Described {
    router: Router<Arc<Shared>>,
    paths: Map<String, Value>,
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Described {
    pub(super) fn new() -> Described {
        Described {
            router: Router::new(),
            paths: Map::new(),
            sent: types(Contract::Deserialize),
            answered: types(Contract::Serialize),
        }
    }

    pub(super) fn get<H, T>(self, path: &str, operation: Operation, handler: H) -> Described
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        self.route(path, "get", operation, get(handler))
    }

    pub(super) fn post<H, T>(self, path: &str, operation: Operation, handler: H) -> Described
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        self.route(path, "post", operation, post(handler))
    }

    fn route(
        mut self,
        path: &str,
        method: &str,
        operation: Operation,
        handler: MethodRouter<Arc<Shared>>,
    ) -> Described {
        let Operation { summary, query, body, answer } = operation;
        let status = if matches!(answer, Answer::Elsewhere) { "303" } else { "200" };
        let mut described = json!({
            "summary": summary,
            "parameters": parameters(path, query),
            "responses": {
                (status): self.answer(&answer),
                "default": {
                    "description": "Why not.",
                    "content": { "application/json": { "schema": self.answered.subschema_for::<Problem>() } },
                },
            },
        });
        if let Some(body) = body {
            described["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body(&mut self.sent) } } });
        }
        self.paths.insert(path.to_owned(), json!({ (method): described }));
        self.router = self.router.route(path, handler);
        self
    }

    fn answer(&mut self, answer: &Answer) -> Value {
        let (media_type, schema) = match answer {
            Answer::Json(of) => ("application/json", json!(of(&mut self.answered))),
            Answer::Text(media_type) => (*media_type, json!({ "type": "string" })),
            Answer::Events(of) => ("text/event-stream", json!(of(&mut self.answered))),
            Answer::Elsewhere => return json!({ "description": "It is at `Location`." }),
        };
        json!({ "description": "The answer.", "content": { (media_type): { "schema": schema } } })
    }

    /// The routes, and the document about them.
    pub(super) fn into_parts(mut self) -> (Router<Arc<Shared>>, Value) {
        let mut types = self.sent.take_definitions(true);
        types.extend(self.answered.take_definitions(true));
        types.sort_keys();
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "drey dashboard",
                "version": "v1",
                "description": "What the pages of the dashboard ask. Moments are epoch milliseconds of the server's clock.",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "api/v1", "description": "below the address of the dashboard" }],
            "paths": self.paths,
            "components": { "schemas": types },
        });
        (self.router, document)
    }
}

/// Parts of the path, and of the query: each field of its type is a parameter.
fn parameters(path: &str, query: Option<fn() -> Schema>) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let of_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let of_path = of_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }));
    let fields = query.map(|fields| fields().to_value()["properties"].take());
    let fields = fields.iter().filter_map(Value::as_object).flatten();
    let of_query = fields.map(|(name, schema)| json!({ "name": name, "in": "query", "schema": schema }));
    of_path.chain(of_query).collect()
}
