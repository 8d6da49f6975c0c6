//! `drey crds`: the CustomResourceDefinitions of this drey, from the binary.
//!
//! A definition is replaced as a whole, with the version that was read as a condition. Server-side apply would merge
//! our schema with fields that other managers own, and the result would be nobody's schema.

use std::time::Duration;

use drey_api::crd::change::Change;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::PostParams;
use tokio::time::{Instant, sleep, timeout_at};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Kind};
use crate::follow::parse_timeout;
use crate::output::line;

/// How often a definition is looked at until it is served.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How often a conflict with another writer is tried again.
const CONFLICTS_MAX: u32 = 5;
/// How many fields of one kind of change are named.
const FIELDS_MAX: usize = 12;

/// What to do with the definitions.
#[derive(Clone, Debug, clap::Subcommand)]
#[expect(
    missing_docs,
    reason = "a command is told of by the doc comment of its arguments, which one here would hide"
)]
pub enum Command {
    /// Print the CustomResourceDefinitions as YAML
    ///
    /// Those of this binary; no cluster is asked.
    Print,
    /// Say what `drey crds apply` would change
    ///
    /// Names the fields that would come and those that would go. Ends with 0 when nothing differs and with 1 when something
    /// does.
    Diff,
    Apply(ApplyArgs),
}

/// Install the CustomResourceDefinitions, or replace older ones
///
/// Resources and running jobs are not touched. A definition with fields that this drey does not have is left alone,
/// because the API server would drop them from every resource: use a newer drey, or `--force`.
#[derive(Clone, Debug, clap::Args)]
pub struct ApplyArgs {
    /// Replace a definition also when fields of resources would be dropped
    #[arg(long)]
    pub force: bool,
    /// How long to wait until the API server serves them: `90s`, `5m`
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_timeout)]
    pub timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// The answer of the API server; a downgrade; a definition that is not served in time; or, of `diff`, a difference.
pub async fn run(command: &Command, connection: &ConnectionArgs) -> Result<(), Failure> {
    match command {
        Command::Print => print(),
        Command::Diff => diff(&connection.connect().await?.client).await,
        Command::Apply(args) => apply(&connection.connect().await?.client, args).await,
    }
}

fn print() -> Result<(), Failure> {
    for (number, definition) in drey_api::crd::each().enumerate() {
        let yaml = drey_api::crd::yaml(&definition.spec.names.kind).unwrap_or_default();
        // The text brings its own beginning of a document, or none.
        if number > 0 && !yaml.starts_with("---") {
            line("---")?;
        }
        line(yaml.trim_end())?;
    }
    Ok(())
}

/// What has to be done with one definition.
enum Plan {
    Create,
    Replace(Box<CustomResourceDefinition>, Change),
    Keep,
}

async fn diff(client: &kube::Client) -> Result<(), Failure> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut different = 0;
    for definition in drey_api::crd::each() {
        let plan = plan(&api, &definition).await?;
        different += usize::from(!matches!(plan, Plan::Keep));
        let word = match &plan {
            Plan::Create => "would be created",
            Plan::Replace(..) => "would be replaced",
            Plan::Keep => "unchanged",
        };
        tell(&definition, word, &plan)?;
    }
    if different == 0 {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, format!("{different} of the definitions differ"))
        .hint("install them with `drey crds apply`"))
}

async fn apply(client: &kube::Client, args: &ApplyArgs) -> Result<(), Failure> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut plans = Vec::new();
    // All or nothing: a downgrade of the last one must not be found after the first one is replaced.
    for definition in drey_api::crd::each() {
        let plan = plan(&api, &definition).await?;
        refuse_downgrade(&definition, &plan, args.force)?;
        plans.push((definition, plan));
    }
    let until = Instant::now() + args.timeout;
    for (definition, plan) in plans {
        let word = match &plan {
            Plan::Create => "created",
            Plan::Replace(..) => "replaced",
            Plan::Keep => "unchanged",
        };
        carry_out(&api, &definition, &plan, args.force).await?;
        tell(&definition, word, &plan)?;
        established(&api, &definition, until, args.timeout).await?;
    }
    Ok(())
}

