//! What every object of a cluster has in common: whose it is, names, labels, annotations and owners.
//!
//! Names and labels are those of Flink's own client (native) and of the Java operator (standalone): Flink finds its
//! TaskManagers by them, and so does whoever takes the cluster over.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::kinds::DeploymentMode;
use drey_core::decision::Deployment;
use drey_flink::configuration_file::Loss;
use serde_json::{Value, json};

/// Annotation with the number of the intent by which a cluster was made.
pub const INTENT_ANNOTATION: &str = "drey.dev/intent";
/// Annotation with the job id of the run that a cluster was made for.
pub const JOB_ID_ANNOTATION: &str = "drey.dev/job-id";
/// Annotation with the generation of the resource; upstream reads it to recover a lost status.
pub const GENERATION_ANNOTATION: &str = "flinkdeployment.flink.apache.org/generation";

/// Label with the cluster id.
pub const APP_LABEL: &str = "app";
/// Label with the kind of process.
pub const COMPONENT_LABEL: &str = "component";
/// Label with who starts TaskManagers.
pub const TYPE_LABEL: &str = "type";

pub(crate) const MAIN_CONTAINER: &str = "flink-main-container";

/// The FlinkDeployment that a cluster belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`, which is also the Flink cluster id and the name of the JobManager's Deployment.
    pub name: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
}

/// The objects of one cluster, to be created in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// The Deployment of the JobManagers, owned by the FlinkDeployment.
    pub deployment: Value,
    /// The Deployment of the TaskManagers in standalone mode, owned by the FlinkDeployment; in native mode Flink starts
    /// the pods itself.
    pub task_managers: Option<Value>,
    /// ConfigMaps and Services. They are to be owned by the Deployment of the JobManagers, see [`own`].
    pub owned: Vec<Value>,
    /// Values of the configuration that the cluster will read differently from what was asked: to be told to the user.
    pub losses: Vec<Loss>,
}

/// Makes the JobManager's Deployment the owner of an object, so that it goes when the Deployment goes.
pub fn own(object: &mut Value, deployment_name: &str, deployment_uid: &str) {
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": deployment_name,
        "uid": deployment_uid,
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
}

/// Name of the Deployment of the TaskManagers in standalone mode.
#[must_use]
pub fn task_managers_name(cluster: &str) -> String {
    format!("{cluster}-taskmanager")
}

/// Name of the Service of the REST API.
#[must_use]
pub fn rest_service_name(cluster: &str) -> String {
    format!("{cluster}-rest")
}

/// Name of the ConfigMap with Flink's configuration and logging files.
#[must_use]
pub fn configuration_name(cluster: &str) -> String {
    format!("flink-config-{cluster}")
}

/// Name of the ConfigMap with the pod template of TaskManagers in native mode.
#[must_use]
pub fn pod_template_name(cluster: &str) -> String {
    format!("pod-template-{cluster}")
}

/// A kind of process of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// `component=jobmanager`.
    JobManager,
    /// `component=taskmanager`.
    TaskManager,
}

/// Labels that every object of a cluster has.
#[must_use]
pub fn common_labels(cluster: &str, mode: DeploymentMode) -> BTreeMap<String, String> {
    let kind = match mode {
        DeploymentMode::Native => "flink-native-kubernetes",
        DeploymentMode::Standalone => "flink-standalone-kubernetes",
    };
    [(APP_LABEL, cluster), (TYPE_LABEL, kind)].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// Labels by which the pods of a component are found.
#[must_use]
pub fn selector(cluster: &str, mode: DeploymentMode, component: Component) -> BTreeMap<String, String> {
    let component = match component {
        Component::JobManager => "jobmanager",
        Component::TaskManager => "taskmanager",
    };
    let mut labels = common_labels(cluster, mode);
    labels.insert(COMPONENT_LABEL.to_owned(), component.to_owned());
    labels
}

/// Annotations that tell which decision made the cluster.
pub(crate) fn deployment_annotations(deployment: &Deployment) -> [(String, String); 3] {
    [
        (GENERATION_ANNOTATION.to_owned(), deployment.generation.to_string()),
        (INTENT_ANNOTATION.to_owned(), deployment.seq.to_string()),
        (JOB_ID_ANNOTATION.to_owned(), deployment.job_id.to_string()),
    ]
}

/// The FlinkDeployment as owner. Upstream owns its clusters without being their controller, and its Ingress as
/// controller.
pub(crate) fn owned_by(cluster: &ClusterIdentity, controller: bool) -> Value {
    json!([{
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "name": &*cluster.name,
        "uid": &*cluster.uid,
        "blockOwnerDeletion": true,
        "controller": controller,
    }])
}
