//! The objects that Helm rendered, and what is read off them. Refuses to ask a server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use drey_engine::Namespaces;
use drey_operator::Operator;
use drey_operator::rights::{Need, Place, TABLE};
use drey_operator::webhook::WebhookConfig;
use regex::Regex;
use serde_json::Value;

use super::helm::RELEASE_NAMESPACE;

/// The account of drey.
const ACCOUNT: &str = "flink-operator";

/// One verb on one resource in one place; no namespace stands for all of them and for the cluster.
type Right = (Option<String>, String, String);

/// Objects in the order in which they were rendered.
pub(crate) struct Objects(Vec<Value>);

impl Objects {
    pub(crate) fn parse(text: &str) -> Result<Objects> {
        let documents = drey_cli::manifest::parse(Path::new("helm template"), text)
            .map_err(|failure| anyhow!("what Helm rendered is no manifest: {failure}"))?;
        Ok(Objects(documents.into_iter().map(|document| document.value).collect()))
    }

    pub(crate) fn all(&self) -> &[Value] {
        &self.0
    }

    pub(crate) fn find<'a>(&'a self, kind: &str, name: &str) -> Option<&'a Value> {
        self.of_kind(kind).find(|object| object["metadata"]["name"] == name)
    }

    pub(crate) fn of_kind<'a, 'k>(&'a self, kind: &'k str) -> impl Iterator<Item = &'a Value> + use<'a, 'k> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The account of the hook that installs definitions.
    pub(crate) fn hook_account(&self) -> Option<&str> {
        self.of_kind("Job").next()?["spec"]["template"]["spec"]["serviceAccountName"].as_str()
    }

    /// The files of drey's configuration.
    pub(crate) fn configuration(&self) -> Result<BTreeMap<String, String>> {
        let map = self.find("ConfigMap", "flink-operator-config").context("there is no configuration")?;
        Ok(serde_json::from_value(map["data"].clone())?)
    }

    pub(crate) fn configuration_text(&self) -> Result<String> {
        Ok(self.configuration()?.into_values().collect())
    }

    /// The ports of metrics and of probes that the Deployment declares.
    pub(crate) fn ports(&self) -> Result<(u16, u16)> {
        let container = self.container()?;
        let port = |name: &str| {
            let ports = container["ports"].as_array()?;
            let port = ports.iter().find(|port| port["name"] == name)?["containerPort"].as_u64()?;
            u16::try_from(port).ok()
        };
        port("metrics").zip(port("health-port")).context("the ports `metrics` and `health-port`")
    }

    /// Whether two processes of drey can be there at the same time.
    pub(crate) fn may_be_two(&self) -> Result<bool> {
        let spec = &self.deployment()?["spec"];
        Ok(spec["replicas"].as_u64() > Some(1) || spec["strategy"]["type"] != "Recreate")
    }

    /// The webhook that drey would serve with the environment of the Deployment.
    pub(crate) fn webhook(&self) -> Result<Option<WebhookConfig>> {
        let variables = self.container()?["env"].as_array().context("the container has an environment")?;
        let variable = |name: &str| {
            let variable = variables.iter().find(|variable| variable["name"] == name)?;
            variable["value"].as_str().map(str::to_owned)
        };
        Ok(WebhookConfig::of_environment(variable, RELEASE_NAMESPACE)?)
    }

    /// Whether drey makes the certificate of a webhook itself.
    pub(crate) fn has_own_certificate(&self) -> Result<bool> {
        Ok(self.webhook()?.is_some_and(|webhook| webhook.directory.is_none()))
    }

    /// drey's own container.
    pub(crate) fn container(&self) -> Result<&Value> {
        Ok(&self.pod()?["containers"][0])
    }

    /// The spec of drey's pods.
    pub(crate) fn pod(&self) -> Result<&Value> {
        Ok(&self.deployment()?["spec"]["template"]["spec"])
    }

    fn deployment(&self) -> Result<&Value> {
        self.of_kind("Deployment").next().context("there is no Deployment")
    }

    /// Metrics that alerts look at, but for those of Prometheus itself.
    pub(crate) fn metrics_of_alerts(&self) -> Result<BTreeSet<String>> {
        let metric = Regex::new(r"\b(?:drey|flink)_\w+")?;
        let mut metrics = BTreeSet::new();
        for rule in self.of_kind("PrometheusRule") {
            let groups = rule["spec"]["groups"].as_array().context("groups")?;
            for alert in groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
                let expression = alert["expr"].as_str().context("an alert has an expression")?;
                let found: Vec<_> =
                    metric.find_iter(expression).map(|found| found.as_str().to_owned()).collect();
                let is_about_scrapes = expression.starts_with("absent(up{");
                ensure!(is_about_scrapes || !found.is_empty(), "no metric of drey in `{expression}`");
                metrics.extend(found);
            }
        }
        Ok(metrics)
    }

    /// How people sign in to the dashboard, when the operator serves one.
    fn dashboard_login(&self) -> Result<Option<String>> {
        let args: Vec<String> = serde_json::from_value(self.container()?["args"].clone())?;
        Ok(args.iter().find_map(|arg| arg.strip_prefix("--dashboard-login=")).map(str::to_owned))
    }

    /// Roles and bindings give drey's account what `docs/rights.md` and, for a dashboard, `docs/dashboard.md` list, and
    /// nothing else.
    pub(crate) fn has_exactly_the_rights(&self, operator: &Operator) -> Result<()> {
        let given = self.given()?;
        let mut needed = needed(operator, self.has_own_certificate()?);
        if let Some(login) = self.dashboard_login()? {
            needed.extend(of_dashboard(operator, &login)?);
        }
        let missing: Vec<String> = needed.difference(&given).map(shown).collect();
        let surplus: Vec<String> = given.difference(&needed).map(shown).collect();
        ensure!(
            missing.is_empty() && surplus.is_empty(),
            "not given: [{}]; given without need: [{}]",
            missing.join("; "),
            surplus.join("; ")
        );
        Ok(())
    }

    fn given(&self) -> Result<BTreeSet<Right>> {
        let mut given = BTreeSet::new();
        for binding in self.of_kind("ClusterRoleBinding").chain(self.of_kind("RoleBinding")) {
            let is_ours =
                |subject: &Value| subject["name"] == ACCOUNT && subject["namespace"] == RELEASE_NAMESPACE;
            if !binding["subjects"].as_array().is_some_and(|subjects| subjects.iter().any(is_ours)) {
                continue;
            }
            let namespace = binding["metadata"]["namespace"].as_str();
            let (kind, name) = (binding["roleRef"]["kind"].as_str(), binding["roleRef"]["name"].as_str());
            let role = self.of_kind(kind.unwrap_or_default()).find(|role| {
                role["metadata"]["name"].as_str() == name
                    && (kind == Some("ClusterRole") || role["metadata"]["namespace"].as_str() == namespace)
            });
            let role =
                role.with_context(|| format!("{} binds a role that is not there", self::name(binding)))?;
            given.extend(rights(role, namespace)?);
        }
        Ok(given)
    }
}

