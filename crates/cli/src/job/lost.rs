//! Where the state of a job lies that Flink has forgotten: a JobManager without high availability takes its jobs with it
//! when it dies, and leaves their checkpoints and savepoints behind. Before an update touches a job it asks where those are,
//! so that a failure can name them; a later run of the command takes the newest of what it is given.
//!
//! ```text
//!   /checkpoints/<job id>/chk-*            every checkpoint of a run
//!   /savepoints/savepoint-<6 digits>-*     every savepoint of a run
//! ```
//! This module refuses to choose between what it cannot see: a checkpoint that is overlooked is written a second time.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use drey_flink::JobId;
use sha2::{Digest, Sha256};

use super::flink::Session;
use super::identity::successors;
use super::jar::remove;
use super::release::store;
use super::version::hex;
use crate::failure::{Failure, Kind};
use crate::local_path::path_of;

/// Where the states of a job and of the runs after it lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The directory of the checkpoints of each run, in which every run has one of its own.
    checkpoints: Option<String>,
    /// The directory for savepoints.
    savepoints: Option<String>,
}

impl Traces {
    /// Asks Flink where it writes the checkpoints of a job. What it does not say is not known.
    pub async fn of(session: &Session, job: JobId, savepoints: Option<&str>) -> Self {
        let savepoints = savepoints.map(|directory| directory.trim_end_matches('/').to_owned());
        let newest = match session.rest.checkpoints(job).await {
            Ok(Some(statistics)) => statistics.latest.completed.and_then(|newest| newest.external_path),
            Ok(None) | Err(_) => None,
        };
        let of_newest = newest.and_then(|path| directory_of_runs(path.location()?, job));
        let checkpoints = match of_newest {
            Some(directory) => Some(directory),
            None => configured(session, &["execution.checkpointing.dir", "state.checkpoints.dir"]).await,
        };
        Self { checkpoints, savepoints }
    }

    /// What to add to the command so that it goes on from the newest state: that of the runs, and the savepoint that they
    /// have begun with or, without one, any savepoint of `old`.
    #[must_use]
    pub fn flags(&self, old: JobId, savepoint: Option<&str>, runs: &[JobId]) -> String {
        let runs = if savepoint.is_some() { runs.to_vec() } else { [&[old], runs].concat() };
        let checkpoints = self.checkpoints.iter().flat_map(|directory| {
            runs.iter().map(move |run| format!("{}/{run}/chk-*", directory.trim_end_matches('/')))
        });
        let savepoint = match savepoint {
            Some(savepoint) => Some(savepoint.to_owned()),
            None => self.savepoints.as_ref().map(|directory| format!("{directory}/{}*", savepoint_of(old))),
        };
        let words: Vec<String> =
            checkpoints.chain(savepoint).map(|path| format!("--if-lost {}", quoted(&path))).collect();
        if words.is_empty() { "--if-lost PATH".to_owned() } else { words.join(" ") }
    }
}

/// How the name of each savepoint of a job begins.
fn savepoint_of(job: JobId) -> String {
    format!("savepoint-{}-", &job.to_string()[..6])
}

/// From `/checkpoints/<job>/chk-7` to `/checkpoints`.
fn directory_of_runs(checkpoint: &str, job: JobId) -> Option<String> {
    let (of_job, _) = checkpoint.trim_end_matches('/').rsplit_once('/')?;
    let (directory, last) = of_job.rsplit_once('/')?;
    (last == job.to_string()).then(|| directory.to_owned())
}

/// For a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

async fn configured(session: &Session, keys: &[&str]) -> Option<String> {
    let entries = session.rest.jobmanager_configuration().await.ok()?;
    let value = |key: &&str| entries.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone());
    keys.iter().find_map(value).filter(|value| !value.is_empty())
}

/// What no other JobManager has, nor this one after it was started again: its directory for temporary files. `None` if it
/// does not say.
pub async fn life(session: &Session) -> Option<String> {
    configured(session, &["web.tmpdir"]).await
}

/// A word for the [`life`] of a JobManager that forgets its jobs when it dies; `None` if it does not, or does not say.
pub async fn life_without_memory(session: &Session) -> Option<String> {
    if has_high_availability(session).await != Some(false) {
        return None;
    }
    Some(hex(&Sha256::digest(life(session).await?))[..8].to_owned())
}

/// Whether Flink brings its jobs back by itself. `None` if it does not say.
pub async fn has_high_availability(session: &Session) -> Option<bool> {
    let entries = session.rest.jobmanager_configuration().await.ok()?;
    let is_key = |key: &str| matches!(key, "high-availability.type" | "high-availability");
    Some(entries.iter().any(|(key, value)| is_key(key) && !value.eq_ignore_ascii_case("none")))
}

/// One state that was found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    /// When its last file was written, which is that of its metadata.
    written: SystemTime,
    path: String,
}

/// The newest whole state of what `paths` mean. A `*` at the end stands for any ending.
///
/// # Errors
/// There is none, or one of them is not seen from here.
pub fn newest(paths: &[String]) -> Result<String, Failure> {
    // One state and no other is what is asked for, wherever it is.
    if let [only] = paths
        && !only.ends_with('*')
    {
        return Ok(only.clone());
    }
    let mut found = Vec::new();
    for path in paths {
        found.extend(seen(path)?);
    }
    found.into_iter().max().map(|found| found.path).ok_or_else(|| {
        let failure = Failure::new(Kind::NotFound, "there is no whole checkpoint or savepoint to start from");
        paths.iter().fold(failure, |failure, path| failure.detail(format!("none is at {path}")))
    })
}

