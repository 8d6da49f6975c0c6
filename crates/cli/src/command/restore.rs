//! `drey restore`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::change::{Action, Particulars};
use jiff::Timestamp;

use super::restart::fetch;
use super::resume::until_stable;
use super::{WaitArgs, deployment_name};
use crate::age;
use crate::change::{ChangeArgs, ask};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::Failure;
use crate::output::{self, say};
use crate::restore_points::{Completeness, candidates};
use crate::table::Table;

/// Start a job from an earlier snapshot, and give up its present state
///
/// Sets `spec.job.initialSavepointPath` and raises `spec.job.savepointRedeployNonce`. Without a path it lists the snapshots
/// that the deployment knows of, each with its age and whether it is complete; in laptop mode also the checkpoints and
/// savepoints that lie in its directories. This is also the way out of `ManualRestoreRequired`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// A savepoint, or a retained checkpoint; `latest` for the newest of those that are listed
    pub path: Option<String>,
    /// Asking.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// The word for the newest one.
const LATEST: &str = "latest";

/// Runs the command.
///
/// # Errors
/// Why the job does not run from that snapshot.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let path = match args.path.as_deref() {
        Some(LATEST) => latest(&fetch(connection, name).await?, connection)?,
        Some(path) => path.to_owned(),
        None => return list(&fetch(connection, name).await?, connection),
    };
    let particulars = Particulars { path: Some(path), ..Particulars::default() };
    let Some(patched) = ask(connection, name, Action::Restore, &particulars, &args.change).await? else {
        return Ok(());
    };
    until_stable(&args.wait, connection, &patched, "restored").await
}

/// The newest that is not known to be gone.
fn latest(view: &View, connection: &Connection) -> Result<String, Failure> {
    let found = candidates(view, connection.state_directory.as_deref());
    let usable = found.into_iter().find(|candidate| candidate.completeness != Completeness::Gone);
    usable.map(|candidate| candidate.path).ok_or_else(|| none(view))
}

fn none(view: &View) -> Failure {
    Failure::new(crate::failure::Kind::NotFound, "the deployment knows of no snapshot")
        .on(view.object_name())
        .hint("give the path of a savepoint, or of a retained checkpoint such as `…/chk-7`")
}

fn list(view: &View, connection: &Connection) -> Result<(), Failure> {
    let found = candidates(view, connection.state_directory.as_deref());
    if found.is_empty() {
        return Err(none(view));
    }
    let (mut table, now) = (Table::new(["AGE", "WHY", "COMPLETENESS", "PATH"]), Timestamp::now());
    for candidate in &found {
        let at = candidate.at_ms.and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
        let age = at.map_or_else(|| "-".to_owned(), |at| age::since(at, now));
        let whole = candidate.completeness.word().to_owned();
        table.push(vec![age, candidate.why.clone(), whole, candidate.path.clone()]);
    }
    output::table(&table, false)?;
    say(&format!("restore one with `drey restore {} PATH`, the newest with `latest`", view.name));
    Ok(())
}
