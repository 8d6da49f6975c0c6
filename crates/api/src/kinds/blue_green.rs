//! `FlinkBlueGreenDeployment`: two application clusters that take turns.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deployment::{FlinkDeploymentSpec, IngressSpec};
use super::journal::IntentRecord;
use super::status::JobStatus;
use super::text_enum::text_enum;
use crate::crd;

text_enum! {
    /// Which of the two clusters is active, or on its way.
    pub enum BlueGreenState {
        /// The first cluster is being created.
        InitializingBlue = "INITIALIZING_BLUE",
        /// Blue is active.
        ActiveBlue = "ACTIVE_BLUE",
        /// Green is active.
        ActiveGreen = "ACTIVE_GREEN",
        /// Blue takes over.
        TransitioningToBlue = "TRANSITIONING_TO_BLUE",
        /// Green takes over.
        TransitioningToGreen = "TRANSITIONING_TO_GREEN",
        /// Blue is active and takes a savepoint for green.
        SavepointingBlue = "SAVEPOINTING_BLUE",
        /// Green is active and takes a savepoint for blue.
        SavepointingGreen = "SAVEPOINTING_GREEN",
    }
}

/// What is wanted of a pair of application clusters.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "flink.apache.org",
    version = "v1beta1",
    kind = "FlinkBlueGreenDeployment",
    doc = "A pair of application clusters that take turns.",
    plural = "flinkbluegreendeployments",
    singular = "flinkbluegreendeployment",
    shortname = "flinkbgdep",
    namespaced,
    status = "FlinkBlueGreenDeploymentStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Job Status","type":"string","jsonPath":".status.jobStatus.state","priority":0}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkBlueGreenDeploymentSpec {
    /// Options of the transition, `kubernetes.operator.bluegreen.*`.
    pub configuration: Option<BTreeMap<String, String>>,
    /// Ingress that follows the active cluster.
    pub ingress: Option<IngressSpec>,
    /// The clusters.
    pub template: Option<FlinkDeploymentTemplateSpec>,
}

/// What both clusters are made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkDeploymentTemplateSpec {
    /// Metadata; upstream does not use it.
    #[schemars(schema_with = "crd::object_metadata")]
    pub metadata: Option<Value>,
    /// Spec of each cluster.
    pub spec: Option<FlinkDeploymentSpec>,
}

/// What was observed and done for a pair of clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkBlueGreenDeploymentStatus {
    /// Job of the active cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_status: Option<JobStatus>,
    /// Which cluster is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green_state: Option<BlueGreenState>,
    /// The spec last acted on, a JSON object in a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconciled_spec: Option<String>,
    /// When it was acted on, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconciled_timestamp: Option<String>,
    /// When a transition is given up, RFC 3339; the epoch for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_timestamp: Option<String>,
    /// When the new cluster was ready, RFC 3339; the epoch for not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_ready_timestamp: Option<String>,
    /// Trigger id of the savepoint for the new cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub savepoint_trigger_id: Option<String>,
    /// The last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Our write-ahead record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentRecord>,
}
