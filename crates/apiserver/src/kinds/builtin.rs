//! The built-in kinds: their names, columns and schemas.
//!
//! Schemas come from k8s-openapi's own descriptions of the types; they are compiled on first use and shared
//! by all servers of the process.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::events::v1 as events;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::{Cell, Column, Computed, Family, Kind, ScalePaths, api_version};
use crate::schema::{Schema, compile_with_definitions};

/// Names of one built-in kind, as discovery gives them.
struct Names {
    family: Family,
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    all: bool,
    namespaced: bool,
    status: bool,
}

const fn names(
    family: Family,
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
) -> Names {
    Names { family, group, kind, plural, short, all: false, namespaced: true, status: false }
}

/// Every built-in kind is at version `v1` of its group.
const NAMES: [Names; 13] = [
    names(Family::ConfigMap, "", "ConfigMap", "configmaps", &["cm"]),
    names(Family::CoreEvent, "", "Event", "events", &["ev"]),
    Names {
        namespaced: false,
        status: true,
        ..names(Family::Namespace, "", "Namespace", "namespaces", &["ns"])
    },
    Names { all: true, status: true, ..names(Family::Pod, "", "Pod", "pods", &["po"]) },
    names(Family::Secret, "", "Secret", "secrets", &[]),
    names(Family::ServiceAccount, "", "ServiceAccount", "serviceaccounts", &["sa"]),
    Names { all: true, status: true, ..names(Family::Service, "", "Service", "services", &["svc"]) },
    Names {
        namespaced: false,
        status: true,
        ..names(
            Family::CustomResourceDefinition,
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            &["crd", "crds"],
        )
    },
    Names {
        all: true,
        status: true,
        ..names(Family::Deployment, "apps", "Deployment", "deployments", &["deploy"])
    },
    Names {
        namespaced: false,
        ..names(
            Family::AccessReview,
            "authorization.k8s.io",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            &[],
        )
    },
    Names {
        namespaced: false,
        ..names(
            Family::RulesReview,
            "authorization.k8s.io",
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
            &[],
        )
    },
    names(Family::Lease, "coordination.k8s.io", "Lease", "leases", &[]),
    names(Family::NewEvent, "events.k8s.io", "Event", "events", &["ev"]),
];

/// All built-in kinds.
pub(crate) fn kinds() -> &'static [Arc<Kind>] {
    static KINDS: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(|| NAMES.iter().map(Names::to_kind).collect());
    &KINDS
}

impl Names {
    fn to_kind(&self) -> Arc<Kind> {
        let names = self;
        let collection = match (names.family, names.group) {
            (Family::NewEvent, _) | (_, "") => names.plural.to_owned(),
            (_, group) => format!("{}.{group}", names.plural),
        };
        let storage_group = if names.family == Family::NewEvent { "" } else { names.group };
        Arc::new(Kind {
            group: names.group.to_owned(),
            version: "v1".to_owned(),
            kind: names.kind.to_owned(),
            list_kind: format!("{}List", names.kind),
            plural: names.plural.to_owned(),
            singular: names.kind.to_lowercase(),
            short_names: names.short.iter().map(|&name| name.to_owned()).collect(),
            categories: if names.all { vec!["all".to_owned()] } else { Vec::new() },
            namespaced: names.namespaced,
            family: names.family,
            collection: Arc::from(collection),
            storage_api_version: api_version(storage_group, "v1"),
            status: names.status,
            scale: (names.family == Family::Deployment).then(deployment_scale),
            columns: columns(names.family),
            schema: SCHEMAS.get(names.kind_key()).cloned(),
            selectable_fields: Vec::new(),
            deprecation: None,
        })
    }

    /// `group/Kind`, because two groups have an `Event`.
    fn kind_key(&self) -> &'static str {
        match self.family {
            Family::NewEvent => "events.k8s.io/Event",
            _ => self.kind,
        }
    }
}

fn deployment_scale() -> ScalePaths {
    ScalePaths {
        spec_replicas: ".spec.replicas".to_owned(),
        status_replicas: ".status.replicas".to_owned(),
        label_selector: None,
    }
}

static SCHEMAS: LazyLock<BTreeMap<&'static str, Arc<Schema>>> = LazyLock::new(|| {
    DEFINITIONS
        .iter()
        .map(|(key, generate)| {
            let schema = compile_with_definitions(&generate())
                .expect("k8s-openapi's schemas are compiled in and hold no invalid pattern");
            (*key, Arc::new(Schema { type_name: (*key).to_owned(), ..schema }))
        })
        .collect()
});

