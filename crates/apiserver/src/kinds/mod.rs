//! Which kinds are served: the built-in ones and those that CRDs define.
//!
//! A [`Kind`] is one kind at one version; the [`Registry`] finds it by path or by `apiVersion` and `kind`.
//! It refuses to know about objects and requests.

mod builtin;
mod custom;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::errors::Qualified;
use crate::schema::Schema;

pub(crate) use builtin::openapi_definition;
pub(crate) use custom::{check_crd, kinds_of, openapi_schema, settle_crd};

/// Which rules beyond plain storage apply to a kind. Closed: a new member makes the compiler list what else
/// has to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Defined by a CRD.
    Custom,
    ConfigMap,
    Secret,
    /// `v1` form of events, the one that is stored.
    CoreEvent,
    /// `events.k8s.io/v1` form of the same events.
    NewEvent,
    Lease,
    Namespace,
    Service,
    Deployment,
    Pod,
    ServiceAccount,
    CustomResourceDefinition,
    /// `SelfSubjectAccessReview`: answered, never stored.
    AccessReview,
    /// `SelfSubjectRulesReview`: answered, never stored.
    RulesReview,
}

/// One `additionalPrinterColumns` entry or built-in column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `string`, `integer`, `date`, …
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

/// How a column finds its value.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// A JSONPath without braces, such as `.status.state`.
    Path(String),
    /// A value that needs code: see `table.rs`.
    Computed(Computed),
}

/// Columns of built-in kinds that are more than a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Computed {
    Name,
    Age,
    CreatedAt,
    DataCount,
    SecretCount,
    EventObject,
    EventLastSeen,
    EventFirstSeen,
    EventSource,
    Containers,
    Images,
    Selector,
    ReadinessGates,
    PodReady,
    PodStatus,
    PodRestarts,
    DeploymentReady,
    ServicePorts,
    ServiceExternalIp,
}

/// The paths of a CRD's scale subresource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) label_selector: Option<String>,
}

/// One kind at one version.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) family: Family,
    /// Name of the collection that stores it: the plural, with `.group` unless core.
    pub(crate) collection: Arc<str>,
    /// `apiVersion` of stored bodies.
    pub(crate) storage_api_version: String,
    pub(crate) status: bool,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: Option<Arc<Schema>>,
    /// JSONPaths of `spec.versions[].selectableFields`.
    pub(crate) selectable_fields: Vec<String>,
    /// Text of the `Warning` header of each answer when the CRD says `deprecated: true`.
    pub(crate) deprecation: Option<String>,
}

impl Kind {
    /// `v1`, or `group/version`.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    pub(crate) fn qualified(&self) -> Qualified {
        Qualified { group: self.group.clone(), resource: self.plural.clone() }
    }

    /// Whether bodies have to be converted between what is stored and what is served.
    pub(crate) fn is_stored_form(&self) -> bool {
        self.storage_api_version == self.api_version()
    }

    /// Whether `metadata.generation` counts the changes of the desired state.
    pub(crate) fn has_generation(&self) -> bool {
        match self.family {
            Family::Custom | Family::Deployment | Family::Pod | Family::CustomResourceDefinition => true,
            Family::ConfigMap
            | Family::Secret
            | Family::CoreEvent
            | Family::NewEvent
            | Family::Lease
            | Family::Namespace
            | Family::Service
            | Family::ServiceAccount
            | Family::AccessReview
            | Family::RulesReview => false,
        }
    }

    /// Whether the kind is stored at all.
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.family, Family::AccessReview | Family::RulesReview)
    }

    /// Whether a PUT to a name that does not exist creates it.
    pub(crate) fn creates_on_update(&self) -> bool {
        matches!(self.family, Family::Lease | Family::CoreEvent | Family::NewEvent)
    }

    /// Whether a PUT must carry a resourceVersion.
    pub(crate) fn needs_revision_on_update(&self) -> bool {
        matches!(self.family, Family::Custom | Family::CustomResourceDefinition | Family::Lease)
    }
}

