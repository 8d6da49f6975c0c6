//! Which rights drey needs on a cluster, and which of them it lacks. One list: asked for at start, printed, and made
//! into the documentation; a chart's roles are held to it.

use std::fmt::Write;
use std::time::Duration;

use drey_engine::Namespaces;
use futures::StreamExt;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

/// How many reviews are asked for at the same time.
const REVIEWS_MAX: usize = 8;
/// How long one may take.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// When a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Always.
    Required,
    /// Only for a part of what drey does.
    Optional,
    /// When `kubernetes.operator.leader-election.enabled` is true.
    Election,
    /// When the webhook is served with a certificate of drey's own making. Nothing else hangs on it.
    Webhook,
}

/// Parts of drey that are on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Leader election.
    pub election: bool,
    /// The webhook.
    pub webhook: bool,
}

impl Need {
    fn is_there_with(self, parts: Parts) -> bool {
        match self {
            Need::Required | Need::Optional => true,
            Need::Election => parts.election,
            Need::Webhook => parts.webhook,
        }
    }
}

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In every namespace that is watched.
    Watched,
    /// In the operator's own namespace.
    Own,
    /// On the cluster as a whole.
    Cluster,
}

/// Verbs on one kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, with `/` and a subresource where that is meant.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// Where.
    pub place: Place,
    /// When.
    pub need: Need,
    /// What for.
    pub why: &'static str,
    /// What does not work without it.
    pub without: &'static str,
}

impl Right {
    /// What becomes of drey without one of its verbs alone, as a real API server has shown.
    #[must_use]
    pub fn without_verb(&self, verb: &str) -> Without {
        let known = LOSSES.iter().find(|(resource, lost, _)| (*resource, *lost) == (self.resource, verb));
        known.map_or(Without::Later, |(.., without)| *without)
    }
}

/// What becomes of drey without one verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// It ends with this exit code.
    Ends(i32),
    /// It starts no cluster.
    NotStarted,
    /// It starts clusters, and cannot take them down.
    NotDeleted,
    /// It leads, and stops to act when it could not renew its Lease in time.
    StopsActing,
    /// It makes no Ingress.
    NoIngress,
    /// It tells of nothing in events.
    NoEvents,
    /// Its webhook has no certificate.
    NoWebhook,
    /// The API server is not told whose certificate its webhook has.
    NotTrusted,
    /// It follows changes by listing again, now and then.
    Late,
    /// Clusters are started and taken down; it is needed for a job that runs, or for what others have changed.
    Later,
}

impl Without {
    /// The same for people.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Without::Ends(code) => return format!("drey ends with exit code {code}"),
            Without::NotStarted => "no cluster is started",
            Without::NotDeleted => "a resource that is deleted stays",
            Without::StopsActing => "drey stops acting after some seconds, and is not ready",
            Without::NoIngress => "there is no Ingress",
            Without::NoEvents => "there are no events",
            Without::NoWebhook => "the webhook has no certificate",
            Without::NotTrusted => "the API server does not trust the webhook",
            Without::Late => "changes are seen late",
            Without::Later => "clusters are started and taken down all the same",
        }
        .to_owned()
    }
}

