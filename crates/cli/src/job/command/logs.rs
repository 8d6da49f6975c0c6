//! `drey job logs`.

use std::io::Write;

use crate::failure::{Failure, Kind};
use crate::job::flink::{Session, failure};

/// Print the log of the JobManager, or of TaskManagers
///
/// A session cluster has one log for all its jobs. What failed in one job is told by `drey job status`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Whose log
    #[arg(short, long, value_enum, default_value_t)]
    pub component: Component,
    /// Only this TaskManager, by its id
    #[arg(long, value_name = "ID")]
    pub taskmanager: Option<String>,
}

/// A part of a Flink cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Component {
    /// The JobManager.
    #[default]
    Jm,
    /// The TaskManagers.
    Tm,
}

/// Runs the command.
///
/// # Errors
/// Flink does not give the log.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    if let (Component::Jm, None) = (args.component, &args.taskmanager) {
        return print(session, "jobmanager/log").await;
    }
    let known = session.rest.taskmanagers().await.map_err(|error| failure(&error))?;
    let is_meant = |id: &str| args.taskmanager.as_deref().is_none_or(|wanted| wanted == id);
    let ids: Vec<&str> =
        known.iter().map(|taskmanager| taskmanager.id.as_str()).filter(|id| is_meant(id)).collect();
    if ids.is_empty() {
        let all: Vec<&str> = known.iter().map(|taskmanager| taskmanager.id.as_str()).collect();
        let failed = Failure::new(Kind::NotFound, "there is no such TaskManager");
        return Err(failed.hint(format!("these are registered: {}", all.join(", "))));
    }
    for id in ids {
        session.talk.say(format!("TaskManager {id}:"));
        print(session, &format!("taskmanagers/{id}/log")).await?;
    }
    Ok(())
}

/// Passes a log on, piece by piece as it comes.
async fn print(session: &Session, path: &str) -> Result<(), Failure> {
    let lost = |error: reqwest::Error| {
        Failure::new(Kind::Unreachable, format!("the log broke off: {}", error.without_url()))
    };
    let mut answer = session.rest.page(path, None, None).await.map_err(|error| failure(&error))?;
    let status = answer.status();
    if !status.is_success() {
        let message = format!("Unexpected response status {} for {path}", status.as_u16());
        return Err(Failure::new(Kind::NotFound, message)
            .hint("Flink keeps no log file when it logs to its standard output alone"));
    }
    while let Some(piece) = answer.chunk().await.map_err(lost)? {
        std::io::stdout().lock().write_all(&piece)?;
    }
    std::io::stdout().lock().flush()?;
    Ok(())
}
