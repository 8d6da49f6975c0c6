//! `drey job update`.

use std::time::Duration;

use drey_flink::rest::SavepointFormat;

use super::AnswerArgs;
use super::stop::{Format, StopArgs};
use crate::failure::{Failure, Kind};
use crate::follow::parse_timeout;
use crate::job::deploy::{Deployment, deploy};
use crate::job::flink::Session;
use crate::job::lost::forget;
use crate::job::names::JobName;
use crate::job::next_run::Runs;
use crate::job::release::ReleaseArgs;
use crate::job::stop::Stop;
use crate::job::update::{Update, Updated, update};

/// Replace a running job by a new version that goes on with its state
///
/// The old version is stopped with a savepoint, the new one is started from the very savepoint that Flink names, and the
/// new id is printed when every task runs. If the new version does not come up, the old one is run again from the same
/// savepoint, and the command fails. An update that was killed is gone on with by running the same command again.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) release: ReleaseArgs,
    /// Name of the job, whole; `NAME*` means any name that begins so; or its id
    #[arg(long, visible_alias = "jnb", value_name = "NAME")]
    pub job_name_base: Option<String>,
    /// Directory for the savepoint, as the JobManager sees it
    #[arg(long, visible_alias = "sd", value_name = "DIRECTORY")]
    pub savepoint_dir: Option<String>,
    /// Where the state lies of a job that Flink has forgotten; the newest of several is taken
    ///
    /// A savepoint or checkpoint, or with a `*` at the end all that begin so in a directory of this machine. It counts only
    /// when Flink has no high availability and knows no job of that name. A command that cannot reach Flink any more says
    /// what to give here.
    #[arg(long, value_name = "PATH")]
    pub if_lost: Vec<String>,
    /// Start the job if none of that name runs
    #[arg(long, visible_alias = "fbd", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    pub fallback_to_deploy: bool,
    /// Leave the new version as it is if it does not come up
    #[arg(long)]
    pub no_rollback: bool,
    /// Do not have Flink run the new `main` up to its job before the old version is stopped
    #[arg(long)]
    pub no_plan: bool,
    /// How long the savepoint may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_timeout)]
    pub savepoint_timeout: Option<Duration>,
    /// Form of the savepoint: readable by every state backend, or quick
    #[arg(long, value_enum, default_value_t)]
    pub savepoint_format: Format,
    /// What came of it.
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

impl Args {
    /// Refuses what is missing, in flink-deployer's words.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self) -> Result<(&str, &str), Failure> {
        self.release.check()?;
        let needed = |value: &'_ Option<String>, flag: &str| match value.as_deref() {
            Some(value) if !value.is_empty() => Ok(()),
            _ => Err(Failure::new(Kind::Usage, format!("unspecified flag '{flag}'"))),
        };
        needed(&self.job_name_base, "job-name-base")?;
        needed(&self.savepoint_dir, "savepoint-dir")?;
        Ok((
            self.job_name_base.as_deref().unwrap_or_default(),
            self.savepoint_dir.as_deref().unwrap_or_default(),
        ))
    }
}

/// Runs the command.
///
/// # Errors
/// The new version does not run.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (name, directory) = args.check()?;
    let release = args.release.release(session).await?;
    let how = Update {
        name: JobName::read(name),
        stop: Stop {
            directory: Some(directory.to_owned()),
            drain: false,
            format: SavepointFormat::from(args.savepoint_format),
            timeout: args.savepoint_timeout.unwrap_or(StopArgs::TIMEOUT),
        },
        if_lost: args.if_lost.clone(),
        fallback_to_deploy: args.fallback_to_deploy,
        roll_back: !args.no_rollback,
        plan: !args.no_plan,
    };
    let (job, savepoint) = match update(session, &release, &how).await? {
        Updated::To(Runs { job, savepoint }) => (job, savepoint),
        Updated::NothingToUpdate { from } => {
            let how = Deployment { savepoint_path: from.clone(), again: false };
            let job = deploy(session, &release, &how).await?;
            if from.is_some() {
                forget(session, &args.if_lost, job).await;
            }
            (job, from)
        }
    };
    session.talk.say("Job successfully updated");
    args.answer.tell(Some(&job.to_string()), job, savepoint.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_as_flink_deployer_does() {
        let mut args = Args::default();
        args.release.file_name = Some("a.jar".into());
        let said = |args: &Args| args.check().expect_err("refused").message().to_owned();
        assert_eq!(said(&args), "unspecified flag 'job-name-base'");
        args.job_name_base = Some("a".to_owned());
        assert_eq!(said(&args), "unspecified flag 'savepoint-dir'");
        args.savepoint_dir = Some("/s".to_owned());
        assert_eq!(args.check(), Ok(("a", "/s")));
    }
}