/// What is lost with one verb; where a verb does not stand, it is [`Without::Later`]. `drey-testbed rights` holds it to a
/// real API server.
const LOSSES: &[(&str, &str, Without)] = &[
    ("flinkdeployments", "list", Without::Ends(4)),
    ("flinkdeployments", "watch", Without::Late),
    ("flinkdeployments", "patch", Without::NotStarted),
    ("flinkdeployments/status", "update", Without::NotStarted),
    ("deployments", "get", Without::NotStarted),
    ("deployments", "list", Without::NotStarted),
    ("deployments", "watch", Without::Late),
    ("deployments", "create", Without::NotStarted),
    ("deployments", "delete", Without::NotDeleted),
    ("replicasets", "list", Without::NotStarted),
    ("services", "list", Without::NotDeleted),
    ("services", "watch", Without::Late),
    ("services", "create", Without::NotStarted),
    ("configmaps", "list", Without::NotStarted),
    ("configmaps", "watch", Without::Late),
    ("configmaps", "create", Without::NotStarted),
    ("pods", "list", Without::NotStarted),
    ("pods", "watch", Without::Late),
    ("ingresses", "get", Without::NoIngress),
    ("ingresses", "watch", Without::Late),
    ("ingresses", "create", Without::NoIngress),
    ("ingresses", "patch", Without::NoIngress),
    ("events", "create", Without::NoEvents),
    ("leases", "get", Without::Ends(4)),
    ("leases", "create", Without::Ends(4)),
    ("leases", "update", Without::StopsActing),
    ("secrets", "get", Without::NoWebhook),
    ("secrets", "create", Without::NoWebhook),
    ("validatingwebhookconfigurations", "get", Without::NotTrusted),
    ("validatingwebhookconfigurations", "patch", Without::NotTrusted),
    ("mutatingwebhookconfigurations", "get", Without::NotTrusted),
    ("mutatingwebhookconfigurations", "patch", Without::NotTrusted),
    ("customresourcedefinitions", "get", Without::Ends(4)),
];

/// Every right that drey uses.
pub const TABLE: &[Right] = &[
    Right {
        group: "flink.apache.org",
        resource: "flinkdeployments",
        verbs: &["get", "list", "watch", "patch"],
        place: Place::Watched,
        need: Need::Required,
        why: "to follow the resources and to put the finalizer on them",
        without: "nothing is seen",
    },
    Right {
        group: "flink.apache.org",
        resource: "flinkdeployments/status",
        verbs: &["update"],
        place: Place::Watched,
        need: Need::Required,
        why: "to write down what is done before it is done",
        without: "nothing is done",
    },
    Right {
        group: "flink.apache.org",
        resource: "flinkdeployments/finalizers",
        verbs: &["update"],
        place: Place::Watched,
        need: Need::Optional,
        why: "to own objects that block the deletion of their owner",
        without: "clusters with the admission plug-in `OwnerReferencesPermissionEnforcement` refuse the objects",
    },
    Right {
        group: "apps",
        resource: "deployments",
        verbs: &["get", "list", "watch", "create", "patch", "delete"],
        place: Place::Watched,
        need: Need::Required,
        why: "to run JobManagers, and TaskManagers in standalone mode",
        without: "no cluster is started or taken down",
    },
    Right {
        group: "apps",
        resource: "replicasets",
        verbs: &["list", "delete"],
        place: Place::Watched,
        need: Need::Required,
        why: "to see and to remove what is left of a JobManager whose Deployment is gone",
        without: "a cluster that went away is never known to be gone",
    },
    Right {
        group: "",
        resource: "services",
        verbs: &["get", "list", "watch", "create", "delete"],
        place: Place::Watched,
        need: Need::Required,
        why: "to make JobManagers reachable",
        without: "no cluster is started",
    },
    Right {
        group: "",
        resource: "configmaps",
        verbs: &["get", "list", "watch", "create", "patch", "delete"],
        place: Place::Watched,
        need: Need::Required,
        why: "to give clusters their configuration and to read their high-availability data",
        without: "no cluster is started, and no last state is found",
    },
    Right {
        group: "",
        resource: "pods",
        verbs: &["list", "watch", "delete"],
        place: Place::Watched,
        need: Need::Required,
        why: "to know that a cluster is dead before another one starts from its state, and why one does not start",
        without: "no upgrade goes on: a cluster whose pods cannot be seen is never known to be gone",
    },
    Right {
        group: "networking.k8s.io",
        resource: "ingresses",
        verbs: &["get", "list", "watch", "create", "patch", "delete"],
        place: Place::Watched,
        need: Need::Optional,
        why: "to make the Ingress that `spec.ingress` asks for, and to keep it so",
        without: "`spec.ingress` has no effect, and an event says so",
    },
    Right {
        group: "gateway.networking.k8s.io",
        resource: "httproutes",
        verbs: &["get", "list", "watch", "create", "patch", "delete"],
        place: Place::Watched,
        need: Need::Optional,
        why: "to make it an HTTPRoute where `kubernetes.operator.ingress.http-route.gateway` is set",
        without: "that key has no effect, and an event says so",
    },
    Right {
        group: "",
        resource: "events",
        verbs: &["get", "create", "update"],
        place: Place::Watched,
        need: Need::Optional,
        why: "to tell users what happens",
        without: "there are no events; status and log still tell",
    },
    Right {
        group: "",
        resource: "services/proxy",
        verbs: &["get", "create", "patch"],
        place: Place::Watched,
        need: Need::Optional,
        why: "to reach JobManagers from outside the cluster",
        without: "drey has to run inside the cluster",
    },
    Right {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["get", "create", "update"],
        place: Place::Own,
        need: Need::Election,
        why: "to elect a leader",
        without: "no replica ever leads, so nothing is done",
    },
    Right {
        group: "",
        resource: "secrets",
        verbs: &["get", "create", "update"],
        place: Place::Own,
        need: Need::Webhook,
        why: "to keep the certificate of the webhook, so that all replicas serve the same",
        without: "the webhook has no certificate, unless one is mounted (`WEBHOOK_CERT_DIR`)",
    },
    Right {
        group: "admissionregistration.k8s.io",
        resource: "validatingwebhookconfigurations",
        verbs: &["get", "patch"],
        place: Place::Cluster,
        need: Need::Webhook,
        why: "to tell the API server whose certificate the webhook has",
        without: "the API server does not trust the webhook, unless cert-manager writes its `caBundle`",
    },
    Right {
        group: "admissionregistration.k8s.io",
        resource: "mutatingwebhookconfigurations",
        verbs: &["get", "patch"],
        place: Place::Cluster,
        need: Need::Webhook,
        why: "to tell the API server whose certificate the webhook has",
        without: "the API server does not trust the webhook, unless cert-manager writes its `caBundle`",
    },
    Right {
        group: "apiextensions.k8s.io",
        resource: "customresourcedefinitions",
        verbs: &["get"],
        place: Place::Cluster,
        need: Need::Required,
        why: "to see that the API server keeps what drey writes into a status",
        without: "drey does not start",
    },
];

