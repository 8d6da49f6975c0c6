//! The kinds that `drey get` knows, with their names on the command line and their columns. Refuses to
//! know how objects are fetched.

use drey_api::kinds::{FlinkBlueGreenDeployment, FlinkDeployment, FlinkSessionJob, FlinkStateSnapshot};
use jiff::Timestamp;
use kube::core::{ApiResource, DynamicObject};
use serde_json::Value;

use crate::age;
use crate::deployment::View;

/// One of the four kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlinkKind {
    /// `FlinkDeployment`.
    #[default]
    Deployment,
    /// `FlinkSessionJob`.
    SessionJob,
    /// `FlinkStateSnapshot`.
    Snapshot,
    /// `FlinkBlueGreenDeployment`.
    BlueGreen,
}

impl FlinkKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Deployment, Self::SessionJob, Self::Snapshot, Self::BlueGreen];

    /// Names of the command line, the first being that of the manual.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Deployment => {
                &["deployments", "deployment", "flinkdeployments", "flinkdeployment", "flinkdep", "fd"]
            }
            Self::SessionJob => &["sessionjobs", "sessionjob", "flinksessionjobs", "flinksessionjob", "fsj"],
            Self::Snapshot => {
                &["snapshots", "snapshot", "flinkstatesnapshots", "flinkstatesnapshot", "flinksnp", "fss"]
            }
            Self::BlueGreen => &[
                "bluegreen",
                "bluegreens",
                "flinkbluegreendeployments",
                "flinkbluegreendeployment",
                "flinkbgdep",
                "fbg",
            ],
        }
    }

    /// The kind with this name on the command line; case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".flink.apache.org").unwrap_or(&name);
        Self::ALL.iter().copied().find(|kind| kind.names().contains(&name))
    }

    /// What the API needs to address it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<FlinkDeployment>(&()),
            Self::SessionJob => ApiResource::erase::<FlinkSessionJob>(&()),
            Self::Snapshot => ApiResource::erase::<FlinkStateSnapshot>(&()),
            Self::BlueGreen => ApiResource::erase::<FlinkBlueGreenDeployment>(&()),
        }
    }

    /// `kind/name` as commands take it.
    #[must_use]
    pub fn object(self, name: &str) -> String {
        format!("{}/{name}", self.resource().kind.to_lowercase())
    }

    /// Headings of the table, without those for namespace and age.
    #[must_use]
    pub fn headings(self, wide: bool) -> Vec<&'static str> {
        match (self, wide) {
            (Self::Deployment, false) => vec!["NAME", "JOB STATUS", "LIFECYCLE STATE", "AGE"],
            (Self::Deployment, true) => vec![
                "NAME",
                "JOB STATUS",
                "LIFECYCLE STATE",
                "AGE",
                "FLINK",
                "PARALLELISM",
                "UPGRADE MODE",
                "RESTORED FROM",
                "WAITING FOR",
            ],
            (Self::SessionJob, _) => vec!["NAME", "JOB STATUS", "LIFECYCLE STATE", "SESSION CLUSTER", "AGE"],
            (Self::Snapshot, _) => vec!["NAME", "PATH", "RESULT TIMESTAMP", "SNAPSHOT STATE", "AGE"],
            (Self::BlueGreen, _) => vec!["NAME", "JOB STATUS", "STATE", "AGE"],
        }
    }

    /// Cells of one object under those headings.
    #[must_use]
    pub fn cells(self, object: &DynamicObject, wide: bool, now: Timestamp) -> Vec<String> {
        let text = |path: &str| text_at(&object.data, path);
        let name = object.metadata.name.clone().unwrap_or_default();
        let age = object_age(object, now);
        match self {
            Self::Deployment => {
                let mut cells =
                    vec![name, text("/status/jobStatus/state"), text("/status/lifecycleState"), age];
                if wide {
                    cells.extend(wide_cells(object));
                }
                cells
            }
            Self::SessionJob => vec![
                name,
                text("/status/jobStatus/state"),
                text("/status/lifecycleState"),
                text("/spec/deploymentName"),
                age,
            ],
            Self::Snapshot => {
                vec![name, text("/status/path"), text("/status/resultTimestamp"), text("/status/state"), age]
            }
            Self::BlueGreen => {
                vec![name, text("/status/jobStatus/state"), text("/status/blueGreenState"), age]
            }
        }
    }
}

fn wide_cells(object: &DynamicObject) -> Vec<String> {
    let text = |path: &str| text_at(&object.data, path);
    let waiting = View::from_object(object.clone()).map(|view| view.sentence()).unwrap_or_default();
    vec![
        text("/spec/flinkVersion"),
        text("/spec/job/parallelism"),
        text("/spec/job/upgradeMode"),
        text("/status/run/restoredFrom"),
        waiting,
    ]
}

fn text_at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn object_age(object: &DynamicObject, now: Timestamp) -> String {
    let created = object.metadata.creation_timestamp.as_ref();
    created.map_or_else(|| "<unknown>".to_owned(), |created| age::since(created.0, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_name_leads_to_one_kind() {
        for kind in FlinkKind::ALL {
            for name in kind.names() {
                assert_eq!(FlinkKind::from_name(name), Some(*kind), "{name}");
            }
            assert_eq!(FlinkKind::from_name(&kind.resource().plural), Some(*kind));
        }
        assert_eq!(FlinkKind::from_name("FlinkDeployments.flink.apache.org"), Some(FlinkKind::Deployment));
        assert_eq!(FlinkKind::from_name("pods"), None);
    }

    #[test]
    fn rows_have_as_many_cells_as_headings() {
        for kind in FlinkKind::ALL {
            let object = DynamicObject::new("a", &kind.resource()).data(json!({"status": null}));
            for wide in [false, true] {
                let cells = kind.cells(&object, wide, Timestamp::UNIX_EPOCH);
                assert_eq!(cells.len(), kind.headings(wide).len(), "{kind:?}");
            }
        }
    }
}
