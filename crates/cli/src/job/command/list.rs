//! `drey job list`.

use drey_flink::rest::JobOverview;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::age;
use crate::failure::Failure;
use crate::job::flink::{Session, failure};
use crate::output::{self, TextOrJson};
use crate::table::Table;

/// List the jobs that Flink knows
///
/// Those that began last first; jobs that have ended are among them for as long as Flink keeps them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
    /// Leave the headings out
    #[arg(long)]
    pub no_headers: bool,
}

/// The jobs, those that began last first.
///
/// # Errors
/// Flink does not answer.
pub async fn jobs(session: &Session) -> Result<Vec<JobOverview>, Failure> {
    let mut jobs = session.rest.jobs().await.map_err(|error| failure(&error))?;
    jobs.sort_by_key(|job| std::cmp::Reverse(job.start_time_ms));
    Ok(jobs)
}

/// Runs the command.
///
/// # Errors
/// Flink does not answer.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let jobs = jobs(session).await?;
    match args.output {
        TextOrJson::Json => output::json(&Value::Array(jobs.iter().map(as_json).collect())),
        TextOrJson::Text if jobs.is_empty() => {
            session.talk.say("No running jobs found");
            Ok(())
        }
        TextOrJson::Text => output::table(&table(&jobs, Timestamp::now()), args.no_headers),
    }
}

fn table(jobs: &[JobOverview], now: Timestamp) -> Table {
    let mut table = Table::new(["NAME", "ID", "STATE", "TASKS", "AGE"]);
    for job in jobs {
        let began = job.start_time_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        table.push(vec![
            job.name.clone(),
            job.id.to_string(),
            job.state.word().to_owned(),
            format!("{}/{}", job.tasks.running, job.tasks.total),
            began.map_or_else(String::new, |began| age::since(began, now)),
        ]);
    }
    table
}

/// The job as a program reads it.
#[must_use]
pub fn as_json(job: &JobOverview) -> Value {
    let time =
        |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|time| time.to_string());
    json!({
        "id": job.id,
        "name": job.name,
        "state": job.state.word(),
        "startTime": time(job.start_time_ms),
        "endTime": time(job.end_time_ms),
        "tasks": { "total": job.tasks.total, "running": job.tasks.running, "finished": job.tasks.finished, "failed": job.tasks.failed },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::names::tests::job;

    #[test]
    fn a_row_has_name_id_and_state() {
        let lines = table(&[job('1', "a b", "RUNNING")], Timestamp::now()).lines();
        assert_eq!(lines[1], format!("a b    {}   RUNNING   1/1", "1".repeat(32)));
        assert_eq!(as_json(&job('1', "a", "FAILED"))["state"], "FAILED");
    }
}
