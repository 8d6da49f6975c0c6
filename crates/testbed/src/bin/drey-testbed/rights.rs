//! What drey does without each of its rights, on a real API server: the rights of `docs/rights.md` are given to an account
//! of its own, but for one verb, and the built binary runs under it. Then the verb is given back, and what it held up has to
//! go on. Beside that: rights that are revoked, an account that is deleted, and a cluster that is away.
//!
//! There is no node: a cluster counts as started when its objects are there. Refuses to know how drey finds out.

mod account;
mod faults;
mod operator;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drey_cli::command::crds;
use drey_cli::connection::ConnectionArgs;
use drey_operator::rights::{self, Need, Right, Without};
use drey_testbed::kube::{Controllers, Kube, Options, Programs};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use account::Account;
use operator::Operator;

type FlinkDeployments = Api<drey_api::kinds::FlinkDeployment>;

/// How many operators run at a time.
const PARALLEL: usize = 6;
/// How long something may take that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long something is waited for that need not come, after drey has said what it lacks.
const GRACE: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// The FlinkDeployment that is made while a verb is missing.
const NAME: &str = "one";

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// Directory with the programs of the control plane
    #[arg(long)]
    programs: PathBuf,
    /// Only resources whose name begins so
    #[arg(long, default_value = "")]
    only: String,
    /// Say what was seen, and do not compare it with what `docs/rights.md` says
    #[arg(long)]
    record: bool,
    /// Leave out what is not about one verb
    #[arg(long)]
    no_faults: bool,
}

/// Takes away every verb in turn; the last line is `N passed, N failed`.
pub(crate) fn run(args: &Args) -> Result<()> {
    tokio::runtime::Runtime::new().context("no runtime")?.block_on(all(args))
}

async fn all(args: &Args) -> Result<()> {
    let options = Options {
        name: format!("rights-{}", std::process::id()),
        programs: Programs::in_directory(&args.programs)?,
        controllers: Controllers::Garbage,
    };
    let kube = Kube::start(options).await?;
    install_definitions(&kube).await?;
    let directory = tempfile::tempdir()?;
    let drey = std::fs::canonicalize(&args.drey).with_context(|| args.drey.display().to_string())?;
    let world = World { kube: &kube, drey: &drey, directory: directory.path() };
    let verbs = rights::TABLE.iter().filter(|right| right.resource.starts_with(&args.only));
    let verbs = verbs.flat_map(|right| right.verbs.iter().map(move |verb| (*right, *verb)));
    let cases = verbs.enumerate().map(|(number, (right, verb))| {
        let world = &world;
        async move { (right, verb, world.without(number, right, verb).await) }
    });
    let (mut passed, mut failed) = (0_u64, 0_u64);
    let mut tell = |name: &str, outcome: Result<String>| match outcome {
        Ok(text) => {
            passed += 1;
            println!("ok        {name}: {text}");
        }
        Err(error) => {
            failed += 1;
            println!("FAILED    {name}: {error:#}");
        }
    };
    let mut cases = futures::stream::iter(cases).buffered(PARALLEL);
    while let Some((right, verb, seen)) = cases.next().await {
        let outcome = seen.and_then(|seen| seen.judged(right, verb, args.record));
        tell(&format!("without {verb} {}", right.resource), outcome);
    }
    if !args.no_faults {
        for (name, outcome) in faults::all(&world).await {
            tell(name, outcome);
        }
    }
    drop(cases);
    kube.stop()?;
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} failed");
    Ok(())
}

async fn install_definitions(kube: &Kube) -> Result<()> {
    let kubeconfig = Some(kube.kubeconfig().to_owned());
    let connection = ConnectionArgs { kubeconfig, ..ConnectionArgs::default() };
    let install = crds::Command::Apply(crds::ApplyArgs { force: false, timeout: PATIENCE });
    crds::run(&install, &connection).await.map_err(|failure| anyhow::anyhow!("{failure}"))
}

