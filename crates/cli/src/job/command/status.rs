//! `drey job status`.

use drey_flink::rest::{CheckpointStatistics, JobException, JobOverview, JobState};
use serde_json::{Value, json};

use super::found;
use super::list::as_json;
use crate::failure::{Failure, Kind};
use crate::job::flink::Session;
use crate::job::names::{JobName, called};
use crate::output::{self, TextOrJson, line};

/// Say how a job is: its tasks, what it was restored from, its newest savepoint and checkpoint, its last failure
///
/// Ends with 0 when every task runs or the job has finished, with 1 otherwise.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the job, whole; `NAME*` means any name that begins so; or its id
    pub name: String,
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

/// What is told of a job.
struct Told {
    job: JobOverview,
    restored: Option<String>,
    checkpoint: Option<String>,
    savepoint: Option<String>,
    failure: Option<JobException>,
}

/// Runs the command.
///
/// # Errors
/// There is no such job, or it does not run.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let job = found(session, &JobName::read(&args.name)).await?;
    // What Flink does not tell is left out.
    let statistics = session.rest.checkpoints(job.id).await.ok().flatten();
    let exceptions = session.rest.exceptions(job.id).await.unwrap_or_default();
    let told = Told::of(job, statistics, exceptions.entries.into_iter().next());
    match args.output {
        TextOrJson::Json => output::json(&told.to_json())?,
        TextOrJson::Text => told.lines().iter().try_for_each(|text| line(text))?,
    }
    if told.is_well() {
        Ok(())
    } else {
        Err(Failure::new(Kind::Failed, format!("{} does not run", called(&told.job))))
    }
}

impl Told {
    fn of(job: JobOverview, statistics: Option<CheckpointStatistics>, failure: Option<JobException>) -> Self {
        let latest = statistics.map(|statistics| statistics.latest).unwrap_or_default();
        let place = |path: Option<drey_flink::rest::ExternalPath>| path?.location().map(str::to_owned);
        Self {
            job,
            restored: latest.restored.and_then(|point| place(point.external_path)),
            checkpoint: latest.completed.and_then(|point| place(point.external_path)),
            savepoint: latest.savepoint.and_then(|point| place(point.external_path)),
            failure,
        }
    }

    fn is_well(&self) -> bool {
        match self.job.state {
            JobState::Running => self.job.all_tasks_running(),
            state => state == JobState::Finished,
        }
    }

    fn lines(&self) -> Vec<String> {
        let Self { job, restored, checkpoint, savepoint, failure } = self;
        let mut lines = vec![
            format!("Name:        {}", job.name),
            format!("Id:          {}", job.id),
            format!("State:       {}", job.state.word()),
            format!("Tasks:       {} of {} run", job.tasks.running, job.tasks.total),
        ];
        for (word, value) in
            [("Restored:  ", restored), ("Checkpoint:", checkpoint), ("Savepoint: ", savepoint)]
        {
            lines.extend(value.as_ref().map(|value| format!("{word}  {value}")));
        }
        let failure = failure.as_ref().map(|failure| {
            format!("Last failure: {}", failure.stack_trace.lines().next().unwrap_or(&failure.name))
        });
        lines.extend(failure);
        lines
    }

    fn to_json(&self) -> Value {
        let Self { job, restored, checkpoint, savepoint, failure } = self;
        let mut value = as_json(job);
        value["restoredFrom"] = json!(restored);
        value["latestCheckpoint"] = json!(checkpoint);
        value["latestSavepoint"] = json!(savepoint);
        value["lastFailure"] = json!(failure.as_ref().map(|failure| &failure.stack_trace));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::names::tests::job;

    #[test]
    fn only_what_runs_or_has_finished_is_well() {
        let is_well = |state| Told::of(job('1', "a", state), None, None).is_well();
        assert!(is_well("RUNNING") && is_well("FINISHED"));
        assert!(!is_well("RESTARTING") && !is_well("FAILED") && !is_well("CANCELED"));
        assert_eq!(Told::of(job('1', "a", "RUNNING"), None, None).lines()[3], "Tasks:       1 of 1 run");
    }
}