/// A right that is lacking, or of which nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Which.
    pub right: Right,
    /// The verbs that are not allowed.
    pub verbs: Vec<&'static str>,
    /// Where; `None` for the cluster as a whole or all namespaces.
    pub namespace: Option<String>,
    /// Why nobody knows, when that is so.
    pub unknown: Option<String>,
}

impl Lack {
    /// Whether drey cannot work without it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.unknown.is_none() && matches!(self.right.need, Need::Required | Need::Election)
    }
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Lack { right, verbs, namespace, unknown } = self;
        let place = match namespace {
            Some(namespace) => format!("in namespace `{namespace}`"),
            None if right.place == Place::Cluster => "on the cluster".to_owned(),
            None => "in all namespaces".to_owned(),
        };
        let verbs = verbs.join(", ");
        let resource = qualified(right);
        match unknown {
            Some(why) => write!(f, "not known whether `{verbs}` on `{resource}` is allowed {place}: {why}"),
            None => write!(
                f,
                "not allowed: `{verbs}` on `{resource}` {place}, needed {}; without it {}",
                right.why, right.without
            ),
        }
    }
}

/// Asks the API server for every right, each verb in each place.
pub async fn lacking(
    client: &Client,
    namespaces: &Namespaces,
    own_namespace: &str,
    parts: Parts,
) -> Vec<Lack> {
    let mut questions = Vec::new();
    for right in TABLE.iter().filter(|right| right.need.is_there_with(parts)) {
        let places = places(right, namespaces, own_namespace);
        questions.extend(places.into_iter().map(|place| review(client.clone(), *right, place)));
    }
    let reviews: Vec<Option<Lack>> = futures::stream::iter(questions).buffered(REVIEWS_MAX).collect().await;
    reviews.into_iter().flatten().collect()
}

