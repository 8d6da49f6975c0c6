//! What a job is started with, and the record of it that Flink keeps for us.
//!
//! Flink forgets with which jar and which arguments a job was started, and a pipeline has no place of its own. So both lie
//! in Flink's jar store: the jar under a name that is made from its content, and beside it, before anything is started,
//! empty jars in whose names stands under which id the job runs and how.
//!
//! ```text
//!   drey_jar_<content>_<file name>.jar                       the jar
//!   drey_run_<job id>_<version>_<i>of<n>_<base64url>.jar     how the job with this id is started: part i of n
//! ```
//! A whole record is an intent: whoever finds it knows which id to look for. It goes when the job is not needed any more.
//! The store ends with the JobManager unless `web.upload.dir` is set. This module refuses to send anything.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drey_flink::JobId;
use drey_flink::rest::{JarRun, StoredJar};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::limits;

/// How a jar is run, apart from the id and the state that it goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The class with `main`.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// Arguments of `main`.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub program_args: Vec<String>,
    /// The default parallelism.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// State that belongs to no operator is left out.
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_non_restored_state: bool,
}

impl Options {
    /// The request that starts it.
    #[must_use]
    pub fn run(&self, job_id: JobId, savepoint_path: Option<String>) -> JarRun {
        let Self { entry_class, program_args, parallelism, allow_non_restored_state } = self.clone();
        JarRun { job_id, entry_class, program_args, parallelism, savepoint_path, allow_non_restored_state }
    }

    /// What makes one version another: the jar's content, the options, and what it goes on from if that was asked for.
    #[must_use]
    pub fn version(&self, content: &str, savepoint_path: Option<&str>) -> String {
        let mut hash = Sha256::new();
        let options = serde_json::json!([content, self, savepoint_path]);
        hash.update(options.to_string());
        hex(&hash.finalize())[..16].to_owned()
    }
}

/// A record of how a job is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The job's id.
    pub job: JobId,
    /// Which version it is.
    pub version: String,
    /// Its jar in Flink's store.
    pub jar_id: String,
    /// How the jar is run.
    pub options: Options,
    /// It follows another run, whose id gave it its own.
    pub follows: bool,
    /// Which life of a JobManager that forgets its jobs it was written in.
    pub life: Option<String>,
}

/// What lies in the names.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(rename = "j")]
    jar_id: String,
    #[serde(rename = "o")]
    options: Options,
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    follows: bool,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    life: Option<String>,
}

/// The content of a jar with nothing in it.
pub const EMPTY_JAR: [u8; 22] = {
    let mut end = [0; 22];
    (end[0], end[1], end[2], end[3]) = (b'P', b'K', 5, 6);
    end
};

impl Record {
    /// The names of the files that hold it; `None` when it is too long for them.
    #[must_use]
    pub fn names(&self) -> Option<Vec<String>> {
        let Self { job, version, jar_id, options, follows, life } = self;
        let (jar_id, options, life) = (jar_id.clone(), options.clone(), life.clone());
        let written = Written { jar_id, options, follows: *follows, life };
        let written = serde_json::to_vec(&written).ok()?;
        let text = URL_SAFE_NO_PAD.encode(written);
        let parts: Vec<&str> = (0..text.len())
            .step_by(limits::RECORD_CHARACTERS)
            .map(|from| &text[from..text.len().min(from + limits::RECORD_CHARACTERS)])
            .collect();
        let count = parts.len();
        let name =
            |(at, part): (usize, &&str)| format!("drey_run_{job}_{version}_{}of{count}_{part}.jar", at + 1);
        (count <= limits::RECORD_FILES_MAX).then(|| parts.iter().enumerate().map(name).collect())
    }
}

/// The name that a jar is kept under.
#[must_use]
pub fn jar_name(content: &str, file_name: &str) -> String {
    let stem = file_name.strip_suffix(".jar").unwrap_or(file_name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '-' };
    let stem: String = stem.chars().map(plain).take(100).collect();
    format!("drey_jar_{}_{stem}.jar", &content[..content.len().min(32)])
}

/// What lies in Flink's jar store, as far as it is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    files: Vec<StoredJar>,
}

/// One file of a record.
struct Part<'a> {
    job: JobId,
    version: &'a str,
    at: usize,
    count: usize,
    text: &'a str,
}

impl<'a> Part<'a> {
    fn read(name: &'a str) -> Option<Self> {
        let mut words = name.strip_suffix(".jar")?.strip_prefix("drey_run_")?.splitn(4, '_');
        let (job, version, place, text) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let (at, count) = place.split_once("of")?;
        let (at, count) = (at.parse().ok()?, count.parse().ok()?);
        Some(Self { job: job.parse().ok()?, version, at, count, text })
    }
}

impl Store {
    /// Of what Flink lists.
    #[must_use]
    pub fn of(files: Vec<StoredJar>) -> Self {
        Self { files: files.into_iter().filter(|file| file.name.starts_with("drey_")).collect() }
    }

