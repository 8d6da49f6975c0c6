//! `drey restore`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::change::{Action, Particulars};
use drey_api::kinds::Savepoint;
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
use crate::table::Table;

/// Start a job from an earlier snapshot, and give up its present state
///
/// Sets `spec.job.initialSavepointPath` and raises `spec.job.savepointRedeployNonce`. Without a path it lists the snapshots
/// that the deployment knows of. This is also the way out of `ManualRestoreRequired`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// A savepoint, or a retained checkpoint; `latest` for the newest that the deployment knows of
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
        Some(LATEST) => latest(&fetch(connection, name).await?)?,
        Some(path) => path.to_owned(),
        None => return list(&fetch(connection, name).await?),
    };
    let particulars = Particulars { path: Some(path), ..Particulars::default() };
    let Some(patched) = ask(connection, name, Action::Restore, &particulars, &args.change).await? else {
        return Ok(());
    };
    until_stable(&args.wait, connection, &patched, "restored").await
}

/// A snapshot that the status knows of.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    path: String,
    why: String,
    at_ms: Option<i64>,
}

/// Newest first; what the last stop kept is the newest of all.
fn candidates(view: &View) -> Vec<Candidate> {
    let Some(job) = view.status.job_status.as_ref() else { return Vec::new() };
    let savepoints =
        job.savepoint_info.iter().flat_map(|info| info.last_savepoint.iter().chain(&info.savepoint_history));
    let mut found: Vec<Candidate> = Vec::new();
    let mut add = |candidate: Candidate| {
        if !found.iter().any(|known| known.path == candidate.path) {
            found.push(candidate);
        }
    };
    savepoints.filter_map(of_savepoint).for_each(&mut add);
    if let Some(path) = job.upgrade_savepoint_path.as_deref().filter(|path| path.contains('/')) {
        add(Candidate { path: path.to_owned(), why: "upgrade".to_owned(), at_ms: None });
    }
    let kept = job.upgrade_savepoint_path.as_deref();
    found
        .sort_by_key(|candidate| (kept != Some(candidate.path.as_str()), std::cmp::Reverse(candidate.at_ms)));
    found
}

fn of_savepoint(savepoint: &Savepoint) -> Option<Candidate> {
    Some(Candidate {
        path: savepoint.location.clone()?,
        why: savepoint.trigger_type.map_or_else(String::new, |trigger| trigger.as_str().to_lowercase()),
        at_ms: Some(savepoint.time_stamp).filter(|at_ms| *at_ms > 0),
    })
}

fn latest(view: &View) -> Result<String, Failure> {
    candidates(view).into_iter().next().map(|candidate| candidate.path).ok_or_else(|| none(view))
}

fn none(view: &View) -> Failure {
    Failure::new(crate::failure::Kind::NotFound, "the deployment knows of no snapshot")
        .on(view.object_name())
        .hint("give the path of a savepoint, or of a retained checkpoint such as `…/chk-7`")
}

fn list(view: &View) -> Result<(), Failure> {
    let found = candidates(view);
    if found.is_empty() {
        return Err(none(view));
    }
    let (mut table, now) = (Table::new(["AGE", "WHY", "PATH"]), Timestamp::now());
    for candidate in &found {
        let at = candidate.at_ms.and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
        let age = at.map_or_else(|| "-".to_owned(), |at| age::since(at, now));
        table.push(vec![age, candidate.why.clone(), candidate.path.clone()]);
    }
    output::table(&table, false)?;
    say(&format!("restore one with `drey restore {} PATH`, the first one with `latest`", view.name));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;
    use serde_json::json;

    #[test]
    fn what_the_last_stop_kept_comes_first_and_nothing_stands_twice() {
        let status = json!({ "jobStatus": { "upgradeSavepointPath": "/s/2", "savepointInfo": {
            "lastSavepoint": { "timeStamp": 30, "location": "/s/3", "triggerType": "MANUAL" },
            "savepointHistory": [{ "timeStamp": 10, "location": "/s/1" }, { "timeStamp": 20, "location": "/s/2" },
                { "timeStamp": 30, "location": "/s/3" }] } } });
        let view = view(&json!({}), &status);
        let paths: Vec<String> = candidates(&view).into_iter().map(|candidate| candidate.path).collect();
        assert_eq!(paths, ["/s/2", "/s/3", "/s/1"]);
        assert_eq!(latest(&view), Ok("/s/2".to_owned()));
    }
}
