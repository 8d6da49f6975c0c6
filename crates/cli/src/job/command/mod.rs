//! The commands for bare Flink: one file each, whose arguments' doc comment is the manual.

pub mod cancel;
pub mod deploy;
pub mod list;
pub mod logs;
pub mod savepoint;
pub mod status;
pub mod stop;
pub mod terminate;
pub mod update;

use drey_flink::JobId;
use drey_flink::rest::JobOverview;
use serde_json::json;

use super::flink::{Session, read};
use super::names::{JobName, the_one};
use super::version::Store;
use crate::failure::Failure;
use crate::output::{self, TextOrJson, line};

/// How a command that changes something tells what came of it.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct AnswerArgs {
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

impl AnswerArgs {
    /// Whether failures are to be printed as JSON too.
    pub(crate) fn is_json(self) -> bool {
        self.output == TextOrJson::Json
    }

    /// Writes the one line of text, if there is one, or the object with the job and, where one was taken, its savepoint.
    fn tell(self, text: Option<&str>, job: JobId, savepoint: Option<&str>) -> Result<(), Failure> {
        match self.output {
            TextOrJson::Text => text.map_or(Ok(()), line),
            TextOrJson::Json => output::json(&json!({ "id": job, "savepoint": savepoint })),
        }
    }
}

/// The one job that a name means, as Flink knows it now.
async fn found(session: &Session, name: &JobName) -> Result<JobOverview, Failure> {
    session.talk.stage("looking", "nothing was changed", "");
    let jobs = read(session, || session.rest.jobs()).await?;
    the_one(&jobs, name).cloned()
}

/// Removes what we have kept in Flink's store for a job that is not to run again.
async fn forget(session: &Session, job: &JobOverview) {
    // An application cluster has no store, and then there is nothing of ours.
    let Ok(files) = session.rest.jars().await else { return };
    if Store::of(files).has_part_of(job.id) {
        super::jar::remove(session, |id, _| id == job.id).await;
    }
}