/// What all cases share.
struct World<'a> {
    kube: &'a Kube,
    drey: &'a Path,
    directory: &'a Path,
}

/// What drey did without a verb.
#[derive(Debug)]
struct Seen {
    without: Without,
    /// Whether its log named the verb at the start.
    is_named: bool,
    /// What it said when it came to need it.
    said: Option<String>,
}

impl Seen {
    fn judged(self, right: Right, verb: &str, record: bool) -> Result<String> {
        let Seen { without, is_named, said } = self;
        let text =
            format!("{}{}", without.words(), said.map(|said| format!(" ({said})")).unwrap_or_default());
        ensure!(is_named, "drey did not name it at its start; {text}");
        let expected = right.without_verb(verb);
        ensure!(record || expected == without, "expected: {}; seen: {text}", expected.words());
        Ok(text)
    }
}

/// How far a FlinkDeployment has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    has_cluster: bool,
    has_ingress: bool,
    has_events: bool,
}

impl Progress {
    const ALL: Progress = Progress { has_cluster: true, has_ingress: true, has_events: true };

    async fn of(client: &Client, namespace: &str, name: &str) -> Result<Progress> {
        let deployment = Api::<Deployment>::namespaced(client.clone(), namespace).get_opt(name).await?;
        let services = Api::<Service>::namespaced(client.clone(), namespace);
        let service = services.get_opt(&format!("{name}-rest")).await?;
        let config_maps = Api::<ConfigMap>::namespaced(client.clone(), namespace);
        let configuration = config_maps.get_opt(&format!("flink-config-{name}")).await?;
        let ingress = Api::<Ingress>::namespaced(client.clone(), namespace).get_opt(name).await?;
        let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let events = Api::<Event>::namespaced(client.clone(), namespace).list(&about).await?;
        Ok(Progress {
            has_cluster: deployment.is_some() && service.is_some() && configuration.is_some(),
            has_ingress: ingress.is_some(),
            has_events: !events.items.is_empty(),
        })
    }
}

