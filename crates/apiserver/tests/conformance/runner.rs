//! Runs probes, which are requests written as data, against any Kubernetes API and says what came back.
//!
//! A probe file holds one JSON object per line; its requests run in order, in a namespace of their own:
//!
//! | member | meaning |
//! |---|---|
//! | `probe` | what is asked, in words |
//! | `send` | method and path; `${ns}` and saved values are filled in, here and in `headers` and `body` |
//! | `headers`, `body`, `raw` | request headers; JSON body; body text that need not be JSON |
//! | `look` | pointers into the answer that are compared; `*` walks an array. Failures compare the whole `Status` |
//! | `save` | name → pointer: keeps a value of the answer for later requests |
//! | `until` | repeats the request until these pointers have these values (`status` is the code) |
//! | `watch` | the answer is a stream of events; `look` applies to each |
//! | `expect` | what kube-apiserver 1.35.4 answered: written by `cargo xtask kube record`, never by hand |
//! | `ours`, `differs` | what this server answers instead, on purpose, and why |

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use regex::Regex;
use serde_json::{Map, Value, json};

/// How long an `until` may take.
const UNTIL_SECONDS_MAX: u64 = 20;

/// What differs from run to run inside texts, and what stands for it.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (r"current: \d+", "current: <n>"),
        (r#"(resourceVersion\\+":\\+")\d+"#, "$1<n>"),
        (r"ResourceVersion in record \(\d+\)", "ResourceVersion in record (<n>)"),
    ]
    .map(|(pattern, stands_for)| (Regex::new(pattern).expect("patterns are constant"), stands_for))
    .into()
});

/// One line of a probe file.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) line: usize,
    pub(crate) members: Map<String, Value>,
}

impl Probe {
    pub(crate) fn name(&self) -> &str {
        self.members["probe"].as_str().expect("`probe` is a text")
    }
}

/// Reads a probe file; panics with the line that is wrong.
pub(crate) fn parse(text: &str) -> Vec<Probe> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let members =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("line {}: {error}", index + 1));
            Probe { line: index + 1, members }
        })
        .collect()
}

/// What a run knows: the API, and the values that probes saved.
pub(crate) struct Runner {
    client: Client,
    saved: BTreeMap<String, String>,
}

