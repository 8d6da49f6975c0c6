//! A pod while it is built: a template's metadata and spec, with Flink's own container taken out of the list.
//!
//! What is added comes behind what the template has; what Flink owns replaces it. It refuses to know which process
//! runs in the pod.

use serde_json::{Map, Value, json};

use crate::cluster::MAIN_CONTAINER;
use crate::error::BuildError;

type Object = Map<String, Value>;

/// A pod that is being built.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodDraft {
    pub(crate) metadata: Object,
    pub(crate) spec: Object,
    pub(crate) main: Object,
}

impl PodDraft {
    /// Begins with a pod template.
    pub(crate) fn begin(template: Option<&Value>) -> Result<Self, BuildError> {
        let mut draft = Self::default();
        let Some(template) = template else { return Ok(draft) };
        let mut template = template.clone();
        let template = template.as_object_mut().ok_or_else(|| misplaced("", "object"))?;
        draft.metadata = std::mem::take(object(template, "metadata")?);
        draft.spec = std::mem::take(object(template, "spec")?);
        if let Some(containers) = draft.spec.remove("containers") {
            let Value::Array(containers) = containers else {
                return Err(misplaced("spec.containers", "list"));
            };
            draft.take_main_out_of(containers)?;
        }
        Ok(draft)
    }

    fn take_main_out_of(&mut self, containers: Vec<Value>) -> Result<(), BuildError> {
        let mut others = Vec::new();
        for container in containers {
            let Value::Object(container) = container else {
                return Err(misplaced("spec.containers[]", "object"));
            };
            if container.get("name").and_then(Value::as_str) == Some(MAIN_CONTAINER) {
                self.main = container;
            } else {
                others.push(Value::Object(container));
            }
        }
        if !others.is_empty() {
            self.spec.insert("containers".to_owned(), Value::Array(others));
        }
        Ok(())
    }

    /// The pod template of a Deployment: Flink's container stands last, as Flink's client puts it.
    pub(crate) fn finish(mut self) -> Result<Value, BuildError> {
        list(&mut self.spec, "containers")?.push(Value::Object(self.main));
        Ok(json!({ "metadata": self.metadata, "spec": self.spec }))
    }

    pub(crate) fn add_volume(&mut self, volume: Value, mount_path: &str) -> Result<(), BuildError> {
        let mount = json!({ "name": volume["name"], "mountPath": mount_path });
        list(&mut self.spec, "volumes")?.push(volume);
        list(&mut self.main, "volumeMounts")?.push(mount);
        Ok(())
    }

    pub(crate) fn add_environment(&mut self, variable: Value) -> Result<(), BuildError> {
        list(&mut self.main, "env")?.push(variable);
        Ok(())
    }

    /// Whether something is mounted at this path or below it into Flink's container.
    pub(crate) fn mounts_below(&self, path: &str) -> bool {
        let mounts = self.main.get("volumeMounts").and_then(Value::as_array);
        mounts.is_some_and(|mounts| {
            mounts.iter().any(|mount| {
                mount["mountPath"].as_str().is_some_and(|mount_path| mount_path.starts_with(path))
            })
        })
    }
}

/// The object at a key, made if it is not there.
pub(crate) fn object<'a>(parent: &'a mut Object, key: &str) -> Result<&'a mut Object, BuildError> {
    let child = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    child.as_object_mut().ok_or_else(|| misplaced(key, "object"))
}

/// The list at a key, made if it is not there.
pub(crate) fn list<'a>(parent: &'a mut Object, key: &str) -> Result<&'a mut Vec<Value>, BuildError> {
    let child = parent.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    child.as_array_mut().ok_or_else(|| misplaced(key, "list"))
}

/// Puts entries into the object at a key; nothing is made for none.
pub(crate) fn add_entries(
    parent: &mut Object,
    key: &str,
    entries: impl IntoIterator<Item = (String, String)>,
) -> Result<(), BuildError> {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_some() {
        object(parent, key)?.extend(entries.map(|(key, value)| (key, Value::String(value))));
    }
    Ok(())
}

/// Puts items behind the list at a key; nothing is made for none.
pub(crate) fn add_items(parent: &mut Object, key: &str, items: Vec<Value>) -> Result<(), BuildError> {
    if !items.is_empty() {
        list(parent, key)?.extend(items);
    }
    Ok(())
}

pub(crate) fn misplaced(path: &str, expected: &'static str) -> BuildError {
    BuildError::PodTemplate { path: path.to_owned(), expected }
}
