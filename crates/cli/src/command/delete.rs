//! `drey delete`.

use clap_complete::engine::ArgValueCandidates;
use std::path::PathBuf;

use kube::api::DeleteParams;

use super::{WaitArgs, deployment_name};
use crate::complete;
use crate::connection::Connection;
use crate::failure::{Failure, Kind};
use crate::follow::{Followed, Verdict, deployments, follow, progress};
use crate::kinds::FlinkKind;
use crate::manifest;
use crate::output::{line, say};

/// Delete a deployment
///
/// The job is stopped and its cluster removed; with `kubernetes.operator.job.savepoint-on-deletion` a
/// savepoint is taken first. Checkpoints and savepoints in storage stay.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Names of deployments
    #[arg(value_name = "NAME", required_unless_present = "files", add = ArgValueCandidates::new(complete::deployments))]
    pub names: Vec<String>,
    /// Files whose deployments are deleted
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A name that does not exist is no failure
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Wait until it is gone, which is the default
    #[arg(long = "wait", conflicts_with = "no_wait")]
    pub wait_explicitly: bool,
}

/// Runs the command.
///
/// # Errors
/// The first deployment that could not be deleted.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let mut names: Vec<String> = Vec::new();
    for name in &args.names {
        names.push(deployment_name(name)?.to_owned());
    }
    for document in manifest::read_files(&args.files)? {
        if document.kind() == Some("FlinkDeployment") {
            names.extend(document.name().map(str::to_owned));
        }
    }
    for name in &names {
        delete_one(args, connection, name).await?;
    }
    Ok(())
}

async fn delete_one(args: &Args, connection: &Connection, name: &str) -> Result<(), Failure> {
    let object = FlinkKind::Deployment.object(name);
    let api = deployments(connection);
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 && args.ignore_not_found => {
            say(&format!("{object}: does not exist"));
            return Ok(());
        }
        Err(error) => return Err(Failure::from_kube(&error, &object)),
    }
    if !args.wait.no_wait {
        let followed = Followed { api, name, timeout: args.wait.timeout, what: "it to be gone".to_owned() };
        follow(followed, |view| match view {
            None => Verdict::Reached(()),
            Some(view) => Verdict::Waiting(progress(view)),
        })
        .await
        .map_err(|failure| match failure.kind() {
            Kind::Timeout => failure.hint("it is deleted as soon as its job is stopped"),
            _ => failure,
        })?;
    }
    line(&format!("{object} deleted"))
}
