//! `drey down`: stops what `drey up` runs, with savepoints, from outside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use drey_cli::connection::{Connection, ConnectionArgs};
use drey_cli::deployment::View;
use drey_cli::failure::{Failure, Kind};
use drey_cli::follow::{Followed, Verdict, follow, parse_timeout, progress};
use drey_cli::kinds::FlinkKind;
use drey_cli::output::{line, say};
use drey_local::record;
use drey_local::state_dir::{self, Layout};
use kube::Api;
use kube::api::DeleteParams;
use kube::core::DynamicObject;
use rustix::process::{Pid, Signal, kill_process};

use super::files::Files;
use super::resume;
use super::stack::{Stack, unusable};

/// How often the end of a process is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// How long drey may take to end its processes after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Stop what `drey up` runs, with savepoints
///
/// Every running job is suspended: with `upgradeMode: savepoint` a savepoint is taken, with `last-state`
/// the newest checkpoint is kept. Then drey and all processes of Flink end. The resources stay, and the
/// next `drey up` runs the jobs again from there.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory that holds `.drey/`
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    dir: PathBuf,
    /// Delete the deployments and remove `.drey/` with all checkpoints and savepoints in it
    #[arg(long)]
    purge: bool,
    /// Stop at once, without savepoints; jobs go on from their newest checkpoint
    #[arg(long, conflicts_with = "purge")]
    now: bool,
    /// How long to wait for savepoints: `90s`, `5m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_timeout)]
    timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// A job that could not be stopped with its state, which then runs on; or a process that does not end.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let files = Files::below(&args.dir);
    if !files.root().is_dir() {
        return Err(Failure::new(Kind::NotFound, "there is no `.drey` here, so nothing runs")
            .on(args.dir.display().to_string())
            .hint("name the directory with `--dir`"));
    }
    let files = Files::of(&std::fs::canonicalize(files.root())?);
    match state_dir::holder(files.root()) {
        Some(pid) => from_outside(args, &files, pid).await?,
        None => unattended(args, &files).await?,
    }
    if args.purge {
        remove(&files)?;
        return line("removed: deployments, processes and `.drey/`");
    }
    line("stopped; `drey up` goes on from here, `drey down --purge` forgets everything")
}

/// A newer drey may have left processes here that we would not find.
async fn unattended(args: &Args, files: &Files) -> Result<(), Failure> {
    state_dir::refuse_unknown_layout(files.root()).map_err(|error| unusable(files, &error))?;
    if has_processes(files.root())? {
        return by_ourselves(args).await;
    }
    say("drey is not running here");
    Ok(())
}

async fn from_outside(args: &Args, files: &Files, pid: u32) -> Result<(), Failure> {
    let arguments = ConnectionArgs { kubeconfig: Some(files.kubeconfig()), ..ConnectionArgs::default() };
    match arguments.connect().await {
        Ok(connection) => settle(args, &connection).await?,
        Err(failure) if args.now || args.purge => say(&failure.to_string()),
        Err(failure) => return Err(failure),
    }
    terminate(files.root(), pid).await
}

/// After a crash of drey its processes run on. They can be stopped properly only by a drey.
async fn by_ourselves(args: &Args) -> Result<(), Failure> {
    say("drey had ended without its processes; starting it to stop them");
    let stack = Stack::start(&args.dir, None, crate::reach::direct()?).await?;
    let settled = settle(args, &stack.connection(None)).await;
    stack.stop().await;
    settled
}

async fn settle(args: &Args, connection: &Connection) -> Result<(), Failure> {
    if args.purge {
        delete_all(args, connection).await
    } else if args.now {
        Ok(())
    } else {
        suspend_all(args, connection).await
    }
}

async fn suspend_all(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let mut suspending = Vec::new();
    for view in resume::deployments(&connection.client).await? {
        if resume::suspend(&connection.client, &view).await? {
            suspending.push(view);
        }
    }
    for view in &suspending {
        let what = "the job to be stopped with its state".to_owned();
        let followed = followed(args, connection, view, what);
        follow(followed, suspended).await.map_err(|failure| {
            failure
                .hint("it runs on; `drey down --now` stops without savepoints, from the newest checkpoints")
        })?;
    }
    Ok(())
}

fn suspended(view: Option<&View>) -> Verdict<()> {
    match view {
        None => Verdict::Reached(()),
        Some(view) => match (view.is_suspended(), view.stalled()) {
            (true, _) => Verdict::Reached(()),
            (false, Some(_)) => {
                Verdict::Failed(Failure::new(Kind::Failed, view.sentence()).on(view.object_name()))
            }
            (false, None) => Verdict::Waiting(progress(view)),
        },
    }
}

async fn delete_all(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let views = resume::deployments(&connection.client).await?;
    for view in &views {
        match api(connection, view).delete(&view.name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(Failure::from_kube(&error, &view.object_name())),
        }
    }
    for view in &views {
        let followed = followed(args, connection, view, "it to be gone".to_owned());
        follow(followed, |now| now.map_or(Verdict::Reached(()), |view| Verdict::Waiting(progress(view))))
            .await?;
    }
    Ok(())
}

fn api(connection: &Connection, view: &View) -> Api<DynamicObject> {
    Api::namespaced_with(connection.client.clone(), &view.namespace, &FlinkKind::Deployment.resource())
}

fn followed<'a>(args: &Args, connection: &Connection, view: &'a View, what: String) -> Followed<'a> {
    Followed { api: api(connection, view), name: &view.name, timeout: args.timeout, what }
}

/// The lock is held as long as the process lives, so the pid is its own.
async fn terminate(root: &Path, pid: u32) -> Result<(), Failure> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(number) = number
        && let Err(error) = kill_process(number, Signal::TERM)
        && error != rustix::io::Errno::SRCH
    {
        return Err(Failure::new(Kind::Failed, format!("drey, process {pid}, cannot be stopped: {error}")));
    }
    let ended = async {
        while state_dir::holder(root).is_some() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(STOP_TIMEOUT, ended).await.map_err(|_| {
        let message = format!("drey, process {pid}, does not end");
        Failure::new(Kind::Timeout, message).hint(format!("see its log: {}", Files::of(root).log().display()))
    })
}

fn has_processes(root: &Path) -> Result<bool, Failure> {
    let directories = record::directories(&Layout::of(root))?;
    for directory in directories {
        let Ok(record) = directory.read() else { continue };
        for process in record.processes.values() {
            if process.identity.is_alive()? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn remove(files: &Files) -> Result<(), Failure> {
    if has_processes(files.root())? {
        return Err(Failure::new(Kind::Failed, "processes of Flink are still alive")
            .on(files.root().display().to_string())
            .hint("run `drey up`, then `drey down --purge` again"));
    }
    std::fs::remove_dir_all(files.root())
        .map_err(|error| Failure::new(Kind::Failed, error.to_string()).on(files.root().display().to_string()))
}