impl World<'_> {
    async fn without(&self, number: usize, right: Right, verb: &str) -> Result<Seen> {
        let client = self.kube.client();
        let namespace = format!("without-{number}");
        let account = Account::make(self.kube, &namespace, &self.directory.join(&namespace)).await?;
        account.give(Some((right, verb))).await?;
        let has_webhook = right.need == Need::Webhook;
        if has_webhook {
            account.register_webhook().await?;
        }
        let mut operator = Operator::start(self.drey, &account, has_webhook).await?;
        make(&client, &namespace, NAME).await?;
        let progress = until_settled(&mut operator, async || {
            let progress = Progress::of(&client, &namespace, NAME).await?;
            Ok((progress == Progress::ALL, progress))
        })
        .await?;
        let is_started = progress.has_cluster;
        // What never started is not taken down either; that says nothing about deleting.
        let resources = FlinkDeployments::namespaced(client.clone(), &namespace);
        resources.delete(NAME, &DeleteParams::default()).await?;
        let is_gone = !is_started || {
            let gone = async || {
                let gone = resources.get_opt(NAME).await?.is_none();
                Ok((gone, gone))
            };
            until_settled(&mut operator, gone).await?
        };
        let without = match operator.exit_code()? {
            Some(code) => Without::Ends(code),
            // A leader acts for a while after it could renew its Lease for the last time.
            None if (right.need, verb) == (Need::Election, "update") => operator.until_powerless().await?,
            None if has_webhook => self.of_webhook(&mut operator, &account).await?,
            // It is all there in the end, and nobody can say when.
            None if verb == "watch" && operator.is_refused_after(0)? => Without::Late,
            None if !is_started => Without::NotStarted,
            None if !is_gone => Without::NotDeleted,
            None if !progress.has_ingress => Without::NoIngress,
            None if !progress.has_events => Without::NoEvents,
            None => Without::Later,
        };
        let seen = Seen {
            without,
            is_named: operator.log()?.lines().any(|line| names(line, right, verb)),
            said: operator.said(&resources).await?,
        };
        account.give(None).await?;
        self.goes_on(&mut operator, &account, has_webhook).await.context("after the verb was given back")?;
        operator.stop().await?;
        Ok(seen)
    }

    /// What has become of the webhook.
    async fn of_webhook(&self, operator: &mut Operator, account: &Account) -> Result<Without> {
        let trusted = async || {
            let is_trusted = account.is_webhook_trusted().await?;
            Ok((is_trusted, is_trusted))
        };
        let is_trusted = until_settled(operator, trusted).await?;
        let has_certificate = operator.not_ready().await.is_none();
        Ok(match (has_certificate, is_trusted) {
            (false, _) => Without::NoWebhook,
            (true, false) => Without::NotTrusted,
            (true, true) => Without::Later,
        })
    }

    /// What was held up is done, and one more cluster is started and taken down. An operator that has ended is started
    /// again, as in a pod.
    async fn goes_on(&self, operator: &mut Operator, account: &Account, has_webhook: bool) -> Result<()> {
        let client = self.kube.client();
        let namespace = account.namespace();
        let resources = FlinkDeployments::namespaced(client.clone(), namespace);
        let mut is_made = false;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if operator.exit_code()?.is_some() {
                *operator = Operator::start(self.drey, account, has_webhook).await?;
            }
            let is_gone = resources.get_opt(NAME).await?.is_none();
            if is_gone && !is_made {
                make(&client, namespace, "another").await?;
                is_made = true;
            }
            let has_all = is_made && {
                let progress = Progress::of(&client, namespace, "another").await?;
                progress.has_cluster && progress.has_ingress
            };
            let has_all = has_all && (!has_webhook || account.is_webhook_trusted().await?);
            if has_all && operator.not_ready().await.is_none() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let not_ready = operator.not_ready().await;
                bail!(
                    "gone: {is_gone}, started: {has_all}, not ready: {not_ready:?}\n{}",
                    operator.log_tail()?
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Looks until it is done, or until drey has said that it may not and nothing has come of it for a while.
async fn until_settled<T>(
    operator: &mut Operator,
    mut look: impl AsyncFnMut() -> Result<(bool, T)>,
) -> Result<T> {
    let began = Instant::now();
    let before = operator.log()?.len();
    let mut refused_at = None;
    loop {
        let (is_done, seen) = look().await?;
        let is_refused = operator.is_refused_after(before)? || operator.exit_code()?.is_some();
        if is_refused && refused_at.is_none() {
            refused_at = Some(Instant::now());
        }
        let is_over = refused_at.is_some_and(|at: Instant| at.elapsed() > GRACE);
        if is_done || is_over || began.elapsed() > PATIENCE / 4 {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a line of the log names a verb among those that are lacking.
fn names(line: &str, right: Right, verb: &str) -> bool {
    let Some((_, rest)) = line.split_once("rights: not allowed: `") else { return false };
    let Some((verbs, rest)) = rest.split_once("` on `") else { return false };
    let resource = rest.split('`').next().unwrap_or_default();
    let is_it = resource == right.resource || resource == format!("{}.{}", right.resource, right.group);
    is_it && verbs.split(", ").any(|lacking| lacking == verb)
}

/// A FlinkDeployment that uses every optional right.
async fn make(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let resource = serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "image": "flink:1.20",
            "flinkVersion": "v1_20",
            "serviceAccount": "flink",
            "ingress": { "template": "flink.example/{{namespace}}/{{name}}(/|$)(.*)" },
            "jobManager": { "resource": { "cpu": 0.5, "memory": "1g" } },
            "taskManager": { "resource": { "cpu": 0.5, "memory": "1g" } },
            "job": { "jarURI": "local:///opt/flink/job.jar", "parallelism": 1, "upgradeMode": "stateless" },
        },
    }))?;
    FlinkDeployments::namespaced(client.clone(), namespace).create(&PostParams::default(), &resource).await?;
    Ok(())
}
