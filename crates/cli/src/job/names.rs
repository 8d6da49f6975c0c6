//! Which job is meant. A name means the job of that name and no other; what begins with it is meant only by those who say
//! so. This module refuses to guess.

use drey_flink::JobId;
use drey_flink::rest::JobOverview;

use crate::failure::{Failure, Kind};

/// What stands for a job on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobName {
    /// Its id.
    Id(JobId),
    /// Its whole name.
    Exactly(String),
    /// The beginning of its name.
    Beginning(String),
}

impl JobName {
    /// Reads a word: 32 hexadecimal digits are an id, a `*` at the end stands for any ending.
    #[must_use]
    pub fn read(word: &str) -> Self {
        match (word.parse(), word.strip_suffix('*')) {
            (Ok(id), _) => Self::Id(id),
            (Err(_), Some(beginning)) => Self::Beginning(beginning.to_owned()),
            (Err(_), None) => Self::Exactly(word.to_owned()),
        }
    }

    /// Whether this job is meant.
    #[must_use]
    pub fn means(&self, job: &JobOverview) -> bool {
        match self {
            Self::Id(id) => job.id == *id,
            Self::Exactly(name) => job.name == *name,
            Self::Beginning(beginning) => job.name.starts_with(beginning.as_str()),
        }
    }

    /// The names that a prefix would have meant too.
    #[must_use]
    pub fn similar(&self, jobs: &[JobOverview]) -> Vec<String> {
        let Self::Exactly(name) = self else { return Vec::new() };
        let alike =
            |job: &&JobOverview| is_active(job) && job.name.starts_with(name.as_str()) && job.name != *name;
        let mut names: Vec<String> = jobs.iter().filter(alike).map(|job| job.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl std::fmt::Display for JobName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Exactly(name) => f.write_str(name),
            Self::Beginning(beginning) => write!(f, "{beginning}*"),
        }
    }
}

/// Whether it may still do something. A state that is not known may be anything.
#[must_use]
pub fn is_active(job: &JobOverview) -> bool {
    !job.state.is_globally_terminal()
}

/// The job in words.
#[must_use]
pub fn called(job: &JobOverview) -> String {
    format!("job `{}` ({}, {})", job.name, job.id, job.state.word())
}

/// The one job that is meant: the active one, or without any the one that ended last.
///
/// # Errors
/// None is meant, or several.
pub fn the_one<'a>(jobs: &'a [JobOverview], name: &JobName) -> Result<&'a JobOverview, Failure> {
    let (active, ended): (Vec<_>, Vec<_>) =
        jobs.iter().filter(|job| name.means(job)).partition(|job| is_active(job));
    match active.as_slice() {
        [one] => Ok(one),
        [] => ended.into_iter().max_by_key(|job| job.end_time_ms).ok_or_else(|| none(jobs, name)),
        several => Err(ambiguous(several, name)),
    }
}

/// Nothing has that name.
#[must_use]
pub fn none(jobs: &[JobOverview], name: &JobName) -> Failure {
    let failure = Failure::new(Kind::NotFound, format!("Flink knows no job `{name}`"));
    let similar = name.similar(jobs);
    if similar.is_empty() {
        return failure.hint("see what runs: `drey job list`");
    }
    failure
        .hint(format!("these begin with it: {}; to mean what begins with it: `{name}*`", similar.join(", ")))
}

fn ambiguous(jobs: &[&JobOverview], name: &JobName) -> Failure {
    let failure = Failure::new(Kind::Conflict, format!("`{name}` means {} jobs", jobs.len()));
    let failure = jobs.iter().fold(failure, |failure, job| failure.detail(called(job)));
    failure.hint("name one by its id, or by its whole name")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A job for tests; its id is made of `digit`.
    pub(crate) fn job(digit: char, name: &str, state: &str) -> JobOverview {
        let id = digit.to_string().repeat(32);
        let tasks = json!({"total": 1, "running": u8::from(state == "RUNNING")});
        serde_json::from_value(json!({"jid": id, "name": name, "state": state, "tasks": tasks}))
            .expect("a job")
    }

    #[test]
    fn a_name_means_no_longer_one() {
        let jobs = [job('1', "jobA", "RUNNING"), job('2', "jobAB", "RUNNING")];
        assert_eq!(the_one(&jobs, &JobName::read("jobA")), Ok(&jobs[0]));
        assert_eq!(the_one(&jobs, &JobName::read(&"2".repeat(32))), Ok(&jobs[1]));
        let several = the_one(&jobs, &JobName::read("jobA*")).expect_err("two");
        assert_eq!(several.kind(), Kind::Conflict);
        let none = the_one(&jobs, &JobName::read("job")).expect_err("none");
        assert_eq!(none.kind(), Kind::NotFound);
        assert!(none.to_string().contains("`job*`"), "{none}");
    }

    #[test]
    fn one_that_has_ended_is_meant_only_when_none_is_active() {
        let jobs = [job('1', "a", "FINISHED"), job('2', "a", "RESTARTING")];
        assert_eq!(the_one(&jobs, &JobName::read("a")), Ok(&jobs[1]));
        assert_eq!(the_one(&jobs[..1], &JobName::read("a")), Ok(&jobs[0]));
    }
}
