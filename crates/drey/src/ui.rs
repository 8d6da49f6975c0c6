//! `drey ui`: the way to the dashboard, wherever it is.

use std::process::{Command, Stdio};

use drey_cli::connection::ConnectionArgs;
use drey_cli::failure::{Failure, Kind};
use drey_cli::output::{line, say};

use crate::dashboard;
use crate::laptop::dashboard::address;
use crate::laptop::files::Files;

/// Open the dashboard
///
/// Of laptop mode: prints the address of the dashboard that runs. Of a cluster: serves one on loopback, with the rights
/// of the kubeconfig, for as long as the command runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Open it in the browser
    #[arg(long)]
    open: bool,
    /// Port of 127.0.0.1 for the dashboard of a cluster; any that is free without it
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Runs the command.
///
/// # Errors
/// When laptop mode does not run here, or no cluster is known.
pub(crate) async fn run(args: &Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    let Some(root) = connection.laptop() else {
        let open = args.open;
        return dashboard::on_port(args.port, connection, move |address| show(address, open)).await;
    };
    connection.connect().await?;
    let address = address(&Files::of(&root)).ok_or_else(|| {
        Failure::new(Kind::NotFound, "laptop mode serves no dashboard").on(root.display().to_string())
    })?;
    show(&address, args.open)
}

fn show(address: &str, open: bool) -> Result<(), Failure> {
    line(address)?;
    if open && !opened(address) {
        say("no browser could be opened; open the address yourself");
    }
    Ok(())
}

/// Whether the desktop took the address.
fn opened(address: &str) -> bool {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = || Stdio::null();
    let opened = Command::new(opener).arg(address).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    opened.is_ok_and(|status| status.success())
}