impl Runner {
    /// Makes the namespace `namespace` for the probes.
    pub(crate) async fn new(client: Client, namespace: &str) -> Runner {
        let saved = BTreeMap::from([("ns".to_owned(), namespace.to_owned())]);
        let runner = Runner { client, saved };
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let request = http::Request::post("/api/v1/namespaces")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string().into_bytes()))
            .expect("a constant path is a valid request");
        let response = runner.client.send(request).await.expect("the API answers");
        assert_eq!(response.status(), 201, "namespace {namespace} could not be made");
        runner
    }

    /// Sends one probe's request and returns what is compared.
    pub(crate) async fn run(&mut self, probe: &Probe) -> Value {
        let until = probe.members.get("until");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(UNTIL_SECONDS_MAX);
        loop {
            let answer = self.send(probe).await;
            let reached = until.is_none_or(|until| answer.fits(&self.filled(until)));
            if reached || tokio::time::Instant::now() > deadline {
                self.save(probe, &answer);
                return self.observed(probe, &answer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send(&self, probe: &Probe) -> Answer {
        let send = self.fill(probe.members["send"].as_str().expect("`send` is a text"));
        let (method, path) = send.split_once(' ').expect("`send` is a method and a path");
        let mut request = http::Request::builder().method(method).uri(path);
        let mut typed = false;
        if let Some(Value::Object(headers)) = probe.members.get("headers") {
            for (name, value) in headers {
                typed |= name.eq_ignore_ascii_case("content-type");
                request = request.header(name, self.fill(value.as_str().expect("headers are texts")));
            }
        }
        let body = match (probe.members.get("body"), probe.members.get("raw")) {
            (Some(body), _) => self.filled(body).to_string(),
            (None, Some(raw)) => self.fill(raw.as_str().expect("`raw` is a text")),
            (None, None) => String::new(),
        };
        if !body.is_empty() && !typed {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body.into_bytes())).expect("probes are valid requests");
        let response = self.client.send(request).await.expect("the API answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the answer is read to its end").to_bytes();
        let warnings = parts.headers.get_all("warning").iter();
        Answer {
            status: parts.status.as_u16(),
            warnings: warnings.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect(),
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    fn save(&mut self, probe: &Probe, answer: &Answer) {
        let Some(Value::Object(save)) = probe.members.get("save") else { return };
        let body = answer.json();
        for (name, pointer) in save {
            let found = look(&body, pointer.as_str().expect("`save` maps to pointers"));
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            self.saved.insert(name.clone(), text);
        }
    }

    fn observed(&self, probe: &Probe, answer: &Answer) -> Value {
        let pointers = probe.members.get("look").and_then(Value::as_array).cloned().unwrap_or_default();
        let pointers: Vec<String> = pointers.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let mut observed = json!({"status": answer.status});
        if !answer.warnings.is_empty() {
            observed["warnings"] = json!(answer.warnings);
        }
        let watch = probe.members.get("watch").is_some_and(|watch| watch == true);
        if answer.status >= 400 {
            let body = answer.json();
            for member in ["kind", "reason", "message", "details"] {
                if let Some(value) = body.get(member) {
                    observed["fields"][format!("/{member}")] = value.clone();
                }
            }
        } else if watch {
            let lines = answer.text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let events: Vec<Value> = lines
                .map(|event| {
                    let mut seen = json!({"type": event["type"]});
                    for pointer in &pointers {
                        seen[pointer] = look(&event["object"], pointer);
                    }
                    seen
                })
                .collect();
            observed["events"] = json!(events);
        } else {
            let body = answer.json();
            for pointer in &pointers {
                observed["fields"][pointer] = look(&body, pointer);
            }
        }
        self.normalized(observed)
    }

    /// Replaces what differs from run to run by what it stands for.
    fn normalized(&self, value: Value) -> Value {
        self.normalized_at("", value)
    }

    fn normalized_at(&self, member: &str, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.normalized_text(member, &text)),
            Value::Array(list) => list.into_iter().map(|inner| self.normalized_at(member, inner)).collect(),
            Value::Object(map) => {
                let inner = map.into_iter().map(|(key, inner)| {
                    let inner = self.normalized_at(&key, inner);
                    (key, inner)
                });
                inner.collect::<Map<_, _>>().into()
            }
            other => other,
        }
    }

    fn normalized_text(&self, member: &str, text: &str) -> String {
        // Revisions are short numbers, so they are only known by their place.
        let known = |value: &String| value.len() > 7 || member.ends_with("resourceVersion");
        for (name, value) in self.saved.iter().filter(|(_, value)| known(value)) {
            if text == value {
                return format!("${{{name}}}");
            }
        }
        let mut text = text.to_owned();
        for (name, value) in self.saved.iter().filter(|(_, value)| value.len() > 7) {
            text = text.replace(value.as_str(), &format!("${{{name}}}"));
        }
        for (pattern, stands_for) in VARYING.iter() {
            text = pattern.replace_all(&text, *stands_for).into_owned();
        }
        text
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.saved {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        text
    }

    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix("$repeat:") {
                // A long text, without its length in the file.
                Some(count) => json!("x".repeat(count.parse().expect("`$repeat:` is followed by a number"))),
                None => json!(self.fill(text)),
            },
            Value::Array(list) => list.iter().map(|inner| self.filled(inner)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, inner)| (self.fill(key), self.filled(inner)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }
}

struct Answer {
    status: u16,
    warnings: Vec<String>,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn fits(&self, until: &Value) -> bool {
        let body = self.json();
        until.as_object().into_iter().flatten().all(|(pointer, wanted)| match pointer.as_str() {
            "status" => *wanted == json!(self.status),
            pointer => look(&body, pointer) == *wanted,
        })
    }
}

/// A JSON pointer in which `*` stands for every element of an array.
fn look(value: &Value, pointer: &str) -> Value {
    let Some((first, rest)) = pointer.split_once("/*") else {
        return value.pointer(pointer).cloned().unwrap_or(Value::Null);
    };
    let list = value.pointer(first).and_then(Value::as_array);
    list.into_iter().flatten().map(|item| look(item, rest)).collect()
}