    /// The id of a file with this name.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|file| file.name == name).map(|file| file.id.as_str())
    }

    /// Every whole record.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let parts: Vec<Part<'_>> = self.files.iter().filter_map(|file| Part::read(&file.name)).collect();
        let firsts = parts.iter().filter(|part| part.at == 1);
        let mut records: Vec<Record> = firsts.filter_map(|first| whole(first, &parts)).collect();
        records.sort_by(|a, b| (a.job, &a.version).cmp(&(b.job, &b.version)));
        records.dedup();
        records
    }

    /// The records of a job. Two versions of one job are two updates of the same predecessor.
    #[must_use]
    pub fn of_job(&self, job: JobId) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.job == job).collect()
    }

    /// Whether there is anything of a job, be it half a record.
    #[must_use]
    pub fn has_part_of(&self, job: JobId) -> bool {
        self.files.iter().any(|file| Part::read(&file.name).is_some_and(|part| part.job == job))
    }

    /// Every job of which there is anything.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobId> {
        let mut jobs: Vec<JobId> =
            self.files.iter().filter_map(|file| Part::read(&file.name)).map(|part| part.job).collect();
        jobs.sort();
        jobs.dedup();
        jobs
    }

    /// The files of records that are going, each with its job and version: first the jars that no other record needs, then
    /// the records. A removal that is cut off leaves records, by which the next one finds what is left.
    #[must_use]
    pub fn files_of(&self, is_going: impl Fn(JobId, &str) -> bool) -> Vec<String> {
        let (going, staying): (Vec<Record>, Vec<Record>) =
            self.records().into_iter().partition(|record| is_going(record.job, &record.version));
        let is_needed = |id: &str| staying.iter().any(|record| record.jar_id == id);
        let mut files: Vec<String> = Vec::new();
        for record in &going {
            if self.has_jar(record) && !is_needed(&record.jar_id) && !files.contains(&record.jar_id) {
                files.push(record.jar_id.clone());
            }
        }
        let is_going =
            |file: &&StoredJar| Part::read(&file.name).is_some_and(|part| is_going(part.job, part.version));
        files.extend(self.files.iter().filter(is_going).map(|file| file.id.clone()));
        files
    }

    /// Whether a record was written at `since_ms` or later, in milliseconds since 1970.
    #[must_use]
    pub fn is_since(&self, record: &Record, since_ms: i64) -> bool {
        let is_its = |file: &&StoredJar| {
            Part::read(&file.name)
                .is_some_and(|part| part.job == record.job && part.version == record.version)
        };
        self.files.iter().filter(is_its).any(|file| file.uploaded_at_ms.is_some_and(|at| at >= since_ms))
    }

    /// The jar of a record is there.
    #[must_use]
    pub fn has_jar(&self, record: &Record) -> bool {
        self.files.iter().any(|file| file.id == record.jar_id)
    }
}

fn whole(first: &Part<'_>, parts: &[Part<'_>]) -> Option<Record> {
    let is_its =
        |part: &&Part<'_>| (part.job, part.version, part.count) == (first.job, first.version, first.count);
    let mut text = String::new();
    for at in 1..=first.count.min(limits::RECORD_FILES_MAX) {
        text.push_str(parts.iter().filter(is_its).find(|part| part.at == at)?.text);
    }
    let Written { jar_id, options, follows, life } =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    Some(Record { job: first.job, version: first.version.to_owned(), jar_id, options, follows, life })
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(arguments: Vec<String>) -> Record {
        let options =
            Options { program_args: arguments, entry_class: Some("a.B".into()), ..Options::default() };
        let version = options.version("content", None);
        Record {
            job: JobId::from_bytes([7; 16]),
            version,
            jar_id: "uuid_drey_jar_x_job.jar".into(),
            options,
            follows: true,
            life: Some("0a1b2c3d".into()),
        }
    }

    fn stored(names: &[String]) -> Store {
        let file =
            |name: &String| StoredJar { id: format!("u_{name}"), name: name.clone(), uploaded_at_ms: None };
        Store::of(names.iter().map(file).collect())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(arguments in proptest::collection::vec(".{0,60}", 0..8)) {
            let record = record(arguments);
            let names = record.names().expect("short enough");
            // Flink puts a UUID and `_` before it; file systems take 255 bytes.
            prop_assert!(names.iter().all(|name| name.len() + 37 <= 255));
            let mut turned = names.clone();
            turned.reverse();
            prop_assert_eq!(stored(&turned).records(), vec![record.clone()]);
            let all = stored(&names).files_of(|job, version| (job, version) == (record.job, record.version.as_str()));
            prop_assert_eq!(all.len(), names.len());
        }
    }

    #[test]
    fn half_a_record_is_none() {
        let names = record(vec!["x".repeat(500)]).names().expect("short enough");
        assert!(names.len() > 2);
        assert_eq!(stored(&names[1..]).records(), []);
        assert_eq!(stored(&names[..names.len() - 1]).records(), []);
        assert_eq!(record(vec!["x".repeat(10_000)]).names(), None);
    }

    #[test]
    fn a_jar_goes_with_the_last_record_that_needs_it() {
        let one = record(vec![]);
        let two = Record { job: JobId::from_bytes([8; 16]), ..one.clone() };
        let mut names = one.names().expect("short");
        names.extend(two.names().expect("short"));
        let mut store = stored(&names);
        store.files.push(StoredJar {
            id: one.jar_id.clone(),
            name: "drey_jar_x_job.jar".into(),
            uploaded_at_ms: None,
        });
        let of_one = store.files_of(|job, _| job == one.job);
        assert!(!of_one.contains(&one.jar_id), "{of_one:?}");
        // Of what goes, the jar goes first.
        assert_eq!(store.files_of(|_, _| true)[0], one.jar_id);
    }

    #[test]
    fn a_version_is_its_jar_its_options_and_its_state() {
        let options = Options::default();
        let version = options.version("a", None);
        assert_ne!(version, options.version("b", None));
        assert_ne!(version, options.version("a", Some("/s")));
        assert_ne!(version, Options { parallelism: Some(2), ..Options::default() }.version("a", None));
        assert_eq!(jar_name("abc", "my job_1.jar"), "drey_jar_abc_my-job-1.jar");
    }
}
