//! The document about the API says what the API is.

use serde_json::Value;

use crate::world::{Setup, World};

/// Every `$ref` below `value`.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_to_a_type_and_every_type_is_referred_to() {
    let document = drey_server::openapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}").as_str()), "{name} is of no use");
    }
}

#[tokio::test]
async fn what_is_read_has_the_fields_of_the_document_and_no_others() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    world.until("api/v1/fleet", |fleet| fleet["total"] == 1).await;
    let document = world.get("api/v1/openapi.json").await;
    assert_eq!(document, drey_server::openapi());
    let of = "/ns/{namespace}/{kind}/{name}";
    for path in [
        "/session",
        "/fleet",
        of,
        &format!("{of}/yaml"),
        &format!("{of}/timeline"),
        &format!("{of}/snapshots"),
    ] {
        let real = path
            .replace("{namespace}", "default")
            .replace("{kind}", "flinkdeployments")
            .replace("{name}", "a");
        let answer = world.get(&format!("api/v1{real}")).await;
        let schema =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let reference = schema["$ref"].as_str().unwrap_or_else(|| panic!("{path}: {schema}"));
        let fields = &document.pointer(&reference[1..]).unwrap()["properties"];
        let names =
            |of: &Value| of.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(&answer), names(fields), "{path}");
    }
}
