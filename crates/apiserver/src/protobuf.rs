//! Reads the protobuf form of the few kinds that kubectl sends in it (`kubectl create namespace`, `auth
//! can-i`, …) into JSON. Answers are always JSON, which those clients accept.
//!
//! A kind or field without a table here is refused by name, never dropped.

use base64::Engine as _;
use serde_json::{Map, Value, json};

/// Every protobuf body of Kubernetes begins so.
const MAGIC: &[u8] = b"k8s\0";

/// How one field becomes JSON.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Base64,
    Integer,
    Flag,
    Time,
    Nested(&'static [Field]),
    /// A map of texts to texts.
    Texts,
    /// A map of texts to bytes.
    Bytes,
    List(&'static Shape),
    /// Known, and of no interest to this server.
    Dropped,
}

/// Number, JSON name, shape.
type Field = (u64, &'static str, Shape);

const OWNER_REFERENCE: &[Field] = &[
    (1, "kind", Shape::Text),
    (3, "name", Shape::Text),
    (4, "uid", Shape::Text),
    (5, "apiVersion", Shape::Text),
    (6, "controller", Shape::Flag),
    (7, "blockOwnerDeletion", Shape::Flag),
];

const METADATA: &[Field] = &[
    (1, "name", Shape::Text),
    (2, "generateName", Shape::Text),
    (3, "namespace", Shape::Text),
    (4, "selfLink", Shape::Dropped),
    (5, "uid", Shape::Text),
    (6, "resourceVersion", Shape::Text),
    (7, "generation", Shape::Dropped),
    (8, "creationTimestamp", Shape::Time),
    (9, "deletionTimestamp", Shape::Time),
    (10, "deletionGracePeriodSeconds", Shape::Integer),
    (11, "labels", Shape::Texts),
    (12, "annotations", Shape::Texts),
    (13, "ownerReferences", Shape::List(&Shape::Nested(OWNER_REFERENCE))),
    (14, "finalizers", Shape::List(&Shape::Text)),
    (17, "managedFields", Shape::Dropped),
];

const NAMESPACE: &[Field] = &[
    (1, "metadata", Shape::Nested(METADATA)),
    (2, "spec", Shape::Nested(&[(1, "finalizers", Shape::List(&Shape::Text))])),
    (3, "status", Shape::Dropped),
];

const CONFIG_MAP: &[Field] = &[
    (1, "metadata", Shape::Nested(METADATA)),
    (2, "data", Shape::Texts),
    (3, "binaryData", Shape::Bytes),
    (4, "immutable", Shape::Flag),
];

const SECRET: &[Field] = &[
    (1, "metadata", Shape::Nested(METADATA)),
    (2, "data", Shape::Bytes),
    (3, "type", Shape::Text),
    (4, "stringData", Shape::Texts),
    (5, "immutable", Shape::Flag),
];

const SERVICE_ACCOUNT: &[Field] = &[
    (1, "metadata", Shape::Nested(METADATA)),
    (2, "secrets", Shape::List(&Shape::Nested(&[(3, "name", Shape::Text), (2, "namespace", Shape::Text)]))),
    (3, "imagePullSecrets", Shape::List(&Shape::Nested(&[(1, "name", Shape::Text)]))),
    (4, "automountServiceAccountToken", Shape::Flag),
];

const LEASE: &[Field] = &[
    (1, "metadata", Shape::Nested(METADATA)),
    (
        2,
        "spec",
        Shape::Nested(&[
            (1, "holderIdentity", Shape::Text),
            (2, "leaseDurationSeconds", Shape::Integer),
            (3, "acquireTime", Shape::Time),
            (4, "renewTime", Shape::Time),
            (5, "leaseTransitions", Shape::Integer),
            (6, "strategy", Shape::Text),
            (7, "preferredHolder", Shape::Text),
        ]),
    ),
];

const ACCESS_REVIEW: &[Field] = &[
    (1, "metadata", Shape::Nested(METADATA)),
    (
        2,
        "spec",
        Shape::Nested(&[
            (
                1,
                "resourceAttributes",
                Shape::Nested(&[
                    (1, "namespace", Shape::Text),
                    (2, "verb", Shape::Text),
                    (3, "group", Shape::Text),
                    (4, "version", Shape::Text),
                    (5, "resource", Shape::Text),
                    (6, "subresource", Shape::Text),
                    (7, "name", Shape::Text),
                ]),
            ),
            (
                2,
                "nonResourceAttributes",
                Shape::Nested(&[(1, "path", Shape::Text), (2, "verb", Shape::Text)]),
            ),
        ]),
    ),
    (3, "status", Shape::Dropped),
];

const RULES_REVIEW: &[Field] = &[
    (1, "metadata", Shape::Nested(METADATA)),
    (2, "spec", Shape::Nested(&[(1, "namespace", Shape::Text)])),
    (3, "status", Shape::Dropped),
];

const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Shape::Integer),
    (2, "preconditions", Shape::Nested(&[(1, "uid", Shape::Text), (2, "resourceVersion", Shape::Text)])),
    (3, "orphanDependents", Shape::Flag),
    (4, "propagationPolicy", Shape::Text),
    (5, "dryRun", Shape::List(&Shape::Text)),
    (6, "ignoreStoreReadErrorWithClusterBreakingPotential", Shape::Dropped),
];

