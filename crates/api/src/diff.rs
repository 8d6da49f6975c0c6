//! What an edit means: the fields that differ between the deployed spec and the new one, and the
//! strongest effect among them.
//!
//! The table is upstream's (its annotations on the spec classes); [`effect_of`] is that table. Texts are
//! those of upstream's `SpecChanged` event, except that values which look secret are blotted out. Refuses
//! to know how a change is carried out.

mod json;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::configuration::{ConfigurationError, flatten};
use crate::kinds::{DeploymentMode, FlinkDeploymentSpec, JobSpec, TaskManagerSpec};
use crate::secrets;

/// What a change asks for; the strongest of a spec's changes wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing but taking note.
    Ignore,
    /// More or fewer TaskManagers or slots, without a restart where that is possible.
    Scale,
    /// A new run.
    Upgrade,
    /// A new run from `initialSavepointPath`.
    SavepointRedeploy,
}

impl Effect {
    /// Upstream's word, as in its `SpecChanged` event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "IGNORE",
            Self::Scale => "SCALE",
            Self::Upgrade => "UPGRADE",
            Self::SavepointRedeploy => "SAVEPOINT_REDEPLOY",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The differences between two specs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecChange {
    /// The strongest effect.
    pub effect: Effect,
    /// Each difference, in upstream's order of fields; never empty.
    pub changes: Vec<FieldChange>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Path of the field below `spec`, such as `job.parallelism`.
    pub path: String,
    /// Its deployed value, secrets blotted out; `null` for none.
    pub from: String,
    /// Its new value, secrets blotted out; `null` for none.
    pub to: String,
    /// What this difference asks for.
    pub effect: Effect,
}

impl fmt::Display for SpecChange {
    /// Writes the differences as upstream's `SpecChanged` event does.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Diff: FlinkDeploymentSpec[")?;
        for (index, change) in self.changes.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{} : {} -> {}", change.path, change.from, change.to)?;
        }
        formatter.write_str("]")
    }
}

/// Compares the deployed spec with the new one; `None` when nothing differs that anything depends on.
/// Configuration is compared flat and as text, so that `2` and `"2"`, nested and flat, are equal. What
/// scaling asks for depends on the mode of the deployed spec.
#[must_use]
pub fn compare(deployed: &FlinkDeploymentSpec, new: &FlinkDeploymentSpec) -> Option<SpecChange> {
    if deployed == new {
        return None;
    }
    let mut comparison = Comparison { mode: deployed.deployment_mode(), changes: Vec::new() };
    comparison.deployment(deployed, new);
    let effect = comparison.changes.iter().map(|change| change.effect).max()?;
    Some(SpecChange { effect, changes: comparison.changes })
}

/// Fields by what a change of them asks for.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// Nothing depends on it until it is next used.
    Noted,
    /// The number of TaskManagers: the operator's business in standalone mode, a restart in native mode.
    Width,
    /// Counts only when it changes to a number.
    RestartNonce,
    /// Counts only when it changes to a number.
    SavepointRedeployNonce,
    /// Anything else.
    Other,
}

fn effect_of(field: Field, mode: DeploymentMode) -> Effect {
    match (field, mode) {
        (Field::Noted, _) => Effect::Ignore,
        (Field::Width, DeploymentMode::Standalone) => Effect::Scale,
        (Field::Width, DeploymentMode::Native) | (Field::RestartNonce | Field::Other, _) => Effect::Upgrade,
        (Field::SavepointRedeployNonce, _) => Effect::SavepointRedeploy,
    }
}

/// What a change of a configuration key asks for; prefixes count without a dot behind them, as upstream.
fn effect_of_key(key: &str, mode: DeploymentMode) -> Effect {
    let noted = ["job.autoscaler", "parallelism.default", "kubernetes.operator"];
    if noted.iter().any(|prefix| key.starts_with(prefix)) {
        Effect::Ignore
    } else if mode == DeploymentMode::Native && key.starts_with("pipeline.jobvertex-parallelism-overrides") {
        Effect::Scale
    } else {
        Effect::Upgrade
    }
}

struct Comparison {
    mode: DeploymentMode,
    changes: Vec<FieldChange>,
}

impl Comparison {
    /// Every field is named once: a field that is added to the spec does not compile until it is
    /// placed here.
    fn deployment(&mut self, deployed: &FlinkDeploymentSpec, new: &FlinkDeploymentSpec) {
        let FlinkDeploymentSpec {
            job,
            restart_nonce,
            flink_configuration,
            image,
            image_pull_policy,
            service_account,
            flink_version,
            ingress,
            pod_template,
            job_manager,
            task_manager,
            log_configuration,
            mode,
        } = deployed;
        self.field("image", image, &new.image, Field::Other);
        self.field("imagePullPolicy", image_pull_policy, &new.image_pull_policy, Field::Other);
        self.field("serviceAccount", service_account, &new.service_account, Field::Other);
        self.field("flinkVersion", flink_version, &new.flink_version, Field::Other);
        self.field("ingress", ingress, &new.ingress, Field::Noted);
        self.pod_template("podTemplate", pod_template.as_ref(), new.pod_template.as_ref());
        let manager = |spec: &Option<crate::kinds::JobManagerSpec>| {
            spec.clone().map(|mut spec| {
                spec.pod_template = spec.pod_template.as_ref().map(json::template);
                spec
            })
        };
        self.field("jobManager", &manager(job_manager), &manager(&new.job_manager), Field::Other);
        match (task_manager, &new.task_manager) {
            (Some(deployed), Some(new)) => self.task_manager(deployed, new),
            (deployed, new) => self.field("taskManager", deployed, new, Field::Other),
        }
        self.field("logConfiguration", log_configuration, &new.log_configuration, Field::Other);
        self.field("mode", mode, &new.mode, Field::Other);
        match (job, &new.job) {
            (Some(deployed), Some(new)) => self.job(deployed, new),
            (deployed, new) => self.field("job", deployed, new, Field::Other),
        }
        self.nonce("restartNonce", *restart_nonce, new.restart_nonce, Field::RestartNonce);
        self.configuration(flink_configuration.as_ref(), new.flink_configuration.as_ref());
    }