/// The rights of a role where it is bound.
fn rights(role: &Value, namespace: Option<&str>) -> Result<Vec<Right>> {
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().context("a role has rules")? {
        let words = |member: &str| -> Result<Vec<String>> {
            serde_json::from_value(rule[member].clone())
                .with_context(|| format!("`{member}` of {}", name(role)))
        };
        ensure!(rule.get("resourceNames").is_none(), "{}: drey asks for rights on all names", name(role));
        for group in words("apiGroups")? {
            for resource in words("resources")? {
                let resource = format!("{resource}.{group}");
                let right = |verb| (namespace.map(str::to_owned), resource.clone(), verb);
                rights.extend(words("verbs")?.into_iter().map(right));
            }
        }
    }
    Ok(rights)
}

/// Where drey watches; everywhere when there is one `None`.
fn watched(operator: &Operator) -> Vec<Option<String>> {
    match Namespaces::of(&operator.configuration().namespaces, RELEASE_NAMESPACE) {
        Namespaces::All => vec![None],
        Namespaces::List(list) => list.into_iter().map(Some).collect(),
    }
}

/// What a dashboard takes beside the rights of the operator.
fn of_dashboard(operator: &Operator, login: &str) -> Result<BTreeSet<Right>> {
    let kinds = ["flinksessionjobs", "flinkbluegreendeployments", "flinkstatesnapshots"];
    let looks = kinds
        .iter()
        .flat_map(|kind| ["get", "list", "watch"].map(|verb| (format!("{kind}.flink.apache.org"), verb)));
    let mut in_namespaces: Vec<(String, &str)> = looks.collect();
    let mut on_cluster = Vec::new();
    match login {
        "token" => {}
        "none" => in_namespaces.extend([("events.".to_owned(), "list"), ("pods/log.".to_owned(), "get")]),
        "proxy" => on_cluster.extend([("users.", "impersonate"), ("groups.", "impersonate")]),
        other => bail!("`{other}` is no login"),
    }
    let mut needed = BTreeSet::new();
    for place in watched(operator) {
        needed.extend(
            in_namespaces
                .iter()
                .map(|(resource, verb)| (place.clone(), resource.clone(), (*verb).to_owned())),
        );
    }
    needed
        .extend(on_cluster.iter().map(|(resource, verb)| (None, (*resource).to_owned(), (*verb).to_owned())));
    Ok(needed)
}

fn needed(operator: &Operator, has_own_certificate: bool) -> BTreeSet<Right> {
    let watched = watched(operator);
    let mut needed = BTreeSet::new();
    for right in TABLE.iter().filter(|right| right.need != Need::Webhook || has_own_certificate) {
        let places = match right.place {
            Place::Watched => watched.clone(),
            Place::Own => vec![Some(RELEASE_NAMESPACE.to_owned())],
            Place::Cluster => vec![None],
        };
        let resource = format!("{}.{}", right.resource, right.group);
        for place in places {
            let one = |verb: &&str| (place.clone(), resource.clone(), (*verb).to_owned());
            needed.extend(right.verbs.iter().map(one));
        }
    }
    needed
}

fn shown((namespace, resource, verb): &Right) -> String {
    let place = namespace.as_deref().unwrap_or("the cluster");
    format!("{verb} {resource} in {place}")
}

/// `kind/name`.
pub(crate) fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}
