//! Holds the chart `drey-operator` to what it promises: every file of values in its `ci/` is linted and rendered by the
//! real Helm, its roles are the rights of `docs/rights.md` and no more, drey reads its configuration without complaint,
//! and a real API server takes each object. Refuses to know templates: it sees only what Helm makes of them.
//!
//! ```text
//!   values ─► helm lint, helm template ─► objects ─┬─► names and rights, by comparison
//!                                                  ├─► configuration, as drey reads it
//!                                                  └─► dry run on the API server; accounts and roles for real
//! ```

pub(crate) mod helm;
mod objects;
mod policy;
mod served;
mod webhook;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use drey_operator::files::Sources;
use drey_operator::{METRICS, Operator};
use drey_testbed::kube::{Controllers, Kube, Options, Programs};

use helm::{Helm, RELEASE_NAMESPACE};
use objects::Objects;

/// The default values of the Java operator's chart.
const UPSTREAM: &str = "upstream-values.yaml";
/// What the chart of the Java operator makes from them, but for the key store of the webhook and cert-manager's objects.
/// These names are those of objects that `helm upgrade` keeps.
const UPSTREAM_NAMES: &[(&str, &str)] = &[
    ("ClusterRole", "flink-operator"),
    ("ClusterRoleBinding", "flink-operator-role-binding"),
    ("ConfigMap", "flink-operator-config"),
    ("Deployment", "flink-kubernetes-operator"),
    ("MutatingWebhookConfiguration", "flink-operator-drey-system-webhook-configuration"),
    ("Role", "flink"),
    ("RoleBinding", "flink-role-binding"),
    ("Service", "flink-operator-webhook-service"),
    ("ServiceAccount", "flink"),
    ("ServiceAccount", "flink-operator"),
    ("ValidatingWebhookConfiguration", "flink-operator-drey-system-webhook-configuration"),
];
/// Values that are not known, at several depths.
const UNKNOWN: &[&str] =
    &["nonsense", "operatorPod.nonsense", "metrics.podMonitor.nonsense", "rbac.jobRole.nonsense"];

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program `helm`
    #[arg(long)]
    helm: PathBuf,
    /// Directory of the programs of a real control plane
    #[arg(long)]
    programs: PathBuf,
    /// Directory of the chart
    #[arg(long, default_value = "charts/drey-operator")]
    chart: PathBuf,
}

/// What was checked.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn check(&mut self, what: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                self.failed += 1;
                println!("FAILED    {what}: {error:#}");
            }
        }
    }
}

/// Checks everything; the last line is `N passed, N failed`.
pub(crate) fn run(args: &Args) -> Result<()> {
    tokio::runtime::Runtime::new().context("no runtime")?.block_on(check(args))
}

async fn check(args: &Args) -> Result<()> {
    let programs = Programs::in_directory(&args.programs)?;
    let name = format!("chart-{}", std::process::id());
    let kube = Kube::start(Options { name, programs, controllers: Controllers::None }).await?;
    served::prepare(&kube.client()).await?;
    let version = kube.client().apiserver_version().await?.git_version;
    let helm = Helm { program: args.helm.clone(), chart: args.chart.clone(), kubernetes: version };
    let mut tally = Tally::default();
    for value in UNKNOWN {
        tally.check(value, refuses(&helm, value));
    }
    for (what, outcome) in webhook::parts(&helm) {
        tally.check(&what, outcome);
    }
    for values in files(&args.chart.join("ci"))? {
        let file = values.file_name().and_then(|name| name.to_str()).context("values have names")?.to_owned();
        tally.check(&format!("{file}: lint"), helm.lint(&values));
        match helm.template(&values) {
            Ok(objects) => rendered(&file, &objects, &kube, &mut tally).await,
            Err(error) => tally.check(&format!("{file}: template"), Err(error)),
        }
    }
    for (what, outcome) in policy::holds(&helm, &kube.client()).await {
        tally.check(&what, outcome);
    }
    kube.stop()?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        bail!("{} checks of the chart failed", tally.failed);
    }
    Ok(())
}

