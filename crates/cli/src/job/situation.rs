//! What an update finds: the jobs that Flink knows and the records in its store, read as one of a few situations. An update
//! that was killed is found here by the next one. This module refuses to ask Flink: it is given its answers.

use drey_flink::JobId;
use drey_flink::rest::{JobOverview, JobState};

use super::identity::successors;
use super::names::{JobName, is_active};
use super::version::Store;

/// Where the job to update stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Situation {
    /// One runs: it is to be stopped.
    Running(JobOverview),
    /// The new version was submitted by an earlier run of this command, which did not get to its end.
    Started {
        /// The new version.
        job: JobOverview,
        /// What it follows, if that is known.
        old: Option<JobId>,
    },
    /// An earlier update has stopped this one, and nothing runs since.
    Stopped(JobOverview),
    /// There is one, but not running, so that it cannot be stopped with a savepoint.
    NotReady(JobOverview),
    /// More than one is meant.
    Several(Vec<JobOverview>),
    /// None is active.
    Nothing {
        /// Those that have ended, the latest first.
        ended: Vec<JobOverview>,
    },
}

/// Finds the situation of an update of `name` to `version`.
#[must_use]
pub fn find(jobs: &[JobOverview], store: &Store, name: &JobName, version: &str) -> Situation {
    let mut ended: Vec<&JobOverview> = jobs.iter().filter(|job| name.means(job) && !is_active(job)).collect();
    ended.sort_by_key(|job| std::cmp::Reverse(job.end_time_ms));
    // A new version may have another name: it is known by its id too.
    let follows_one = |job: &JobOverview| ended.iter().any(|old| successors(old.id).any(|id| id == job.id));
    let active: Vec<&JobOverview> =
        jobs.iter().filter(|job| is_active(job) && (name.means(job) || follows_one(job))).collect();
    match active.as_slice() {
        [] => without_an_active_one(&ended, store),
        [one] => with_one(one, jobs, store, version),
        several => Situation::Several(several.iter().map(|job| (*job).clone()).collect()),
    }
}

fn without_an_active_one(ended: &[&JobOverview], store: &Store) -> Situation {
    let records = store.records();
    let was_to_be_updated = |old: &&&JobOverview| {
        old.state == JobState::Finished
            && successors(old.id).any(|id| records.iter().any(|record| record.job == id))
    };
    match ended.iter().find(was_to_be_updated) {
        Some(old) => Situation::Stopped((**old).clone()),
        None => Situation::Nothing { ended: ended.iter().map(|job| (*job).clone()).collect() },
    }
}

fn with_one(one: &JobOverview, jobs: &[JobOverview], store: &Store, version: &str) -> Situation {
    let runs = one.state == JobState::Running;
    let records = store.records();
    let mut versions = records.iter().filter(|record| record.job == one.id).map(|record| &record.version);
    // Of two updates at once one may have died before it saw that it had lost: then it is not known which version this is.
    let is_this_version =
        versions.next().is_some_and(|first| first == version) && versions.all(|other| other == version);
    let known = store.jobs().into_iter().chain(jobs.iter().map(|job| job.id));
    let old = known.into_iter().find(|old| successors(*old).any(|id| id == one.id));
    // The last act of an update is to remove the record of what it replaced.
    let is_unfinished = old.is_some_and(|old| store.has_part_of(old));
    if is_this_version && (!runs || is_unfinished) {
        return Situation::Started { job: one.clone(), old };
    }
    if runs { Situation::Running(one.clone()) } else { Situation::NotReady(one.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::identity::successor;
    use crate::job::names::tests::job;
    use crate::job::version::{Options, Record};
    use drey_flink::rest::StoredJar;

    fn store(records: &[(JobId, &str)]) -> Store {
        let files = records.iter().flat_map(|(job, version)| {
            let record = Record {
                job: *job,
                version: (*version).to_owned(),
                jar_id: "u_drey_jar".into(),
                options: Options::default(),
                follows: true,
                life: None,
            };
            record.names().expect("short")
        });
        Store::of(
            files.map(|name| StoredJar { id: format!("u_{name}"), name, uploaded_at_ms: None }).collect(),
        )
    }

    fn after(old: &JobOverview, name: &str, state: &str) -> JobOverview {
        JobOverview { id: successor(old.id, 0), ..job('0', name, state) }
    }

    fn check(jobs: &[JobOverview], records: &[(JobId, &str)], expected: &Situation) {
        assert_eq!(find(jobs, &store(records), &JobName::read("a"), "v2"), *expected);
    }

    #[test]
    fn each_situation_is_found() {
        let (old, other) = (job('1', "a", "RUNNING"), job('2', "ab", "RUNNING"));
        check(&[old.clone(), other.clone()], &[], &Situation::Running(old.clone()));
        check(std::slice::from_ref(&other), &[], &Situation::Nothing { ended: vec![] });
        let twice = [old, job('3', "a", "RESTARTING")];
        check(&twice, &[], &Situation::Several(twice.to_vec()));
        check(&twice[1..], &[], &Situation::NotReady(twice[1].clone()));
        let ended = job('1', "a", "FINISHED");
        check(std::slice::from_ref(&ended), &[], &Situation::Nothing { ended: vec![ended.clone()] });
    }

    #[test]
    fn an_update_that_was_killed_is_found_by_the_next() {
        let (old, next) = (job('1', "a", "FINISHED"), successor(job('1', "a", "FINISHED").id, 0));
        let stopped = Situation::Stopped(old.clone());
        check(std::slice::from_ref(&old), &[(next, "v2")], &stopped);
        // Also by one that brings another version than the one that was killed.
        check(std::slice::from_ref(&old), &[(next, "v1")], &stopped);
        let starting = after(&old, "a", "CREATED");
        let started = |job: &JobOverview| Situation::Started { job: job.clone(), old: Some(old.id) };
        check(&[old.clone(), starting.clone()], &[(next, "v2")], &started(&starting));
        // A new name hides nothing.
        let renamed = after(&old, "b", "CREATED");
        check(&[old.clone(), renamed.clone()], &[(next, "v2")], &started(&renamed));
        let running = after(&old, "a", "RUNNING");
        check(&[old.clone(), running.clone()], &[(next, "v2"), (old.id, "v1")], &started(&running));
    }

    #[test]
    fn an_update_that_came_to_its_end_is_followed_by_another() {
        let old = job('1', "a", "FINISHED");
        let running = after(&old, "a", "RUNNING");
        check(&[old.clone(), running.clone()], &[(running.id, "v2")], &Situation::Running(running.clone()));
        check(
            &[old.clone(), running.clone()],
            &[(running.id, "v1"), (old.id, "v0")],
            &Situation::Running(running),
        );
    }
    #[test]
    fn of_two_updates_at_once_the_record_of_the_loser_is_no_proof() {
        let old = job('1', "a", "FINISHED");
        let (starting, running) = (after(&old, "a", "CREATED"), after(&old, "a", "RUNNING"));
        let both = [(running.id, "v1"), (running.id, "v2"), (old.id, "v0")];
        check(&[old.clone(), running.clone()], &both, &Situation::Running(running));
        check(&[old, starting.clone()], &both, &Situation::NotReady(starting));
    }
}
