//! The version that is to run: its jar, and how the jar is run. Flags are those of flink-deployer.

use std::path::PathBuf;
use std::time::Duration;

use drey_flink::JobId;
use drey_flink::rest::{Doubt, RestError};

use super::flink::{Session, innermost, read};
use super::jar::Jar;
use super::remote::{self, Fetched};
use super::version::{Options, Record, Store};
use crate::failure::{Failure, Kind};
use crate::follow::parse_timeout;

/// Which jar, and how it is run.
#[derive(Clone, Default, clap::Args)]
pub struct ReleaseArgs {
    /// The jar, a file of this machine
    #[arg(long, visible_alias = "fn", value_name = "FILE")]
    pub file_name: Option<PathBuf>,
    /// The jar, at an http, https or `s3://BUCKET/KEY` address
    #[arg(long, visible_alias = "rfn", value_name = "URL")]
    pub remote_file_name: Option<String>,
    /// Token for the server of the jar, sent to it as `PRIVATE-TOKEN`
    #[arg(long, visible_alias = "at", value_name = "TOKEN", env = "DREY_JAR_TOKEN", hide_env_values = true)]
    pub api_token: Option<String>,
    /// SHA-256 that the jar must have, in hexadecimal digits
    #[arg(long, value_name = "DIGITS")]
    pub sha256: Option<String>,
    /// Class with `main`; that of the jar's manifest without it
    #[arg(long, visible_alias = "ec", value_name = "CLASS")]
    pub entry_class: Option<String>,
    /// Default parallelism; Flink's own without it
    #[arg(long, short, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..=32768))]
    pub parallelism: Option<i32>,
    /// Arguments of `main`, several words in one or one at a time; quotes hold words together
    #[arg(long, visible_alias = "pa", value_name = "WORDS", allow_hyphen_values = true)]
    pub program_args: Vec<String>,
    /// Leave out state of the savepoint that belongs to no operator
    #[arg(long, visible_alias = "anrs", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    pub allow_non_restored_state: bool,
    /// How long the job may take until it runs: `90s`, `5m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_timeout)]
    pub timeout: Option<Duration>,
    /// Arguments of `main`, each as it is
    #[arg(last = true, value_name = "ARGUMENT")]
    pub rest: Vec<String>,
}

/// Without the token, and without arguments that may hold another.
impl std::fmt::Debug for ReleaseArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReleaseArgs").field("file_name", &self.file_name).finish_non_exhaustive()
    }
}

/// A version that can be sent to Flink.
#[derive(Debug)]
pub struct Release {
    /// Its jar.
    pub jar: Jar,
    /// How it is run.
    pub options: Options,
    /// How long it may take until it runs.
    pub timeout: Duration,
    /// The jar's file, if it is not the user's.
    pub fetched: Option<Fetched>,
}

impl ReleaseArgs {
    /// Refuses flags that do not go together, in flink-deployer's words.
    ///
    /// # Errors
    /// None or both ways to a jar.
    pub fn check(&self) -> Result<(), Failure> {
        let both = match (&self.file_name, &self.remote_file_name) {
            (None, None) => "both flags 'file-name' and 'remote-file-name' unspecified",
            (Some(_), Some(_)) => "both flags 'file-name' and 'remote-file-name' specified, only one allowed",
            (Some(_), None) | (None, Some(_)) => return Ok(()),
        };
        Err(Failure::new(Kind::Usage, both))
    }

    /// Gets the jar and looks into it.
    ///
    /// # Errors
    /// There is none, or it is not the one that was meant.
    pub async fn release(&self, session: &Session) -> Result<Release, Failure> {
        self.check()?;
        let fetched = match &self.remote_file_name {
            Some(address) => Some(remote::fetch(address, self.api_token.as_deref(), &session.talk).await?),
            None => None,
        };
        let path = fetched.as_ref().map(Fetched::path).or(self.file_name.as_deref());
        let path = path.ok_or_else(|| Failure::new(Kind::Internal, "a jar was asked for and none named"))?;
        let jar = Jar::open(path).await?;
        if let Some(expected) = self.sha256.as_deref().filter(|text| !text.eq_ignore_ascii_case(&jar.content))
        {
            let message = format!("the jar has the SHA-256 {}, not {expected}", jar.content);
            return Err(Failure::new(Kind::Invalid, message).on(path.display().to_string()));
        }
        let timeout = self.timeout.unwrap_or(Duration::from_secs(300));
        Ok(Release { jar, options: self.options(), timeout, fetched })
    }

