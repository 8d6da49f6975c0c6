//! A build that has only the command line: whatever a face is given, it is not here.

use std::ffi::OsString;

use clap::Subcommand;
use drey_cli::Command;
use drey_cli::connection::ConnectionArgs;
use drey_cli::failure::{Failure, Kind};

/// The name of a face that is not in this build.
#[derive(Debug, Subcommand)]
pub(crate) enum Face {
    #[command(hide = true)]
    Up(Anything),
    #[command(hide = true)]
    Down(Anything),
    #[command(hide = true)]
    Operator(Anything),
    #[command(hide = true)]
    Ui(Anything),
    #[command(hide = true)]
    Dashboard(Anything),
}

/// Words that nobody reads.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _words: Vec<OsString>,
}

/// Says that it is not here.
///
/// # Errors
/// Always.
pub(crate) async fn run(face: Face, _connection: &ConnectionArgs) -> Result<(), Failure> {
    let name = match face {
        Face::Up(_) => "up",
        Face::Down(_) => "down",
        Face::Operator(_) => "operator",
        Face::Ui(_) => "ui",
        Face::Dashboard(_) => "dashboard",
    };
    Err(not_here(&format!("`drey {name}`")))
}

/// Runs a command, unless it is about files and processes of laptop mode.
///
/// # Errors
/// Why it did not succeed.
pub(crate) async fn command(
    command: Command,
    connection: &ConnectionArgs,
    whole: fn() -> clap::Command,
) -> Result<(), Failure> {
    match (command, connection.laptop()) {
        (Command::Logs(_), Some(_)) => Err(not_here("`drey logs` of laptop mode")),
        (Command::Proxy(_), Some(_)) => Err(not_here("`drey proxy` of laptop mode")),
        (command, _) => drey_cli::run(command, connection, whole).await,
    }
}

fn not_here(what: &str) -> Failure {
    Failure::new(Kind::Usage, format!("{what} is not in this build, which has only the command line"))
        .hint("take the full one: `cargo build --release --package drey`")
}
