//! The command line: which face is asked for, and how its failure is shown.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use drey_cli::connection::ConnectionArgs;
use drey_cli::exit::{self, Exit};
use drey_cli::failure::{Failure, Kind};
use drey_cli::job::deployer;
use drey_cli::output::say;

use crate::laptop::{down, logs, up};
use crate::{dashboard, operator};

/// The control plane for Apache Flink.
///
/// Runs FlinkDeployments: on this machine with `drey up job.yaml`, without any Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "drey", version, after_help = exit::help_text(), propagate_version = true)]
struct CommandLine {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    face: Option<Face>,
}

#[derive(Debug, Subcommand)]
enum Face {
    /// Run FlinkDeployments on this machine
    Up(up::Args),
    /// Stop what `drey up` runs, with savepoints
    Down(down::Args),
    /// Print the logs of a deployment of laptop mode
    Logs(logs::Args),
    /// Run FlinkDeployments on a Kubernetes cluster
    Operator(operator::Args),
    /// Show the FlinkDeployments of a Kubernetes cluster in a browser
    Dashboard(dashboard::Args),
    #[command(flatten)]
    Command(drey_cli::Command),
}

/// Runs what the command line asks for, which is another one when drey is called by the name of flink-deployer.
pub(crate) async fn run() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if deployer::is_called(words.first().map(OsString::as_os_str)) {
        let words = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        return deployer::run(words).await.into();
    }
    run_line(of_pipelines(words)).await.into()
}

/// `drey job` takes the flags of flink-deployer, whose short forms have more than one letter.
fn of_pipelines(words: Vec<OsString>) -> Vec<OsString> {
    let texts: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    match texts {
        Some(texts) if texts.get(1) == Some(&"job") => {
            let texts = texts.into_iter().map(str::to_owned).collect();
            deployer::normalised(texts).into_iter().map(OsString::from).collect()
        }
        Some(_) | None => words,
    }
}

async fn run_line(words: Vec<OsString>) -> Exit {
    let line = match CommandLine::try_parse_from(words) {
        Ok(line) => line,
        Err(error) => return refuse(&error),
    };
    let wants_json = matches!(&line.face, Some(Face::Command(command)) if command.wants_json());
    match dispatch(line).await {
        Ok(()) => Exit::Success,
        Err(failure) => show(&failure, wants_json),
    }
}

async fn dispatch(line: CommandLine) -> Result<(), Failure> {
    match line.face {
        None => drey_cli::status(&line.connection).await,
        Some(Face::Up(args)) => up::run(&args, &line.connection).await,
        Some(Face::Down(args)) => down::run(&args).await,
        Some(Face::Logs(args)) => logs::run(&args, &line.connection).await,
        Some(Face::Operator(args)) => operator::run(&args, &line.connection).await,
        Some(Face::Dashboard(args)) => dashboard::run(&args, &line.connection).await,
        Some(Face::Command(command)) => {
            drey_cli::run(command, &line.connection, CommandLine::command()).await
        }
    }
}

/// Help and version are answers; everything else is a command line that is not understood.
fn refuse(error: &clap::Error) -> Exit {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
    // A reader that went away has read enough.
    let _gone = error.print();
    exit
}

fn show(failure: &Failure, wants_json: bool) -> Exit {
    match (failure.kind(), wants_json) {
        (Kind::BrokenPipe, _) => {}
        (_, true) => say(&failure.to_json().to_string()),
        (_, false) => say(&failure.to_string()),
    }
    failure.kind().exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }
}