    fn options(&self) -> Options {
        let words = self.program_args.iter().flat_map(|text| words_of(text));
        Options {
            entry_class: self.entry_class.clone().filter(|class| !class.is_empty()),
            program_args: words.chain(self.rest.iter().cloned()).collect(),
            parallelism: self.parallelism,
            allow_non_restored_state: self.allow_non_restored_state,
        }
    }
}

impl Release {
    /// Its word for records.
    #[must_use]
    pub fn version(&self, savepoint_path: Option<&str>) -> String {
        self.options.version(&self.jar.content, savepoint_path)
    }

    /// The record of it under this id, which follows another run or none.
    #[must_use]
    pub fn record(&self, job: JobId, version: &str, jar_id: &str, follows: bool) -> Record {
        let (version, jar_id) = (version.to_owned(), jar_id.to_owned());
        Record { job, version, jar_id, options: self.options.clone(), follows, life: None }
    }
}

/// Takes a text apart as Flink did with `programArgs`: at white space, where quotes hold words together and go away.
#[must_use]
pub fn words_of(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if (c == '"' || c == '\'') && word.is_none() => {
                quote = Some(c);
                word = Some(String::new());
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Jobs and our files of Flink's store, as they are now.
///
/// # Errors
/// Flink does not answer, or takes no jars.
pub async fn store(session: &Session) -> Result<Store, Failure> {
    Ok(Store::of(read(session, || session.rest.jars()).await?))
}

/// Has Flink make the job's plan, so that a class that is not there or a `main` that throws is found before anything is
/// stopped. Returns the name that the job will have, if Flink says.
///
/// # Errors
/// The program makes no job.
pub async fn plan(
    session: &Session,
    jar_id: &str,
    options: &Options,
    job: JobId,
) -> Result<Option<String>, Failure> {
    let run = options.run(job, None);
    let ask = async || match session.rest.plan_jar(jar_id, &run).await {
        Err(RestError::UnknownOutcome { doubt: Doubt::TimedOut { .. }, .. }) => {
            session.talk.say("Flink does not say in time what the new version is; it goes on without");
            Ok(None)
        }
        answer => answer,
    };
    read(session, ask).await.map_err(|failed| {
        // That is nothing of the version's.
        if failed.kind() == Kind::Unreachable {
            return failed;
        }
        let message = format!("the new version makes no job: {}", innermost(failed.message()));
        Failure::new(failed.kind(), message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_apart_as_flink_did() {
        let cases: [(&str, &[&str]); 5] = [
            ("--kafka host:9092  --name x", &["--kafka", "host:9092", "--name", "x"]),
            ("--name 'two words' \"and three\"", &["--name", "two words", "and three"]),
            ("--json={\"a\":1}", &["--json={\"a\":1}"]),
            ("", &[]),
            ("it's", &["it's"]),
        ];
        for (text, words) in cases {
            assert_eq!(words_of(text), words, "{text}");
        }
    }

    #[test]
    fn one_way_to_a_jar_and_no_more() {
        let file = ReleaseArgs { file_name: Some("a.jar".into()), ..ReleaseArgs::default() };
        assert_eq!(file.check(), Ok(()));
        let none = ReleaseArgs::default().check().expect_err("none");
        assert_eq!(none.message(), "both flags 'file-name' and 'remote-file-name' unspecified");
        let both = ReleaseArgs { remote_file_name: Some("https://x/a.jar".into()), ..file };
        let both = both.check().expect_err("both");
        assert_eq!(
            both.message(),
            "both flags 'file-name' and 'remote-file-name' specified, only one allowed"
        );
    }
}
