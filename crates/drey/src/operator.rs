//! `drey operator`: the engine on a cluster, in a pod or outside. Refuses to know how it works inside.

use std::path::PathBuf;
use std::sync::Arc;

use drey_cli::connection::{Connection, ConnectionArgs, OperatorConnection};
use drey_cli::failure::{Failure, Kind};
use drey_cli::output::line;
use drey_engine::lease::LeaseError;
use drey_engine::{EngineError, Namespaces, SchemaError};
use drey_kubernetes::{KubernetesConfig, KubernetesLauncher, LoggingFiles};
use drey_operator::files::Sources;
use drey_operator::upstream_metrics::Identity;
use drey_operator::webhook::WebhookConfig;
use drey_operator::{Means, Operator, OperatorError};
use kube::client::ClientBuilder;
use tokio_util::sync::CancellationToken;
use tower::limit::ConcurrencyLimitLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::dashboard::beside::DashboardArgs;
use crate::reach::JobManagers;
use crate::traces::Traces;

/// Name that the Java operator's chart gives to its Deployment.
const DEFAULT_NAME: &str = "flink-kubernetes-operator";

/// How many requests about the objects of clusters may be under way.
const CLUSTER_REQUESTS_MAX: usize = 48;
/// How many requests about resources may be under way: finalizers, statuses, events. They have a bound of their own, so that
/// in a burst the statuses of those that are done do not hold up the Deployments of the others.
const RESOURCE_REQUESTS_MAX: usize = 16;

/// Run FlinkDeployments on a Kubernetes cluster
///
/// In a pod with its service account, elsewhere with `--kubeconfig` and `--context`. Reads the files and keys of the
/// Flink Kubernetes operator. Ends after SIGTERM when what it has begun is done; running jobs go on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of `config.yaml` or `flink-conf.yaml`
    ///
    /// Without it: `$FLINK_CONF_DIR`, then `/opt/flink/conf`. Keys in `$CONF_OVERRIDE_DIR` count first.
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Check configuration and rights, say what is wrong, and end
    #[arg(long)]
    check: bool,
    /// How the log is written to standard error; `$DREY_LOG` sets its filter
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(flatten)]
    dashboard: DashboardArgs,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What clusters log with when their resource does not say: the files beside the configuration, else drey's own.
fn logging(sources: &Sources) -> Result<LoggingFiles, Failure> {
    let files = sources.logging().map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
    let own = LoggingFiles::default();
    Ok(LoggingFiles {
        log4j_console: files.log4j_console.or(own.log4j_console),
        logback_console: files.logback_console.or(own.logback_console),
    })
}

/// Runs the operator.
///
/// # Errors
/// Why it does not start or ended.
pub(crate) async fn run(args: &Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    let traces = Traces::start(variable)?;
    let sources = Sources::of_environment(args.config.clone());
    let logging = logging(&sources)?;
    let operator = Operator::read(sources).map_err(|error| failure(&error))?;
    let OperatorConnection { connection, config, inside } = connection.connect_operator().await?;
    let own_namespace = variable("OPERATOR_NAMESPACE").unwrap_or_else(|| connection.namespace.clone());
    let webhook = WebhookConfig::of_environment(variable, &own_namespace)
        .map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
    let operator = operator.with_webhook(webhook);
    if args.check {
        return check(&operator, &connection, &own_namespace).await;
    }
    write_log(args.log_format, traces.as_ref())?;
    let JobManagers { reach, http } = JobManagers::of(&config, inside)?;
    let namespaces = match Namespaces::of(&operator.configuration().namespaces, &own_namespace) {
        Namespaces::All => Vec::new(),
        Namespaces::List(list) => list,
    };
    let dashboard = args.dashboard.start(&connection, (&config, inside), &namespaces).await?;
    let cluster_client = bounded_client(config.clone(), CLUSTER_REQUESTS_MAX)?;
    let launcher =
        KubernetesLauncher::new(KubernetesConfig { client: cluster_client, namespaces, reach, logging });
    let means = Means {
        launcher: Arc::new(launcher),
        client: connection.client,
        work_client: bounded_client(config, RESOURCE_REQUESTS_MAX)?,
        http,
        identity: Identity {
            host: variable("HOSTNAME").unwrap_or_else(|| "localhost".to_owned()),
            namespace: own_namespace.clone(),
            name: variable("OPERATOR_NAME").unwrap_or_else(|| DEFAULT_NAME.to_owned()),
        },
        own_namespace,
    };
    let ended = until_asked_to_end(operator, means).await;
    if let Some(dashboard) = dashboard {
        dashboard.finish().await;
    }
    if let Some(traces) = traces {
        traces.finish().await;
    }
    ended
}

/// A client with at most so many requests under way. Without a bound, a burst of thousands would open a connection for each
/// request that finds none idle, and keep it.
fn bounded_client(config: kube::Config, requests_max: usize) -> Result<kube::Client, Failure> {
    let client = ClientBuilder::try_from(config).map_err(|error| {
        Failure::new(Kind::Invalid, format!("the API server's credentials cannot be used: {error}"))
    })?;
    // A request is under way until its answer begins: watches do not count.
    Ok(client.with_layer(&ConcurrencyLimitLayer::new(requests_max)).build())
}

async fn until_asked_to_end(operator: Operator, means: Means) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let running = operator.run(means, stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended.map(drop).map_err(|error| failure(&error)),
        asked = asked_to_end() => asked?,
    }
    tracing::info!("ending: what has begun is done first");
    stop.cancel();
    running.await.map(drop).map_err(|error| failure(&error))
}

async fn check(operator: &Operator, connection: &Connection, own_namespace: &str) -> Result<(), Failure> {
    for finding in operator.findings() {
        line(&format!("configuration: {finding}"))?;
    }
    let lacking = operator.lacking_rights(&connection.client, own_namespace).await;
    for lack in &lacking {
        line(&format!("rights: {lack}"))?;
    }
    if lacking.iter().any(drey_operator::rights::Lack::is_fatal) {
        return Err(Failure::new(Kind::Forbidden, "rights are lacking that drey cannot work without")
            .on(connection.server.clone())
            .hint("docs/rights.md lists what is needed"));
    }
    line("the operator can start")
}

pub(crate) async fn asked_to_end() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

pub(crate) fn write_log(format: LogFormat, traces: Option<&Traces>) -> Result<(), Failure> {
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(crate::laptop::log::filter()?))
        .with(traces.map(Traces::layer))
        .try_init()
        .map_err(|error| Failure::new(Kind::Internal, format!("the log cannot be opened: {error}")))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Classifies what the operator ended with.
fn failure(error: &OperatorError) -> Failure {
    let kind = match error {
        OperatorError::Files(_) | OperatorError::Refused(_) => Kind::Invalid,
        OperatorError::Port { .. } => Kind::Conflict,
        OperatorError::Lease(LeaseError::Forbidden { .. }) => Kind::Forbidden,
        OperatorError::Engine(EngineError::Schema(SchemaError::NotInstalled)) => Kind::NotFound,
        OperatorError::Engine(EngineError::Schema(SchemaError::Outdated { .. })) => Kind::Conflict,
        OperatorError::Engine(EngineError::Schema(SchemaError::Forbidden { .. })) => Kind::Forbidden,
        OperatorError::Engine(EngineError::Schema(SchemaError::NotRead { .. })) => Kind::Unreachable,
        OperatorError::Engine(EngineError::AlreadyRun) => Kind::Internal,
        OperatorError::Lost(_) | OperatorError::Http(_) => Kind::Failed,
    };
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => Failure::new(kind, message).hint(hint),
        None => Failure::new(kind, text),
    }
}
