//! What a resource is called: its kind, namespace and name. Refuses to know what is in it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use drey_api::kinds::{FlinkBlueGreenDeployment, FlinkDeployment, FlinkSessionJob, FlinkStateSnapshot};
use kube::core::ApiResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// The kinds that the dashboard shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FleetKind {
    /// `FlinkDeployment`.
    Deployment,
    /// `FlinkSessionJob`.
    SessionJob,
    /// `FlinkBlueGreenDeployment`.
    BlueGreen,
    /// `FlinkStateSnapshot`.
    Snapshot,
}

impl FleetKind {
    /// Every kind.
    pub const ALL: [FleetKind; 4] =
        [FleetKind::Deployment, FleetKind::SessionJob, FleetKind::BlueGreen, FleetKind::Snapshot];

    /// The plural of the definition, which also stands in addresses.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "flinkdeployments",
            Self::SessionJob => "flinksessionjobs",
            Self::BlueGreen => "flinkbluegreendeployments",
            Self::Snapshot => "flinkstatesnapshots",
        }
    }

    /// The kind with this plural.
    #[must_use]
    pub fn from_plural(plural: &str) -> Option<FleetKind> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }

    /// The kind with this `kind`, such as `FlinkDeployment`.
    #[must_use]
    pub fn from_kind(kind: &str) -> Option<FleetKind> {
        Self::ALL.into_iter().find(|known| known.resource().kind == kind)
    }

    /// How the API server calls it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<FlinkDeployment>(&()),
            Self::SessionJob => ApiResource::erase::<FlinkSessionJob>(&()),
            Self::BlueGreen => ApiResource::erase::<FlinkBlueGreenDeployment>(&()),
            Self::Snapshot => ApiResource::erase::<FlinkStateSnapshot>(&()),
        }
    }
}

/// One resource: `namespace/plural/name` as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its kind.
    pub kind: FleetKind,
    /// Its name.
    pub name: Arc<str>,
}

impl Key {
    /// The key of these parts.
    #[must_use]
    pub fn new(namespace: &str, kind: FleetKind, name: &str) -> Key {
        Key { namespace: namespace.into(), kind, name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.namespace, self.kind.plural(), self.name)
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "`namespace/plural/name`." })
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