async fn plan(
    api: &Api<CustomResourceDefinition>,
    definition: &CustomResourceDefinition,
) -> Result<Plan, Failure> {
    let failed = |error: kube::Error| Failure::from_kube(&error, &object(definition));
    for _ in 0..CONFLICTS_MAX {
        let Some(served) = api.get_opt(name(definition)).await.map_err(failed)? else {
            return Ok(Plan::Create);
        };
        // Only the API server knows which of its defaults make the two the same.
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        match api.replace(name(definition), &dry_run, &replacement(definition, &served)).await {
            Ok(replaced) if replaced.spec == served.spec => return Ok(Plan::Keep),
            Ok(_) => {
                let change = Change::between(&served, definition);
                return Ok(Plan::Replace(Box::new(served), change));
            }
            // The API server itself writes the status of a definition, and one may be going away.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(contended(definition))
}

fn contended(definition: &CustomResourceDefinition) -> Failure {
    Failure::new(Kind::Conflict, "somebody else changes it all the time")
        .on(object(definition))
        .hint("run it again")
}

/// Our spec, with everything that others have written about the object.
fn replacement(
    definition: &CustomResourceDefinition,
    served: &CustomResourceDefinition,
) -> CustomResourceDefinition {
    let mut replacement = served.clone();
    replacement.spec = definition.spec.clone();
    // Of a webhook that converts versions nothing is ours.
    replacement.spec.conversion.clone_from(&served.spec.conversion);
    replacement.metadata.managed_fields = None;
    replacement
}

fn refuse_downgrade(definition: &CustomResourceDefinition, plan: &Plan, force: bool) -> Result<(), Failure> {
    let Plan::Replace(_, change) = plan else { return Ok(()) };
    if force || !change.is_downgrade() {
        return Ok(());
    }
    let message = "the served definition has fields that this drey does not have; resources would lose them";
    let failure = Failure::new(Kind::Conflict, message).on(object(definition));
    let failure = first(&change.lost).into_iter().fold(failure, |failure, field| failure.detail(field));
    Err(failure.hint("use the drey that installed it or a newer one, or give them up with `--force`"))
}

async fn carry_out(
    api: &Api<CustomResourceDefinition>,
    definition: &CustomResourceDefinition,
    plan: &Plan,
    force: bool,
) -> Result<(), Failure> {
    let failed = |error: kube::Error| Failure::from_kube(&error, &object(definition));
    let mut served = match plan {
        Plan::Keep => return Ok(()),
        Plan::Create => {
            return api.create(&PostParams::default(), definition).await.map(drop).map_err(failed);
        }
        Plan::Replace(served, _) => served.clone(),
    };
    for _ in 0..CONFLICTS_MAX {
        let wanted = replacement(definition, &served);
        match api.replace(name(definition), &PostParams::default(), &wanted).await {
            Ok(_) => return Ok(()),
            // The API server itself writes the status of a definition.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                *served = api.get(name(definition)).await.map_err(failed)?;
                let change = Change::between(&served, definition);
                refuse_downgrade(definition, &Plan::Replace(served.clone(), change), force)?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(contended(definition))
}

/// Waits until the API server serves the kind.
async fn established(
    api: &Api<CustomResourceDefinition>,
    definition: &CustomResourceDefinition,
    until: Instant,
    timeout: Duration,
) -> Result<(), Failure> {
    let late = || {
        Failure::new(Kind::Timeout, format!("not served within {timeout:?}"))
            .on(object(definition))
            .hint(format!("see its conditions: `kubectl describe crd {}`", name(definition)))
    };
    loop {
        let looked = timeout_at(until, api.get(name(definition))).await.map_err(|_| late())?;
        let served = looked.map_err(|error| Failure::from_kube(&error, &object(definition)))?;
        if is_established(&served) {
            return Ok(());
        }
        if Instant::now() + LOOK_INTERVAL > until {
            return Err(late());
        }
        sleep(LOOK_INTERVAL).await;
    }
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    let holds = |kind: &str| {
        conditions.is_some_and(|conditions| {
            conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
        })
    };
    holds("Established") && holds("NamesAccepted")
}

fn tell(definition: &CustomResourceDefinition, word: &str, plan: &Plan) -> Result<(), Failure> {
    line(&format!("{} {word}", object(definition)))?;
    let Plan::Replace(_, change) = plan else { return Ok(()) };
    let Change { added, lost, retyped } = change;
    for (sign, fields) in [("+", added), ("-", lost), ("~", retyped)] {
        first(fields).iter().try_for_each(|field| line(&format!("  {sign} {field}")))?;
    }
    if added.is_empty() && lost.is_empty() && retyped.is_empty() {
        line("  only descriptions, columns or rules of validation differ")?;
    }
    Ok(())
}

/// The fields nearest to the top, and how many there are more.
fn first(fields: &[String]) -> Vec<String> {
    let mut sorted: Vec<&String> = fields.iter().collect();
    sorted.sort_by_key(|field| field.matches('.').count());
    let mut first: Vec<String> = sorted.into_iter().take(FIELDS_MAX).cloned().collect();
    if fields.len() > FIELDS_MAX {
        first.push(format!("… and {} more", fields.len() - FIELDS_MAX));
    }
    first
}

fn name(definition: &CustomResourceDefinition) -> &str {
    definition.metadata.name.as_deref().unwrap_or_default()
}

fn object(definition: &CustomResourceDefinition) -> String {
    format!("customresourcedefinition/{}", name(definition))
}
