//! The snapshots that a deployment can be started from: those that its status knows of and, in laptop mode, those that lie
//! in its directories. Refuses to choose, and to say of storage that it cannot see that something is there.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use drey_api::configuration::flatten;
use drey_api::kinds::{FlinkDeploymentSpec, Savepoint};
use drey_api::options::Options;
use drey_api::story::Story;

use crate::deployment::View;
use crate::laptop;
use crate::local_path::absolute;

/// The file that is written last into every savepoint and checkpoint.
const METADATA: &str = "_metadata";

/// Whether a snapshot can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Its metadata is there, which Flink writes last.
    Whole,
    /// There is no metadata where it should be.
    Gone,
    /// It lies in storage that this machine does not see.
    Unseen,
}

impl Completeness {
    /// The word that is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Whole => "complete",
            Self::Gone => "gone",
            Self::Unseen => "not seen from here",
        }
    }
}

/// A snapshot that the job may be started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is.
    pub path: String,
    /// What it was made for.
    pub why: String,
    /// When, in milliseconds since 1970, if that is known.
    pub at_ms: Option<i64>,
    /// Whether it can be read.
    pub completeness: Completeness,
}

/// All of them, newest first; what was kept at an unknown time is what the last stop kept, and comes before. In laptop mode
/// `state_directory` is that of drey, and files are looked at.
#[must_use]
pub fn candidates(view: &View, state_directory: Option<&Path>) -> Vec<Candidate> {
    let mut found = known(view);
    if let Some(root) = state_directory {
        for candidate in lying_about(view, root) {
            if !found.iter().any(|known| is_same_place(&known.path, &candidate.path)) {
                found.push(candidate);
            }
        }
        found.iter_mut().for_each(look_at);
    }
    found.sort_by_key(|candidate| Reverse(candidate.at_ms.unwrap_or(i64::MAX)));
    found
}

/// Those of the status.
fn known(story: &Story) -> Vec<Candidate> {
    let Some(job) = story.status.job_status.as_ref() else { return Vec::new() };
    let savepoints =
        job.savepoint_info.iter().flat_map(|info| info.last_savepoint.iter().chain(&info.savepoint_history));
    let kept = job.upgrade_savepoint_path.as_deref().filter(|path| path.contains('/'));
    let kept = kept.map(|path| candidate(path.to_owned(), "upgrade", None));
    let mut found: Vec<Candidate> = Vec::new();
    for candidate in savepoints.filter_map(of_savepoint).chain(kept) {
        if !found.iter().any(|known| is_same_place(&known.path, &candidate.path)) {
            found.push(candidate);
        }
    }
    found
}

fn of_savepoint(savepoint: &Savepoint) -> Option<Candidate> {
    let why = savepoint.trigger_type.map_or_else(String::new, |trigger| trigger.as_str().to_lowercase());
    let at_ms = Some(savepoint.time_stamp).filter(|at_ms| *at_ms > 0);
    Some(candidate(savepoint.location.clone()?, &why, at_ms))
}

fn candidate(path: String, why: &str, at_ms: Option<i64>) -> Candidate {
    Candidate { path, why: why.to_owned(), at_ms, completeness: Completeness::Unseen }
}

/// What lies in the directories of the job's checkpoints and savepoints under the ids of the job and the resource.
fn lying_about(view: &View, root: &Path) -> Vec<Candidate> {
    let Some(job_id) = view.job_id() else { return Vec::new() };
    let options = options_of(&view.spec, root);
    let below = |directory: Option<String>| directory.as_deref().and_then(absolute);
    let checkpoints = below(options.checkpoint_directory).map(|directory| directory.join(job_id));
    let beginning = format!("savepoint-{}-", job_id.get(..6).unwrap_or(job_id));
    let savepoints = below(options.savepoint_directory);
    // Flink names a savepoint by the job; drey gives each stop a directory below that of the resource.
    let stops = savepoints.iter().flat_map(|directory| inside(&directory.join(&view.uid)));
    let mut found = whole(checkpoints, "chk-", "checkpoint");
    found.extend(stops.flat_map(|stop| whole(Some(stop), "savepoint-", "upgrade")));
    found.extend(whole(savepoints.clone(), &beginning, "savepoint"));
    found
}

/// The snapshots of a directory whose names begin so.
fn whole(directory: Option<PathBuf>, beginning: &str, why: &str) -> Vec<Candidate> {
    let paths = directory.into_iter().flat_map(|directory| inside(&directory));
    paths
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning)))
        .filter(|path| path.join(METADATA).is_file())
        .map(|path| candidate(format!("file:{}", path.display()), why, None))
        .collect()
}

