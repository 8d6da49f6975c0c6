//! `drey completion`.

use std::io::Write;

use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::complete::VARIABLE;
use crate::failure::{Failure, Kind};

/// Print a completion script for a shell
///
/// It also completes the names of deployments, namespaces and contexts. In bash: `source <(drey completion bash)`.
///
/// In zsh: `drey completion zsh > "${fpath[1]}/_drey"`.
///
/// In fish: `drey completion fish > ~/.config/fish/completions/drey.fish`.
///
/// `kubectl drey` completes when drey is also in the PATH as `kubectl_complete-drey`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// When standard output does not take it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let shell = args.shell.to_string();
    let shells = Shells::builtins();
    let completer = shells
        .completer(&shell)
        .ok_or_else(|| Failure::new(Kind::Usage, format!("nothing completes in `{shell}`")))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "drey", "drey", "drey", &mut script)?;
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