fn places(right: &Right, namespaces: &Namespaces, own: &str) -> Vec<Option<String>> {
    match (right.place, namespaces) {
        (Place::Cluster, _) | (Place::Watched, Namespaces::All) => vec![None],
        (Place::Own, _) => vec![Some(own.to_owned())],
        (Place::Watched, Namespaces::List(list)) => list.iter().cloned().map(Some).collect(),
    }
}

async fn review(client: Client, right: Right, namespace: Option<String>) -> Option<Lack> {
    let mut lack = Lack { right, verbs: Vec::new(), namespace, unknown: None };
    for verb in right.verbs {
        match is_allowed(&client, &right, verb, lack.namespace.as_deref()).await {
            Ok(true) => {}
            Ok(false) => lack.verbs.push(verb),
            Err(message) => {
                return Some(Lack { verbs: right.verbs.to_vec(), unknown: Some(message), ..lack });
            }
        }
    }
    (!lack.verbs.is_empty()).then_some(lack)
}

async fn is_allowed(
    client: &Client,
    right: &Right,
    verb: &str,
    namespace: Option<&str>,
) -> Result<bool, String> {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let attributes = ResourceAttributes {
        group: Some(right.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    match tokio::time::timeout(REVIEW_TIMEOUT, api.create(&PostParams::default(), &review)).await {
        Ok(Ok(answer)) => Ok(answer.status.is_some_and(|status| status.allowed)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {REVIEW_TIMEOUT:?}")),
    }
}

fn qualified(right: &Right) -> String {
    if right.group.is_empty() {
        right.resource.to_owned()
    } else {
        format!("{}.{}", right.resource, right.group)
    }
}

/// Every right as a table in Markdown.
#[must_use]
pub fn table_markdown() -> String {
    let mut text =
        "| Resource | Verbs | Where | Needed | What for | Without it |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for right in TABLE {
        let place = match right.place {
            Place::Watched => "every watched namespace",
            Place::Own => "the operator's namespace",
            Place::Cluster => "the cluster",
        };
        let need = match right.need {
            Need::Required => "always",
            Need::Optional => "optional",
            Need::Election => "with leader election",
            Need::Webhook => "with a webhook that has no certificate mounted",
        };
        let Right { verbs, why, without, .. } = right;
        let (resource, verbs) = (qualified(right), verbs.join(", "));
        writeln!(text, "| `{resource}` | {verbs} | {place} | {need} | {why} | {without} |")
            .expect("a string takes everything");
    }
    text
}

/// What is lost with each verb alone, as a table in Markdown.
#[must_use]
pub fn losses_markdown() -> String {
    let mut text = "| Resource | Without the verb | What becomes of drey |\n|---|---|---|\n".to_owned();
    for right in TABLE {
        let mut outcomes: Vec<(Without, Vec<&str>)> = Vec::new();
        for verb in right.verbs {
            let without = right.without_verb(verb);
            match outcomes.iter_mut().find(|(known, _)| *known == without) {
                Some((_, verbs)) => verbs.push(verb),
                None => outcomes.push((without, vec![verb])),
            }
        }
        for (without, verbs) in outcomes {
            let (resource, verbs, words) = (qualified(right), verbs.join(", "), without.words());
            writeln!(text, "| `{resource}` | {verbs} | {words} |").expect("a string takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_right_stands_once_and_tells_everything() {
        let names: BTreeSet<String> = TABLE.iter().map(qualified).collect();
        assert_eq!(names.len(), TABLE.len());
        for right in TABLE {
            assert!(
                !right.verbs.is_empty() && !right.why.is_empty() && !right.without.is_empty(),
                "{right:?}"
            );
            assert!(!right.verbs.contains(&"*"), "what is not used is not asked for");
        }
    }

    #[test]
    fn every_loss_is_that_of_a_right() {
        for (resource, verb, _) in LOSSES {
            let right = TABLE.iter().find(|right| right.resource == *resource);
            assert!(right.is_some_and(|right| right.verbs.contains(verb)), "{verb} {resource}");
        }
    }
}