const ENVELOPE: &[Field] = &[
    (1, "type", Shape::Nested(&[(1, "apiVersion", Shape::Text), (2, "kind", Shape::Text)])),
    (2, "raw", Shape::Base64),
    (3, "contentEncoding", Shape::Text),
    (4, "contentType", Shape::Text),
];

fn table(kind: &str) -> Option<&'static [Field]> {
    match kind {
        "Namespace" => Some(NAMESPACE),
        "ConfigMap" => Some(CONFIG_MAP),
        "Secret" => Some(SECRET),
        "ServiceAccount" => Some(SERVICE_ACCOUNT),
        "Lease" => Some(LEASE),
        "SelfSubjectAccessReview" => Some(ACCESS_REVIEW),
        "SelfSubjectRulesReview" => Some(RULES_REVIEW),
        "DeleteOptions" => Some(DELETE_OPTIONS),
        _ => None,
    }
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    #[error("the protobuf body is cut off or malformed")]
    Malformed,
    #[error(
        "protobuf bodies of kind `{kind}` are not read by this embedded API server: send application/json"
    )]
    Kind { kind: String },
    #[error(
        "protobuf field {number} of `{message}` is not read by this embedded API server: send application/json"
    )]
    Field { message: String, number: u64 },
}

/// Decodes a whole body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let body = body.strip_prefix(MAGIC).ok_or(ProtobufError::Malformed)?;
    let envelope = message(body, ENVELOPE, "Unknown")?;
    let kind = envelope["type"]["kind"].as_str().unwrap_or("").to_owned();
    let fields = table(&kind).ok_or_else(|| ProtobufError::Kind { kind: kind.clone() })?;
    let raw = base64::engine::general_purpose::STANDARD
        .decode(envelope["raw"].as_str().unwrap_or(""))
        .map_err(|_| ProtobufError::Malformed)?;
    let inner = message(&raw, fields, &kind)?;
    let mut value = json!({"apiVersion": envelope["type"]["apiVersion"], "kind": kind});
    if let (Value::Object(value), Value::Object(inner)) = (&mut value, inner) {
        value.extend(inner);
    }
    Ok(value)
}

/// A field's raw content.
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(ProtobufError::Malformed)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Malformed)
    }

    fn field(&mut self) -> Result<(u64, Content<'a>), ProtobufError> {
        let key = self.number()?;
        let content = match key & 7 {
            0 => Content::Number(self.number()?),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| ProtobufError::Malformed)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Malformed)?;
                self.rest = rest;
                Content::Bytes(bytes)
            }
            _ => return Err(ProtobufError::Malformed),
        };
        Ok((key >> 3, content))
    }
}

