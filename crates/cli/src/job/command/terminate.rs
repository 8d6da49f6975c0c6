//! `drey job terminate`.

use super::cancel::cancel;
use super::stop::{StopArgs, stop};
use super::{AnswerArgs, forget, found};
use crate::failure::{Failure, Kind};
use crate::job::flink::Session;
use crate::job::names::JobName;

/// End a job: `cancel` without a savepoint, `stop` with one
///
/// flink-deployer's command, for pipelines that have it; `drey job stop` and `drey job cancel` are the same without a mode.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Name of the job, whole; `NAME*` means any name that begins so; or its id
    #[arg(long, visible_alias = "jnb", value_name = "NAME")]
    pub job_name_base: Option<String>,
    /// `cancel` or `stop`
    #[arg(long, short, value_name = "MODE")]
    pub mode: Option<String>,
    #[command(flatten)]
    pub(crate) stop: StopArgs,
    /// What came of it.
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

/// How a job is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Cancel,
    Stop,
}

impl Args {
    fn check(&self) -> Result<(&str, Mode), Failure> {
        let name = self.job_name_base.as_deref().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Failure::new(Kind::Usage, "unspecified flag 'job-name-base'"))?;
        let mode = match self.mode.as_deref() {
            Some("cancel") => Mode::Cancel,
            Some("stop") => Mode::Stop,
            _ => {
                let unknown = "unknown value for 'mode', only 'cancel' and 'stop' are supported";
                return Err(Failure::new(Kind::Usage, unknown));
            }
        };
        Ok((name, mode))
    }
}

/// Runs the command.
///
/// # Errors
/// The job has not ended.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (name, mode) = args.check()?;
    let job = found(session, &JobName::read(name)).await?;
    let savepoint = match mode {
        Mode::Cancel => {
            cancel(session, &job).await?;
            None
        }
        Mode::Stop => {
            let savepoint = stop(session, &job, &args.stop.stop()).await?;
            session.talk.say(format!("job {} has ended with the savepoint {savepoint}", job.id));
            forget(session, &job).await;
            Some(savepoint)
        }
    };
    session.talk.say("Job successfully terminated");
    args.answer.tell(None, job.id, savepoint.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_as_flink_deployer_does() {
        let args = |name: &str, mode: &str| Args {
            job_name_base: Some(name.to_owned()),
            mode: Some(mode.to_owned()),
            ..Args::default()
        };
        assert_eq!(args("a", "cancel").check(), Ok(("a", Mode::Cancel)));
        assert_eq!(args("a", "stop").check(), Ok(("a", Mode::Stop)));
        let said = |args: &Args| args.check().expect_err("refused").message().to_owned();
        assert_eq!(said(&args("", "stop")), "unspecified flag 'job-name-base'");
        let unknown = "unknown value for 'mode', only 'cancel' and 'stop' are supported";
        assert_eq!(said(&args("a", "kill")), unknown);
        assert_eq!(said(&args("a", "")), unknown);
    }
}
