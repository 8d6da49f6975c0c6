//! One change of one deployment: what it will bring about is said first, then it is sent, and only by somebody who means it
//! where it may cost state. Refuses to know which changes there are.

use std::io::{BufRead, IsTerminal, Write};

use drey_api::change::{Action, Particulars, merge};
use drey_api::effect::{self, Outcome};
use drey_api::kinds;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::command::restart::fetch;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::deployments;
use crate::kinds::FlinkKind;
use crate::output::{line, say};

/// How a change is asked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ChangeArgs {
    /// Say what would happen and print the patch; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask where state may be given up
    #[arg(short, long)]
    pub yes: bool,
}

/// How often a patch is sent while the status under it moves.
const TRIES_MAX: u32 = 20;

/// Asks for `action` on the deployment `name`. `None` when that was only tried.
///
/// # Errors
/// Why it cannot be asked for now, an answer that was not yes, or the answer of the API server.
pub(crate) async fn ask(
    connection: &Connection,
    name: &str,
    action: Action,
    particulars: &Particulars,
    args: &ChangeArgs,
) -> Result<Option<View>, Failure> {
    let object = FlinkKind::Deployment.object(name);
    let current = fetch(connection, name).await?;
    if let Some(why) = action.why_not(&current) {
        return Err(Failure::new(Kind::Conflict, why).on(object).hint(format!("see `drey describe {name}`")));
    }
    let patch = action
        .patch(&current, particulars)
        .map_err(|(field, expected)| Failure::new(Kind::Usage, format!("{field}: {expected}")))?;
    let Some(patch) = patch else {
        return Err(Failure::new(Kind::Internal, format!("`{}` is no patch", action.as_str())));
    };
    let outcome = effect::of_edit(&current, &changed(&current, &patch)?);
    say(&format!("{object}: {}", outcome.effect));
    if args.dry_run {
        line(as_yaml(&patch)?.trim_end())?;
        return Ok(None);
    }
    is_meant(args, &outcome, name)?;
    send(connection, &current, patch).await.map(Some)
}

/// Sends a patch of what was looked at. Whoever was told what will happen is not surprised by a spec that somebody else has
/// written meanwhile; what drey writes to the status of a job that is being upgraded is no surprise.
async fn send(connection: &Connection, current: &View, mut patch: Value) -> Result<View, Failure> {
    let (api, object) = (deployments(connection), current.object_name());
    let mut version = current.object.metadata.resource_version.clone();
    for _ in 0..TRIES_MAX {
        patch["metadata"] = json!({ "resourceVersion": version });
        let sent = api.patch(&current.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        match sent {
            Ok(patched) => return View::from_object(patched),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(Failure::from_kube(&error, &object)),
        }
        let newest = fetch(connection, &current.name).await?;
        if newest.generation != current.generation {
            break;
        }
        version = newest.object.metadata.resource_version;
    }
    Err(Failure::new(Kind::Conflict, "somebody else has changed it meanwhile")
        .on(object)
        .hint("look at it and run the command again"))
}

fn changed(current: &View, patch: &Value) -> Result<kinds::FlinkDeploymentSpec, Failure> {
    let mut whole = current.object.data.clone();
    merge(&mut whole, patch);
    kinds::read(&whole["spec"]).map_err(|error| {
        Failure::new(Kind::Invalid, format!("spec.{}: {}", error.path, error.message))
            .on(current.object_name())
    })
}

fn as_yaml(patch: &Value) -> Result<String, Failure> {
    serde_saphyr::to_string(patch)
        .map_err(|error| Failure::new(Kind::Internal, format!("the patch cannot be written: {error}")))
}

/// Refuses what may cost state and was not meant.
///
/// # Errors
/// An answer that was not yes, or nobody to ask.
fn is_meant(args: &ChangeArgs, outcome: &Outcome, name: &str) -> Result<(), Failure> {
    if outcome.dangerous && !args.yes { must_mean_it(name) } else { Ok(()) }
}

/// Asks for the name, as the dashboard does. Without a terminal nobody can be asked.
fn must_mean_it(name: &str) -> Result<(), Failure> {
    let refused = |message: &str| {
        Failure::new(Kind::Usage, message)
            .on(FlinkKind::Deployment.object(name))
            .hint("`--yes` does it without asking, `--dry-run` only says what would happen")
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused("state may be given up, and there is nobody to ask"));
    }
    eprint!("Type the name `{name}` to go on: ");
    std::io::stderr().flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    if typed.trim() == name { Ok(()) } else { Err(refused("the name was not typed; nothing was changed")) }
}