/// What is in a directory, if it is one.
fn inside(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// What counts for the job; options that cannot be read leave no directory.
fn options_of(spec: &FlinkDeploymentSpec, root: &Path) -> Options {
    let mut configuration = laptop::defaults(root).base().clone();
    let own = spec.flink_configuration.as_ref().and_then(|tree| flatten(tree).ok());
    configuration.extend(own.into_iter().flatten());
    Options::from_configuration(&configuration).unwrap_or_default()
}

/// Sees whether it is there, and when it was written.
fn look_at(candidate: &mut Candidate) {
    let Some(path) = absolute(&candidate.path) else { return };
    let metadata = if path.ends_with(METADATA) { path } else { path.join(METADATA) };
    match std::fs::metadata(metadata) {
        Ok(file) if file.is_file() => {
            candidate.completeness = Completeness::Whole;
            let written = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            candidate.at_ms = candidate.at_ms.or(written.and_then(|at| i64::try_from(at.as_millis()).ok()));
        }
        Ok(_) | Err(_) => candidate.completeness = Completeness::Gone,
    }
}

fn is_same_place(a: &str, b: &str) -> bool {
    a == b || absolute(a).is_some_and(|a| Some(a) == absolute(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;
    use serde_json::json;

    fn paths(found: &[Candidate]) -> Vec<&str> {
        found.iter().map(|candidate| candidate.path.as_str()).collect()
    }

    #[test]
    fn newest_first_and_nothing_twice() {
        let status = json!({ "jobStatus": { "upgradeSavepointPath": "/s/2", "savepointInfo": {
            "lastSavepoint": { "timeStamp": 30, "location": "/s/3", "triggerType": "MANUAL" },
            "savepointHistory": [{ "timeStamp": 10, "location": "/s/1" }, { "timeStamp": 20, "location": "/s/2" },
                { "timeStamp": 30, "location": "file:/s/3" }] } } });
        assert_eq!(paths(&candidates(&view(&json!({}), &status), None)), ["/s/3", "/s/2", "/s/1"]);
        let kept = json!({ "jobStatus": { "upgradeSavepointPath": "/c/chk-4", "savepointInfo": {
            "lastSavepoint": { "timeStamp": 30, "location": "/s/3" } } } });
        let found = candidates(&view(&json!({}), &kept), None);
        assert_eq!(paths(&found), ["/c/chk-4", "/s/3"]);
        assert!(found.iter().all(|candidate| candidate.completeness == Completeness::Unseen));
    }

    #[test]
    fn in_laptop_mode_files_are_looked_at_and_forgotten_ones_found() {
        let root = tempfile::tempdir().expect("a directory");
        let job_id = "0123456789abcdef0123456789abcdef";
        let at = |path: &str| root.path().join(path);
        for path in [
            format!("checkpoints/{job_id}/chk-7"),
            "savepoints/savepoint-012345-aaaa".to_owned(),
            "savepoints/savepoint-ffffff-bbbb".to_owned(),
            "savepoints/the-uid/2-aaaa/savepoint-eeeeee-cccc".to_owned(),
        ] {
            std::fs::create_dir_all(at(&path)).expect("made");
            std::fs::write(at(&path).join(METADATA), "x").expect("written");
        }
        // Not whole, and in nobody's status.
        std::fs::create_dir_all(at(&format!("checkpoints/{job_id}/chk-8"))).expect("made");
        let gone = at("savepoints/gone").display().to_string();
        let status = json!({ "jobStatus": { "jobId": job_id,
            "savepointInfo": { "lastSavepoint": { "timeStamp": 30, "location": gone } } } });
        let mut view = view(&json!({}), &status);
        view.uid = "the-uid".to_owned();
        let found = candidates(&view, Some(root.path()));
        let told: Vec<(&str, &str, bool)> = found
            .iter()
            .map(|one| {
                let name = Path::new(&one.path).file_name().and_then(|name| name.to_str());
                (name.unwrap_or_default(), one.completeness.word(), one.at_ms.is_some())
            })
            .collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for expected in [
            ("chk-7", "complete", true),
            ("savepoint-012345-aaaa", "complete", true),
            ("savepoint-eeeeee-cccc", "complete", true),
            ("gone", "gone", true),
        ] {
            assert!(told.contains(&expected), "{expected:?} in {told:?}");
        }
        assert_eq!(told.last().map(|(name, ..)| *name), Some("gone"), "the oldest is last");
    }
}
