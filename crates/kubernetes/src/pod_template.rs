//! The pod templates of a spec: the common one under that of the JobManager or the TaskManagers, with what the spec
//! says of other resources than cpu and memory, and the JobManager's startup probe.
//!
//! Templates are JSON: a field that no type of ours knows passes through. Pure; it refuses to know what Flink adds.

use drey_api::desired::Desired;
use drey_api::kinds::{Quantity, Resource, ResourceRequirements};
use serde_json::{Map, Value, json};

use crate::cluster::MAIN_CONTAINER;
use crate::error::BuildError;
use crate::pod::{list, misplaced, object};

/// The template of the JobManager's pods, if there is anything to say.
///
/// # Errors
/// A template has something else where an object or a list belongs.
pub fn job_manager(desired: &Desired) -> Result<Option<Value>, BuildError> {
    let own = desired.spec.job_manager.as_ref();
    let template = merged(desired, own.and_then(|manager| manager.pod_template.as_ref()));
    let template = with_resources(
        template,
        own.and_then(|manager| manager.resources.as_ref()),
        own.and_then(|manager| manager.resource.as_ref()),
    )?;
    if desired.options.startup_probe_enabled { with_startup_probe(template).map(Some) } else { Ok(template) }
}

/// The template of the TaskManagers' pods, if there is anything to say.
///
/// # Errors
/// A template has something else where an object or a list belongs.
pub fn task_manager(desired: &Desired) -> Result<Option<Value>, BuildError> {
    let own = desired.spec.task_manager.as_ref();
    with_resources(
        merged(desired, own.and_then(|manager| manager.pod_template.as_ref())),
        own.and_then(|manager| manager.resources.as_ref()),
        own.and_then(|manager| manager.resource.as_ref()),
    )
}

fn merged(desired: &Desired, own: Option<&Value>) -> Option<Value> {
    match (desired.spec.pod_template.as_ref(), own) {
        (None, None) => None,
        (Some(template), None) | (None, Some(template)) => Some(template.clone()),
        (Some(common), Some(own)) => {
            let mut merged = common.clone();
            merge(&mut merged, own, desired.options.merge_arrays_by_name);
            Some(merged)
        }
    }
}

/// Lays `from` over `to`, as upstream does: objects member by member; lists by position, or by `name` where that is
/// asked for and every item has one. Plain values at the same position of two lists stay as they are in `to`.
fn merge(to: &mut Value, from: &Value, by_name: bool) {
    let (Value::Object(to), Value::Object(from)) = (to, from) else { return };
    for (key, from) in from {
        match (to.get_mut(key), from) {
            (Some(Value::Array(to)), Value::Array(from)) => merge_lists(to, from, by_name),
            (Some(to @ Value::Object(_)), from) => merge(to, from, by_name),
            (_, from) => drop(to.insert(key.clone(), from.clone())),
        }
    }
}

fn merge_lists(to: &mut Vec<Value>, from: &[Value], by_name: bool) {
    let named = |items: &[Value]| items.iter().all(|item| item.get("name").is_some());
    let by_name = by_name && named(to) && named(from);
    for (position, from) in from.iter().enumerate() {
        let at = if by_name {
            to.iter().position(|item| item["name"] == from["name"])
        } else {
            Some(position).filter(|position| *position < to.len())
        };
        match at {
            Some(at) => merge(&mut to[at], from, by_name),
            None => to.push(from.clone()),
        }
    }
}

/// Resources that are not configured in Flink stand in the container itself.
fn with_resources(
    template: Option<Value>,
    requirements: Option<&ResourceRequirements>,
    resource: Option<&Resource>,
) -> Result<Option<Value>, BuildError> {
    let used = |requirements: &&ResourceRequirements| {
        !requirements.requests.is_empty() || !requirements.limits.is_empty()
    };
    let amounts: Vec<(&str, Vec<(&str, &str)>)> = match (requirements.filter(used), resource) {
        (Some(requirements), _) => {
            vec![("requests", others(&requirements.requests)), ("limits", others(&requirements.limits))]
        }
        (None, Some(resource)) => {
            let storage = resource.ephemeral_storage.as_deref().filter(|amount| !amount.trim().is_empty());
            let amounts: Vec<_> = storage.map(|amount| ("ephemeral-storage", amount)).into_iter().collect();
            vec![("requests", amounts.clone()), ("limits", amounts)]
        }
        (None, None) => Vec::new(),
    };
    if amounts.iter().all(|(_, amounts)| amounts.is_empty()) {
        return Ok(template);
    }
    let mut template = template.unwrap_or_else(|| json!({}));
    let resources = object(main_container(&mut template)?, "resources")?;
    for (kind, amounts) in amounts.into_iter().filter(|(_, amounts)| !amounts.is_empty()) {
        let entries = object(resources, kind)?;
        entries.extend(amounts.into_iter().map(|(name, amount)| (name.to_owned(), json!(amount))));
    }
    Ok(Some(template))
}