/// Everything about one file of values.
async fn rendered(file: &str, objects: &Objects, kube: &Kube, tally: &mut Tally) {
    let mut check = |what: &str, outcome| tally.check(&format!("{file}: {what}"), outcome);
    let operator = operator(objects);
    match &operator {
        Ok(operator) => {
            check("rights", objects.has_exactly_the_rights(operator));
            check("configuration", is_sound(file, operator, objects));
            check("webhook", webhook::agrees(objects, operator));
        }
        Err(error) => check("configuration", Err(anyhow::anyhow!("{error:#}"))),
    }
    check("metrics of alerts", has_known_metrics(objects));
    check("version", is_of_this_version(objects));
    if file == UPSTREAM {
        check("names", keeps_names(objects));
    }
    for object in objects.all() {
        let outcome = served::dry_run(&kube.client(), object).await;
        check(&format!("dry run of {}", objects::name(object)), outcome);
    }
    if let (Ok(operator), true) = (&operator, served::is_tried_for_real(file)) {
        check("rights of the account", served::account_lacks_nothing(kube, objects, operator).await);
        if objects.hook_account().is_some() {
            check(
                "definitions by the hook's account",
                served::hook_installs_definitions(kube, objects).await,
            );
        }
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    // By name the ones with few rights would come after one that gives rights everywhere.
    files.sort_by_key(|file| !file.to_string_lossy().contains("namespace"));
    Ok(files)
}

fn refuses(helm: &Helm, value: &str) -> Result<()> {
    let answer = helm.template_with(&format!("{value}=1"));
    let Err(error) = answer else { bail!("an unknown value is taken") };
    let text = format!("{error:#}");
    ensure!(
        text.contains("additional properties 'nonsense' not allowed"),
        "the refusal does not name it: {text}"
    );
    Ok(())
}

/// An operator that has read the configuration of the chart.
fn operator(objects: &Objects) -> Result<Operator> {
    let directory = tempfile::tempdir()?;
    for (name, text) in objects.configuration()? {
        std::fs::write(directory.path().join(name), text)?;
    }
    let sources = Sources { directory: directory.path().to_owned(), is_explicit: true, ..Sources::default() };
    Ok(Operator::read(sources)?)
}

/// drey has nothing to say about it, and it agrees with the Deployment.
fn is_sound(file: &str, operator: &Operator, objects: &Objects) -> Result<()> {
    // The only keys there without a meaning for drey are those of another reporter of metrics.
    let expected = |finding: &String| file == UPSTREAM && finding.contains("metrics.reporter.slf4j");
    let findings: Vec<String> =
        operator.findings().iter().map(ToString::to_string).filter(|finding| !expected(finding)).collect();
    ensure!(findings.is_empty(), "drey says: {}", findings.join("; "));
    let configuration = operator.configuration();
    let (metrics, health) = objects.ports()?;
    ensure!(metrics == configuration.metrics_port, "metrics on {metrics}");
    ensure!(Some(health) == configuration.health_probe_port, "probes on {health}");
    let may_be_two = objects.may_be_two()?;
    let has_election = configuration.leader_election.is_some();
    ensure!(!may_be_two || has_election, "several processes at a time without an election");
    let opens_java = |version: &str, key: &str| {
        let key = format!("kubernetes.operator.default-configuration.flink-version.{version}.{key}");
        objects.configuration_text().is_ok_and(|text| {
            text.lines().any(|line| {
                line.contains(&key) && line.contains("--add-opens=java.base/java.util=ALL-UNNAMED")
            })
        })
    };
    ensure!(opens_java("v1_18", "env.java.opts.all"), "Flink 1.18 does not start on Java 17");
    ensure!(opens_java("v1_19+", "env.java.default-opts.all"), "Flink 1.19 does not start on Java 17");
    Ok(())
}

/// An alert about a metric that nobody serves never fires.
fn has_known_metrics(objects: &Objects) -> Result<()> {
    let mut known: Vec<String> =
        drey_engine::metrics::TABLE.iter().map(|metric| metric.full_name()).collect();
    known.extend(METRICS.iter().map(|(name, kind, ..)| {
        let total = if *kind == "counter" { "_total" } else { "" };
        format!("drey_operator_{name}{total}")
    }));
    let states =
        ["CREATED", "SUSPENDED", "UPGRADING", "DEPLOYED", "STABLE", "ROLLING_BACK", "ROLLED_BACK", "FAILED"];
    for metric in drey_operator::upstream_metrics::TABLE {
        known.extend(states.map(|state| metric.name.replace("<STATE>", state)));
    }
    let unknown: Vec<String> =
        objects.metrics_of_alerts()?.into_iter().filter(|metric| !known.contains(metric)).collect();
    ensure!(unknown.is_empty(), "not served: {}", unknown.join(", "));
    Ok(())
}

/// The chart of a version installs that version.
fn is_of_this_version(objects: &Objects) -> Result<()> {
    let deployment = objects.find("Deployment", "flink-kubernetes-operator").context("no Deployment")?;
    let version = &deployment["metadata"]["labels"]["app.kubernetes.io/version"];
    ensure!(version == env!("CARGO_PKG_VERSION"), "`appVersion` of Chart.yaml is {version}");
    Ok(())
}

fn keeps_names(objects: &Objects) -> Result<()> {
    for (kind, name) in UPSTREAM_NAMES {
        let object = objects.find(kind, name).with_context(|| format!("there is no {kind} {name}"))?;
        let namespace = object["metadata"]["namespace"].as_str();
        let is_cluster_wide = kind.starts_with("Cluster") || kind.ends_with("WebhookConfiguration");
        ensure!(
            namespace == (!is_cluster_wide).then_some(RELEASE_NAMESPACE),
            "{kind} {name} is in {namespace:?}"
        );
    }
    let deployment = objects.find("Deployment", "flink-kubernetes-operator").context("no Deployment")?;
    let labels = serde_json::json!({"app.kubernetes.io/name": "flink-kubernetes-operator"});
    // A selector cannot be changed.
    ensure!(
        deployment["spec"]["selector"]["matchLabels"] == labels,
        "the selector of the Deployment is another one"
    );
    Ok(())
}
