//! All faces, and what commands do where laptop mode is the cluster. Refuses to know what any of them does.

use std::path::PathBuf;

use clap::Subcommand;
use drey_cli::Command;
use drey_cli::command::{deployment_name, proxy};
use drey_cli::connection::ConnectionArgs;
use drey_cli::failure::{Failure, Kind};

use crate::laptop::{down, job_manager, logs, up};
use crate::{dashboard, operator, ui};

/// A face, and its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Face {
    Up(up::Args),
    Down(down::Args),
    Operator(operator::Args),
    Ui(ui::Args),
    Dashboard(dashboard::Args),
}

/// Runs one.
///
/// # Errors
/// Why it did not start, or ended.
pub(crate) async fn run(face: Face, connection: &ConnectionArgs) -> Result<(), Failure> {
    if matches!(face, Face::Up(_) | Face::Down(_) | Face::Operator(_)) {
        connection.must_allow_changes()?;
    }
    match face {
        Face::Up(args) => up::run(&args, connection).await,
        Face::Down(args) => down::run(&args).await,
        Face::Operator(args) => operator::run(&args, connection).await,
        Face::Ui(args) => ui::run(&args, connection).await,
        Face::Dashboard(args) => dashboard::run(&args, connection).await,
    }
}

/// Runs a command; those that laptop mode answers from its files and processes, by these.
///
/// # Errors
/// Why it did not succeed.
pub(crate) async fn command(
    command: Command,
    connection: &ConnectionArgs,
    whole: fn() -> clap::Command,
) -> Result<(), Failure> {
    match (command, connection.laptop()) {
        (Command::Logs(args), Some(root)) => logs::run(&args, connection, &root).await,
        (Command::Proxy(args), Some(root)) => proxy_on_this_machine(&args, connection, root).await,
        (command, _) => drey_cli::run(command, connection, whole).await,
    }
}

async fn proxy_on_this_machine(
    args: &proxy::Args,
    connection: &ConnectionArgs,
    root: PathBuf,
) -> Result<(), Failure> {
    if args.allow_writes {
        // These go to Flink itself, past the client that would refuse them.
        connection.must_allow_changes()?;
    }
    let namespace = connection.connect().await?.namespace;
    let name = deployment_name(&args.name)?.to_owned();
    let find = move || job_manager::address(&root, &namespace, &name);
    if find().is_none() {
        return Err(Failure::new(Kind::NotFound, "no cluster of it runs here")
            .on(format!("flinkdeployment/{}", args.name))
            .hint("see what exists: `drey get -A`"));
    }
    proxy::serve(args, proxy::Target::Address(Box::new(find))).await
}
