//! The environment, command and arguments of a container: values, references, and `$(NAME)` in them.
//!
//! Reading ConfigMaps and Secrets is left to the caller, who hands in a [`Source`]; it refuses to know the API.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};

use super::downward;

/// What ConfigMaps and Secrets hold, as far as a container refers to them. Absent ones are not in it.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// By name.
    pub(crate) config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// By name.
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// The pod's address, once it has one.
    pub(crate) address: String,
    /// The node's address.
    pub(crate) host_address: String,
}

/// Names of the ConfigMaps and of the Secrets that a container's environment refers to.
pub(crate) fn references(container: &Container) -> (Vec<String>, Vec<String>) {
    let (mut config_maps, mut secrets) = (Vec::new(), Vec::new());
    for from in container.env_from.iter().flatten() {
        config_maps.extend(from.config_map_ref.iter().map(|reference| reference.name.clone()));
        secrets.extend(from.secret_ref.iter().map(|reference| reference.name.clone()));
    }
    for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        config_maps.extend(from.config_map_key_ref.iter().map(|reference| reference.name.clone()));
        secrets.extend(from.secret_key_ref.iter().map(|reference| reference.name.clone()));
    }
    (config_maps, secrets)
}

/// The variables of a container, sorted by name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variables {
    /// All of them.
    pub(crate) all: BTreeMap<String, String>,
    /// Those that the command, arguments and paths of the container can refer to by `$(NAME)`.
    pub(crate) known: BTreeMap<String, String>,
}

/// The variables of a container: what the pod says comes before what the node and the image say.
///
/// # Errors
/// What a kubelet says under `CreateContainerConfigError`.
pub(crate) fn variables(
    pod: &Pod,
    container: &Container,
    from_image: &BTreeMap<String, String>,
    from_node: &[(String, String)],
    source: &Source,
) -> Result<Variables, String> {
    let mut all: BTreeMap<String, String> = from_image.clone();
    let mut known: BTreeMap<String, String> = from_node.iter().cloned().collect();
    for (name, value) in of_whole_objects(container, source)? {
        known.insert(name, value);
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value_of(pod, container, variable, &known, source)? {
            known.insert(variable.name.clone(), value);
        }
    }
    all.extend(known.clone());
    Ok(Variables { all, known })
}

fn of_whole_objects(container: &Container, source: &Source) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let (data, name, kind, optional) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(map), _) => (source.config_maps.get(&map.name), &map.name, "configmap", map.optional),
            (_, Some(secret)) => (source.secrets.get(&secret.name), &secret.name, "secret", secret.optional),
            (None, None) => continue,
        };
        match data {
            Some(data) => {
                found.extend(data.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
            }
            None if optional == Some(true) => {}
            None => return Err(format!("{kind} \"{name}\" not found")),
        }
    }
    Ok(found)
}

fn value_of(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    known: &BTreeMap<String, String>,
    source: &Source,
) -> Result<Option<String>, String> {
    match &variable.value_from {
        None => Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), known))),
        Some(from) => referred(pod, container, from, source),
    }
}

fn referred(
    pod: &Pod,
    container: &Container,
    from: &EnvVarSource,
    source: &Source,
) -> Result<Option<String>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(field) = &from.field_ref {
        return downward::field(pod, &field.field_path, &source.address, &source.host_address).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return downward::resource(pod, Some(container), resource).map(Some);
    }
    if let Some(key) = &from.config_map_key_ref {
        let optional = key.optional == Some(true);
        return keyed(source.config_maps.get(&key.name), &key.key, optional, || {
            (format!("configmap \"{}\" not found", key.name), format!("ConfigMap {namespace}/{}", key.name))
        });
    }
    if let Some(key) = &from.secret_key_ref {
        let optional = key.optional == Some(true);
        return keyed(source.secrets.get(&key.name), &key.key, optional, || {
            (format!("secret \"{}\" not found", key.name), format!("Secret {namespace}/{}", key.name))
        });
    }
    Err("this node reads `valueFrom` of fieldRef, resourceFieldRef, configMapKeyRef and secretKeyRef"
        .to_owned())
}

fn keyed(
    data: Option<&BTreeMap<String, String>>,
    key: &str,
    optional: bool,
    names: impl Fn() -> (String, String),
) -> Result<Option<String>, String> {
    match data.map(|data| data.get(key)) {
        Some(Some(value)) => Ok(Some(value.clone())),
        _ if optional => Ok(None),
        None => Err(names().0),
        Some(None) => Err(format!("couldn't find key {key} in {}", names().1)),
    }
}

/// Replaces `$(NAME)`; a name that is not known stays as it is, and `$$` stands for `$`.
pub(crate) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let reference = after.strip_prefix('(').and_then(|inner| inner.find(')').map(|end| &inner[..end]));
        if let Some(stripped) = after.strip_prefix('$') {
            expanded.push('$');
            rest = stripped;
        } else if let Some(name) = reference {
            match variables.get(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&format!("$({name})")),
            }
            rest = &after[name.len() + 2..];
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_expanded_as_a_kubelet_does() {
        let variables =
            BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())]);
        let check = |text: &str, expected: &str| assert_eq!(expand(text, &variables), expected, "{text}");
        check("x$(A)y", "x1y");
        check("$(B)", "$(A)");
        check("$$(A)", "$(A)");
        check("$(NOPE) $HOME $", "$(NOPE) $HOME $");
        check("$(A", "$(A");
        check("a$$b$$$(A)", "a$b$1");
    }

    #[test]
    fn what_a_container_refers_to_is_read_or_named() {
        let container: Container = serde_json::from_value(json!({
            "name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
            "env": [
                {"name": "X", "value": "[$(P_k)]"},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "O", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": true}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
        }))
        .unwrap();
        let mut source = Source { address: "10.0.0.2".to_owned(), ..Source::default() };
        let data = |value: &str| BTreeMap::from([("k".to_owned(), value.to_owned())]);
        source.config_maps.insert("m".to_owned(), data("v"));
        let image = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
        let read = |source: &Source| variables(&Pod::default(), &container, &image, &[], source);
        assert_eq!(read(&source), Err("secret \"s\" not found".to_owned()));
        source.secrets.insert("s".to_owned(), data("hidden"));
        let expected = [("IP", "10.0.0.2"), ("PATH", "/bin"), ("P_k", "v"), ("S", "hidden"), ("X", "[v]")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(&source).unwrap().all, expected.into());
        assert!(!read(&source).unwrap().known.contains_key("PATH"));
    }
}