/// Every state that a path means, as far as this machine sees them.
fn seen(path: &str) -> Result<Vec<Found>, Failure> {
    let (scheme, local) = local(path).ok_or_else(|| unseen(path))?;
    let (directory, beginning) = local.rsplit_once('/').ok_or_else(|| unseen(path))?;
    let Some(beginning) = beginning.strip_suffix('*') else {
        let state = whole(Path::new(local)).ok_or_else(|| unseen(path))?;
        return Ok(vec![Found { written: state, path: path.to_owned() }]);
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        // A run without a checkpoint has no directory; but then that of all runs is there.
        Err(_) if Path::new(directory).parent().is_some_and(Path::is_dir) => return Ok(Vec::new()),
        Err(_) => return Err(unseen(path)),
    };
    let of_entry = |entry: PathBuf| {
        let name = entry.file_name()?.to_str().filter(|name| name.starts_with(beginning))?.to_owned();
        Some(Found { written: whole(&entry)?, path: format!("{scheme}{directory}/{name}") })
    };
    Ok(entries.flatten().filter_map(|entry| of_entry(entry.path())).collect())
}

fn unseen(path: &str) -> Failure {
    Failure::new(Kind::Usage, format!("what is at `{path}` is not seen from here"))
        .hint("look there for the newest directory with a `_metadata`, and give it as the only `--if-lost`")
}

/// When its metadata was written, which comes last.
fn whole(state: &Path) -> Option<SystemTime> {
    std::fs::metadata(state.join("_metadata")).and_then(|file| file.modified()).ok()
}

/// The scheme and the path of what may be on this machine.
fn local(path: &str) -> Option<(&str, &str)> {
    let local = path_of(path).filter(|path| path.starts_with('/'))?;
    Some((path.strip_suffix(local)?, local))
}

/// Removes what is kept in Flink's store of the jobs that the paths name and of the runs after them: they do not come back.
pub async fn forget(session: &Session, paths: &[String], runs: JobId) {
    let Ok(store) = store(session).await else { return };
    let is_named = |job: &JobId| {
        paths.iter().any(|path| path.contains(&job.to_string()) || path.contains(&savepoint_of(*job)))
    };
    let named: Vec<JobId> =
        paths.iter().flat_map(|path| path.split('/')).filter_map(|word| word.parse().ok()).collect();
    let known = store.jobs();
    let named: Vec<JobId> = known.into_iter().filter(is_named).chain(named).collect();
    let is_lost = |job: JobId| {
        named.iter().any(|lost| {
            *lost == job || successors(*lost).any(|id| id == job) || successors(job).any(|id| id == *lost)
        })
    };
    remove(session, |job, _| job != runs && is_lost(job)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> JobId {
        digit.to_string().repeat(32).parse().expect("an id")
    }

    fn write(state: &Path, seconds: u64) {
        std::fs::create_dir_all(state).expect("made");
        let file = std::fs::File::create(state.join("_metadata")).expect("made");
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).expect("dated");
    }

    #[test]
    fn flags_name_every_place_that_a_state_may_be_at() {
        let traces =
            Traces { checkpoints: Some("file:/cp".to_owned()), savepoints: Some("/it's".to_owned()) };
        let (old, new) = (id('1'), id('2'));
        let running = traces.flags(old, None, &[]);
        assert_eq!(
            running,
            format!(r"--if-lost 'file:/cp/{old}/chk-*' --if-lost '/it'\''s/savepoint-111111-*'")
        );
        let started = traces.flags(old, Some("/sp/x"), &[new]);
        assert_eq!(started, format!("--if-lost 'file:/cp/{new}/chk-*' --if-lost '/sp/x'"));
        assert_eq!(Traces::default().flags(old, None, &[]), "--if-lost PATH");
        assert_eq!(directory_of_runs(&format!("s3://b/cp/{old}/chk-7"), old), Some("s3://b/cp".to_owned()));
        assert_eq!(directory_of_runs("s3://b/cp/chk-7", old), None);
    }

    #[test]
    fn the_newest_whole_state_of_all_places_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| format!("file://{}/{name}", root.path().display());
        write(&root.path().join("cp/a/chk-1"), 10);
        write(&root.path().join("cp/a/chk-2"), 30);
        write(&root.path().join("sp/savepoint-a-x"), 20);
        write(&root.path().join("sp/savepoint-b-x"), 90);
        // Newer, but not whole.
        std::fs::create_dir_all(root.path().join("cp/a/chk-3")).expect("made");
        let both = [at("cp/a/chk-*"), at("sp/savepoint-a-*")];
        assert_eq!(newest(&both), Ok(at("cp/a/chk-2")));
        // A run without any checkpoint.
        assert_eq!(newest(&[at("cp/b/chk-*"), at("sp/savepoint-a-x")]), Ok(at("sp/savepoint-a-x")));
        assert_eq!(newest(&[at("cp/b/chk-*")]).expect_err("none").kind(), Kind::NotFound);
    }

    #[test]
    fn what_is_not_seen_is_not_chosen_between() {
        assert_eq!(newest(&["s3://b/x".to_owned()]), Ok("s3://b/x".to_owned()));
        for paths in [&["s3://b/cp/1/chk-*"][..], &["s3://b/x", "s3://b/y"], &["/nowhere/cp/1/chk-*", "/x"]] {
            let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
            let failure = newest(&paths).expect_err("not seen");
            assert_eq!(failure.kind(), Kind::Usage, "{failure}");
            assert!(failure.to_string().contains("the only `--if-lost`"), "{failure}");
        }
    }
}