fn message(bytes: &[u8], fields: &[Field], name: &str) -> Result<Value, ProtobufError> {
    let mut reader = Reader { rest: bytes };
    let mut value = Map::new();
    while !reader.rest.is_empty() {
        let (number, content) = reader.field()?;
        let Some((_, member, shape)) = fields.iter().find(|(known, ..)| *known == number) else {
            return Err(ProtobufError::Field { message: name.to_owned(), number });
        };
        insert(&mut value, member, *shape, &content)?;
    }
    Ok(Value::Object(value))
}

fn insert(
    target: &mut Map<String, Value>,
    member: &str,
    shape: Shape,
    content: &Content<'_>,
) -> Result<(), ProtobufError> {
    match (shape, content) {
        (Shape::Dropped, _) => {}
        (Shape::List(item), content) => {
            let mut one = Map::new();
            insert(&mut one, "item", *item, content)?;
            let list = target.entry(member.to_owned()).or_insert_with(|| json!([]));
            if let (Some(list), Some(item)) = (list.as_array_mut(), one.shift_remove("item")) {
                list.push(item);
            }
        }
        (Shape::Texts | Shape::Bytes, Content::Bytes(bytes)) => {
            let value = if matches!(shape, Shape::Texts) { Shape::Text } else { Shape::Base64 };
            let fields = [(1, "key", Shape::Text), (2, "value", value)];
            let entry = message(bytes, &fields, member)?;
            let map = target.entry(member.to_owned()).or_insert_with(|| json!({}));
            let text = |part: &str| entry[part].as_str().unwrap_or("").to_owned();
            map[text("key")] = json!(text("value"));
        }
        (shape, content) => {
            if let Some(value) = scalar(shape, content, member)? {
                target.insert(member.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// Empty texts and times are how Go writes absent ones.
fn scalar(shape: Shape, content: &Content<'_>, member: &str) -> Result<Option<Value>, ProtobufError> {
    Ok(match (shape, content) {
        (Shape::Text, Content::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| ProtobufError::Malformed)?;
            (!text.is_empty()).then(|| json!(text))
        }
        (Shape::Base64, Content::Bytes(bytes)) => {
            Some(json!(base64::engine::general_purpose::STANDARD.encode(bytes)))
        }
        (Shape::Integer, Content::Number(number)) => Some(json!(number.cast_signed())),
        (Shape::Flag, Content::Number(number)) => Some(json!(*number != 0)),
        (Shape::Time, Content::Bytes(bytes)) => {
            let fields = [(1, "seconds", Shape::Integer), (2, "nanos", Shape::Integer)];
            let time = message(bytes, &fields, "Time")?;
            time["seconds"].as_i64().map(|seconds| json!(crate::clock::seconds_text(seconds)))
        }
        (Shape::Nested(fields), Content::Bytes(bytes)) => Some(message(bytes, fields, member)?),
        _ => return Err(ProtobufError::Malformed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
        let typed = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &typed), field(2, raw), field(3, b""), field(4, b"")].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let metadata = [field(1, b"c"), field(3, b"default"), field(5, b""), field(8, b"")].concat();
        let entry = [field(1, b"k"), field(2, b"v")].concat();
        let raw = [field(1, &metadata), field(2, &entry), vec![4 << 3, 1]].concat();
        assert_eq!(
            decode(&envelope("ConfigMap", &raw)).unwrap(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"},
                "data": {"k": "v"}, "immutable": true})
        );
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert_eq!(
            decode(&envelope("Pod", b"")).unwrap_err(),
            ProtobufError::Kind { kind: "Pod".to_owned() }
        );
        let error = decode(&envelope("ConfigMap", &field(9, b"x"))).unwrap_err();
        assert!(error.to_string().contains("field 9 of `ConfigMap`"), "{error}");
        assert_eq!(decode(b"nothing").unwrap_err(), ProtobufError::Malformed);
        assert_eq!(decode(&envelope("ConfigMap", &[0x0A, 0x7F])).unwrap_err(), ProtobufError::Malformed);
    }
}
