//! The Services of a cluster: one for the REST API, and a headless one by which TaskManagers find the only JobManager.

use std::collections::BTreeMap;

use drey_api::kinds::DeploymentMode;
use serde_json::{Value, json};

use crate::cluster::{ClusterIdentity, Component, common_labels, rest_service_name, selector};
use crate::error::BuildError;
use crate::ports::Ports;
use crate::settings::Settings;

const EXPOSED_TYPE: &str = "kubernetes.rest-service.exposed.type";

/// How the Service of the REST API is exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exposed {
    ClusterIp,
    HeadlessClusterIp,
    NodePort,
    LoadBalancer,
}

impl Exposed {
    fn read(settings: Settings<'_>) -> Result<Self, BuildError> {
        let text = settings.text(&[EXPOSED_TYPE]).unwrap_or("ClusterIP");
        let known = [
            ("ClusterIP", Self::ClusterIp),
            ("Headless_ClusterIP", Self::HeadlessClusterIp),
            ("NodePort", Self::NodePort),
            ("LoadBalancer", Self::LoadBalancer),
        ];
        let found = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
        found.map(|(_, exposed)| exposed).ok_or_else(|| {
            BuildError::value(EXPOSED_TYPE, text, "ClusterIP, Headless_ClusterIP, NodePort or LoadBalancer")
        })
    }

    fn service_type(self) -> &'static str {
        match self {
            Self::ClusterIp | Self::HeadlessClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// The Service of the REST API.
pub(crate) fn rest(
    cluster: &ClusterIdentity,
    mode: DeploymentMode,
    settings: Settings<'_>,
    ports: Ports,
) -> Result<Value, BuildError> {
    let exposed = Exposed::read(settings)?;
    let annotations = settings.map("kubernetes.rest-service.annotations")?;
    let mut service = service(cluster, mode, &rest_service_name(&cluster.name), &annotations);
    service["spec"]["type"] = json!(exposed.service_type());
    if exposed == Exposed::HeadlessClusterIp {
        service["spec"]["clusterIP"] = json!("None");
    }
    service["spec"]["ports"] = json!([{ "name": "rest", "port": ports.rest, "targetPort": ports.rest_bind }]);
    Ok(service)
}

/// The headless Service in front of the only JobManager.
pub(crate) fn internal(
    cluster: &ClusterIdentity,
    mode: DeploymentMode,
    settings: Settings<'_>,
    ports: Ports,
) -> Result<Value, BuildError> {
    let annotations = settings.map("kubernetes.internal-service.annotations")?;
    let mut service = service(cluster, mode, &cluster.name, &annotations);
    service["spec"]["clusterIP"] = json!("None");
    service["spec"]["ports"] = json!([
        { "name": "jobmanager-rpc", "port": ports.job_manager_rpc, "targetPort": ports.job_manager_rpc },
        { "name": "blobserver", "port": ports.blob, "targetPort": ports.blob },
    ]);
    Ok(service)
}

fn service(
    cluster: &ClusterIdentity,
    mode: DeploymentMode,
    name: &str,
    annotations: &BTreeMap<String, String>,
) -> Value {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": &*cluster.namespace,
            "labels": common_labels(&cluster.name, mode),
        },
        "spec": { "selector": selector(&cluster.name, mode, Component::JobManager) },
    });
    if !annotations.is_empty() {
        service["metadata"]["annotations"] = json!(annotations);
    }
    service
}
