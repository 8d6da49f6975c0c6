//! `drey job deploy`.

use std::path::{Path, PathBuf};

use drey_flink::JobId;

use super::AnswerArgs;
use crate::failure::{Failure, Kind};
use crate::job::deploy::{Deployment, deploy};
use crate::job::flink::Session;
use crate::job::release::ReleaseArgs;

/// Start a job from a jar, and wait until it runs
///
/// The job's id is printed when every task runs, or when the job has finished. Who deploys the same again while it runs gets
/// the same job: neither a lost answer nor a killed command starts a second one.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) release: ReleaseArgs,
    /// Start from the newest savepoint in a directory of this machine
    #[arg(long, visible_alias = "sd", value_name = "DIRECTORY")]
    pub savepoint_dir: Option<PathBuf>,
    /// Start from this savepoint or checkpoint
    #[arg(long, visible_alias = "sp", value_name = "PATH")]
    pub savepoint_path: Option<String>,
    /// Start another one, although the same runs already
    #[arg(long)]
    pub again: bool,
    /// What came of it.
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

/// Runs the command.
///
/// # Errors
/// The job does not run.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let job = start(args, session).await?;
    session.talk.say("Job started successfully");
    args.answer.tell(Some(&job.to_string()), job, None)
}

/// Deploys, and returns the id of the job that runs.
///
/// # Errors
/// The job does not run.
pub async fn start(args: &Args, session: &Session) -> Result<JobId, Failure> {
    args.release.check()?;
    let savepoint_path = match (&args.savepoint_dir, &args.savepoint_path) {
        (Some(_), Some(_)) => {
            let both = "both flags 'savepoint-dir' and 'savepoint-path' specified, only one allowed";
            return Err(Failure::new(Kind::Usage, both));
        }
        (Some(directory), None) => {
            let newest = newest_savepoint(directory)?;
            session.talk.say(format!("starting from {newest}"));
            Some(newest)
        }
        (None, path) => path.clone().filter(|path| !path.is_empty()),
    };
    let release = args.release.release(session).await?;
    deploy(session, &release, &Deployment { savepoint_path, again: args.again }).await
}

/// The newest whole savepoint of a directory: one whose metadata was written, which is the last file of each.
fn newest_savepoint(directory: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::NotFound, format!("retrieving the latest savepoint failed: {error}"))
            .on(directory.display().to_string())
    };
    let mut newest = None;
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Ok(written) = std::fs::metadata(path.join("_metadata")).and_then(|file| file.modified()) {
            newest = newest.max(Some((written, path)));
        }
    }
    let (_, path) = newest.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("No savepoints present in directory: {}", directory.display()))
            .hint("one has a `_metadata`; `--savepoint-path` names one that this machine does not see")
    })?;
    Ok(std::path::absolute(path)?.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_savepoint_counts_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let none = newest_savepoint(directory.path()).expect_err("none");
        assert_eq!(
            none.message(),
            format!("No savepoints present in directory: {}", directory.path().display())
        );
        let time = |seconds| std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        for (name, written) in [("savepoint-b", 20), ("savepoint-a", 10)] {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).expect("made");
            let file = std::fs::File::create(path.join("_metadata")).expect("made");
            file.set_modified(time(written)).expect("dated");
        }
        // Newer, but neither is whole.
        std::fs::create_dir(directory.path().join("savepoint-c")).expect("made");
        std::fs::write(directory.path().join("readme"), "x").expect("made");
        let newest = newest_savepoint(directory.path()).expect("one");
        assert!(newest.ends_with("savepoint-b"), "{newest}");
        let missing = newest_savepoint(Path::new("/nowhere")).expect_err("missing");
        assert!(missing.message().starts_with("retrieving the latest savepoint failed: "), "{missing}");
    }
}