    fn task_manager(&mut self, deployed: &TaskManagerSpec, new: &TaskManagerSpec) {
        let TaskManagerSpec { resource, resources, replicas, pod_template } = deployed;
        self.field("taskManager.resource", resource, &new.resource, Field::Other);
        self.field("taskManager.resources", resources, &new.resources, Field::Other);
        self.field("taskManager.replicas", replicas, &new.replicas, Field::Width);
        self.pod_template("taskManager.podTemplate", pod_template.as_ref(), new.pod_template.as_ref());
    }

    fn job(&mut self, deployed: &JobSpec, new: &JobSpec) {
        let JobSpec {
            jar_uri,
            parallelism,
            entry_class,
            args,
            state,
            savepoint_trigger_nonce,
            initial_savepoint_path,
            checkpoint_trigger_nonce,
            upgrade_mode,
            allow_non_restored_state,
            savepoint_redeploy_nonce,
            autoscaler_reset_nonce,
        } = deployed;
        self.field("job.jarURI", jar_uri, &new.jar_uri, Field::Other);
        self.field("job.parallelism", parallelism, &new.parallelism, Field::Width);
        self.field("job.entryClass", entry_class, &new.entry_class, Field::Other);
        self.field("job.args", args, &new.args, Field::Other);
        self.field("job.state", state, &new.state, Field::Other);
        let noted = Field::Noted;
        let (from, to) = (savepoint_trigger_nonce, &new.savepoint_trigger_nonce);
        self.field("job.savepointTriggerNonce", from, to, noted);
        let (from, to) = (initial_savepoint_path, &new.initial_savepoint_path);
        self.field("job.initialSavepointPath", from, to, noted);
        let (from, to) = (checkpoint_trigger_nonce, &new.checkpoint_trigger_nonce);
        self.field("job.checkpointTriggerNonce", from, to, noted);
        self.field("job.upgradeMode", upgrade_mode, &new.upgrade_mode, noted);
        let (from, to) = (allow_non_restored_state, &new.allow_non_restored_state);
        self.field("job.allowNonRestoredState", from, to, noted);
        let field = Field::SavepointRedeployNonce;
        self.nonce(
            "job.savepointRedeployNonce",
            *savepoint_redeploy_nonce,
            new.savepoint_redeploy_nonce,
            field,
        );
        self.field("job.autoscalerResetNonce", autoscaler_reset_nonce, &new.autoscaler_reset_nonce, noted);
    }

    /// A nonce that is taken away asks for nothing.
    fn nonce(&mut self, path: &str, from: Option<i64>, to: Option<i64>, field: Field) {
        if to.is_some() {
            self.field(path, &from, &to, field);
        }
    }

    fn pod_template(&mut self, path: &str, from: Option<&Value>, to: Option<&Value>) {
        self.field(path, &from.map(json::template), &to.map(json::template), Field::Other);
    }

    fn field<T: PartialEq + serde::Serialize>(&mut self, path: &str, from: &T, to: &T, field: Field) {
        if from == to {
            return;
        }
        let effect = effect_of(field, self.mode);
        for row in json::difference(path, &json::value(from), &json::value(to)) {
            self.changes.push(FieldChange { path: row.path, from: row.from, to: row.to, effect });
        }
    }

    fn configuration(&mut self, deployed: Option<&Value>, new: Option<&Value>) {
        let (Ok(from), Ok(to)) = (flat(deployed), flat(new)) else {
            // A tree that cannot be flattened is refused by validation; here it is compared as it is.
            self.field("flinkConfiguration", &deployed, &new, Field::Other);
            return;
        };
        let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        for key in keys {
            let (from, to) = (from.get(key), to.get(key));
            if from != to {
                let shown = |value: Option<&String>| match value {
                    Some(_) if secrets::is_secret_key(key) => secrets::BLOT.to_owned(),
                    Some(value) => secrets::blot_assignment(value),
                    None => "null".to_owned(),
                };
                self.changes.push(FieldChange {
                    path: format!("flinkConfiguration.{key}"),
                    from: shown(from),
                    to: shown(to),
                    effect: effect_of_key(key, self.mode),
                });
            }
        }
    }
}

fn flat(tree: Option<&Value>) -> Result<BTreeMap<String, String>, ConfigurationError> {
    tree.map_or_else(|| Ok(BTreeMap::new()), flatten)
}