fn others(quantities: &std::collections::BTreeMap<String, Quantity>) -> Vec<(&str, &str)> {
    let others = quantities.iter().filter(|(name, _)| *name != "cpu" && *name != "memory");
    others.map(|(name, amount)| (name.as_str(), amount.0.as_str())).collect()
}

/// The pod counts as started once the REST API answers; there is no end to the waiting, which is the operator's.
fn with_startup_probe(template: Option<Value>) -> Result<Value, BuildError> {
    let mut template = template.unwrap_or_else(|| json!({}));
    let probe = || {
        json!({
            "failureThreshold": i32::MAX,
            "httpGet": { "path": "/config", "port": "rest" },
            "periodSeconds": 1,
        })
    };
    main_container(&mut template)?.entry("startupProbe").or_insert_with(probe);
    Ok(template)
}

/// Flink's container in a template, put behind the others if it is not there.
fn main_container(template: &mut Value) -> Result<&mut Map<String, Value>, BuildError> {
    let template = template.as_object_mut().ok_or_else(|| misplaced("", "object"))?;
    let containers = list(object(template, "spec")?, "containers")?;
    let at = containers.iter().position(|container| container["name"] == MAIN_CONTAINER);
    let at = at.unwrap_or_else(|| {
        containers.push(json!({ "name": MAIN_CONTAINER }));
        containers.len() - 1
    });
    containers[at].as_object_mut().ok_or_else(|| misplaced("spec.containers[]", "object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(by_name: bool, to: &Value, from: &Value, expected: &Value) {
        let mut merged = to.clone();
        merge(&mut merged, from, by_name);
        assert_eq!(merged, *expected);
    }

    #[test]
    fn objects_merge_member_by_member_and_unknown_fields_survive() {
        check(
            false,
            &json!({"spec": {"a": 1, "newer": {"than": "us"}}}),
            &json!({"spec": {"b": 2, "a": 3}}),
            &json!({"spec": {"a": 3, "newer": {"than": "us"}, "b": 2}}),
        );
    }

    #[test]
    fn lists_merge_by_position() {
        check(
            false,
            &json!({"containers": [{"name": "a", "image": "x"}]}),
            &json!({"containers": [{"name": "b"}, {"name": "c"}]}),
            &json!({"containers": [{"name": "b", "image": "x"}, {"name": "c"}]}),
        );
        check(false, &json!({"args": ["a"]}), &json!({"args": ["b", "c"]}), &json!({"args": ["a", "c"]}));
    }

    #[test]
    fn lists_merge_by_name_where_every_item_has_one() {
        let common = json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]});
        let own = json!({"containers": [{"name": "b", "image": "y"}, {"name": "c"}]});
        let expected =
            json!({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}, {"name": "c"}]});
        check(true, &common, &own, &expected);
        check(
            true,
            &json!({"volumeMounts": [{"mountPath": "/a"}]}),
            &json!({"volumeMounts": [{"mountPath": "/b"}]}),
            &json!({"volumeMounts": [{"mountPath": "/b"}]}),
        );
    }

    #[test]
    fn a_probe_of_the_user_stays() {
        let own = json!({"spec": {"containers": [
            {"name": "side-car"},
            {"name": MAIN_CONTAINER, "startupProbe": {"periodSeconds": 7}},
        ]}});
        assert_eq!(with_startup_probe(Some(own.clone())).unwrap(), own);
        let made = with_startup_probe(Some(json!({"spec": {"containers": [{"name": "side-car"}]}}))).unwrap();
        assert_eq!(made["spec"]["containers"][1]["startupProbe"]["httpGet"]["path"], "/config");
    }

    #[test]
    fn a_template_of_another_shape_is_refused_by_path() {
        let error = with_startup_probe(Some(json!({"spec": {"containers": {}}}))).unwrap_err().to_string();
        assert_eq!(error, "the pod template has no list at `containers`");
    }
}
