//! `drey diff`.

use super::apply::{plan_all, read};
use super::files::Files;
use crate::connection::Connection;
use crate::failure::{Failure, Kind};
use crate::output::line;

/// Say what `drey apply` would change, and what becomes of the jobs
///
/// The API server tries every object without keeping it, so that defaults and webhooks count. Ends with 0 when nothing
/// differs, with 1 when something does, and with more when that cannot be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which files.
    #[command(flatten)]
    pub files: Files,
}

/// Runs the command.
///
/// # Errors
/// The problems of the files, the first refusal of the API server, or that something differs.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let documents = read(&args.files.all(), &connection.namespace, connection.state_directory.as_deref())?;
    let mut differ = 0;
    let changes = plan_all(&documents, connection).await.map_err(Failure::without_answer)?;
    for (document, change) in changes {
        let told = change.told();
        if told.is_empty() {
            continue;
        }
        differ += 1;
        line(&format!("{} would be {}", document.object_name(), change.applied.word()))?;
        told.iter().try_for_each(|text| line(&format!("  {text}")))?;
    }
    match differ {
        0 => Ok(()),
        1 => Err(Failure::new(Kind::Failed, "one object differs")),
        more => Err(Failure::new(Kind::Failed, format!("{more} objects differ"))),
    }
}