/// `v1`, or `group/version`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// All kinds that are served now. Replaced as a whole when a CRD changes.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Group → its versions, best first → plural → kind.
    groups: BTreeMap<String, Vec<(String, KindsByPlural)>>,
}

/// The kinds of one group and version.
type KindsByPlural = BTreeMap<String, Arc<Kind>>;

impl Registry {
    /// The built-in kinds plus those that CRDs define.
    pub(crate) fn new<'a>(custom: impl Iterator<Item = &'a Arc<Kind>>) -> Registry {
        let mut registry = Registry::default();
        for kind in builtin::kinds().iter().chain(custom) {
            registry.add(Arc::clone(kind));
        }
        for versions in registry.groups.values_mut() {
            versions.sort_by_key(|(version, _)| std::cmp::Reverse(version_priority(version)));
        }
        registry
    }

    fn add(&mut self, kind: Arc<Kind>) {
        let versions = self.groups.entry(kind.group.clone()).or_default();
        let index = match versions.iter().position(|(version, _)| *version == kind.version) {
            Some(index) => index,
            None => {
                versions.push((kind.version.clone(), BTreeMap::new()));
                versions.len() - 1
            }
        };
        versions[index].1.insert(kind.plural.clone(), kind);
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds(group, version)?.get(plural)
    }

    /// The kinds of one version by plural; `None` when the version is not served.
    pub(crate) fn kinds(&self, group: &str, version: &str) -> Option<&KindsByPlural> {
        let versions = self.groups.get(group)?;
        versions.iter().find(|(served, _)| served == version).map(|(_, kinds)| kinds)
    }

    /// Finds a kind as owner references name it.
    pub(crate) fn find_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.kinds(group, version)?.values().find(|served| served.kind == kind)
    }

    /// Groups (without core) and their versions, best first.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.groups.iter().filter(|(group, _)| !group.is_empty()).map(|(group, versions)| {
            (group.as_str(), versions.iter().map(|(version, _)| version.as_str()).collect())
        })
    }

    /// Every stored kind once, in its best served version.
    pub(crate) fn stored(&self) -> Vec<Arc<Kind>> {
        let mut found: BTreeMap<Arc<str>, Arc<Kind>> = BTreeMap::new();
        for kind in self.groups.values().flatten().flat_map(|(_, kinds)| kinds.values()) {
            if !kind.is_virtual() && (kind.is_stored_form() || !found.contains_key(&kind.collection)) {
                found.insert(Arc::clone(&kind.collection), Arc::clone(kind));
            }
        }
        found.into_values().collect()
    }
}

/// Orders versions as Kubernetes does: `v2` > `v1` > `v1beta2` > `v1beta1` > `v1alpha1` > others by name.
fn version_priority(version: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let other = (0, 0, 0, std::cmp::Reverse(version.to_owned()));
    let Some(rest) = version.strip_prefix('v') else { return other };
    let (stage, major, minor) = if let Some((major, minor)) = rest.split_once("beta") {
        (2, major, minor)
    } else if let Some((major, minor)) = rest.split_once("alpha") {
        (1, major, minor)
    } else {
        (3, rest, "0")
    };
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => (stage, major, minor, std::cmp::Reverse(String::new())),
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_stability() {
        let mut versions = ["v1alpha1", "foo", "v1beta1", "v2", "v1", "v1beta2", "v10"];
        versions.sort_by_key(|version| std::cmp::Reverse(version_priority(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]);
    }

    #[test]
    fn built_in_kinds_are_found_both_ways() {
        let registry = Registry::new(std::iter::empty());
        assert_eq!(registry.find("apps", "v1", "deployments").unwrap().kind, "Deployment");
        assert_eq!(registry.find_kind("v1", "ConfigMap").unwrap().plural, "configmaps");
        assert!(registry.find("apps", "v1", "statefulsets").is_none());
        assert!(registry.stored().iter().filter(|kind| &*kind.collection == "events").count() == 1);
    }
}