type Generate = fn() -> Value;

const DEFINITIONS: [(&str, Generate); 11] = [
    ("ConfigMap", definition::<core::ConfigMap>),
    ("Event", definition::<core::Event>),
    ("Namespace", definition::<core::Namespace>),
    ("Pod", definition::<core::Pod>),
    ("Secret", definition::<core::Secret>),
    ("ServiceAccount", definition::<core::ServiceAccount>),
    ("Service", definition::<core::Service>),
    ("CustomResourceDefinition", definition::<CustomResourceDefinition>),
    ("Deployment", definition::<Deployment>),
    ("Lease", definition::<Lease>),
    ("events.k8s.io/Event", definition::<events::Event>),
];

fn definition<T: JsonSchema>() -> Value {
    SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

/// The JSON schema of a built-in kind with descriptions and `$defs`, generated on demand because only
/// `kubectl explain` reads it.
pub(crate) fn openapi_definition(kind: &Kind) -> Option<Value> {
    let key = match kind.family {
        Family::NewEvent => "events.k8s.io/Event",
        _ => kind.kind.as_str(),
    };
    DEFINITIONS.iter().find(|(name, _)| *name == key).map(|(_, generate)| generate())
}

fn column(name: &str, kind: &str, cell: Cell) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: if name == "Name" { "name".to_owned() } else { String::new() },
        description: String::new(),
        priority: 0,
        cell,
    }
}

fn path(name: &str, kind: &str, path: &str) -> Column {
    column(name, kind, Cell::Path(path.to_owned()))
}

fn computed(name: &str, what: Computed) -> Column {
    column(name, "string", Cell::Computed(what))
}

fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

/// The columns of `kubectl get`, as kube-apiserver prints them.
fn columns(family: Family) -> Vec<Column> {
    let name = computed("Name", Computed::Name);
    let age = computed("Age", Computed::Age);
    match family {
        Family::ConfigMap => vec![name, computed("Data", Computed::DataCount), age],
        Family::Secret => {
            vec![name, path("Type", "string", ".type"), computed("Data", Computed::DataCount), age]
        }
        Family::CoreEvent | Family::NewEvent => vec![
            computed("Last Seen", Computed::EventLastSeen),
            path("Type", "string", ".type"),
            path("Reason", "string", ".reason"),
            computed("Object", Computed::EventObject),
            wide(path("Subobject", "string", ".involvedObject.fieldPath")),
            wide(computed("Source", Computed::EventSource)),
            path("Message", "string", ".message"),
            wide(computed("First Seen", Computed::EventFirstSeen)),
            wide(path("Count", "string", ".count")),
            wide(computed("Name", Computed::Name)),
        ],
        Family::Lease => vec![name, path("Holder", "string", ".spec.holderIdentity"), age],
        Family::Namespace => vec![name, path("Status", "string", ".status.phase"), age],
        Family::Service => vec![
            name,
            path("Type", "string", ".spec.type"),
            path("Cluster-IP", "string", ".spec.clusterIP"),
            computed("External-IP", Computed::ServiceExternalIp),
            computed("Port(s)", Computed::ServicePorts),
            age,
            wide(computed("Selector", Computed::Selector)),
        ],
        Family::Deployment => vec![
            name,
            computed("Ready", Computed::DeploymentReady),
            path("Up-to-date", "string", ".status.updatedReplicas"),
            path("Available", "string", ".status.availableReplicas"),
            age,
            wide(computed("Containers", Computed::Containers)),
            wide(computed("Images", Computed::Images)),
            wide(computed("Selector", Computed::Selector)),
        ],
        Family::Pod => vec![
            name,
            computed("Ready", Computed::PodReady),
            computed("Status", Computed::PodStatus),
            computed("Restarts", Computed::PodRestarts),
            age,
            wide(path("IP", "string", ".status.podIP")),
            wide(path("Node", "string", ".spec.nodeName")),
            wide(path("Nominated Node", "string", ".status.nominatedNodeName")),
            wide(computed("Readiness Gates", Computed::ReadinessGates)),
        ],
        Family::ServiceAccount => vec![name, computed("Secrets", Computed::SecretCount), age],
        Family::CustomResourceDefinition => {
            vec![name, column("Created At", "date", Cell::Computed(Computed::CreatedAt))]
        }
        Family::Custom | Family::AccessReview | Family::RulesReview => vec![name, age],
    }
}
