//! `drey completion`.

use std::io::Write;

use clap_complete::Shell;

use crate::failure::Failure;

/// Print a completion script for a shell
///
/// bash: `source <(drey completion bash)`; zsh: `drey completion zsh > "${fpath[1]}/_drey"`; fish:
/// `drey completion fish > ~/.config/fish/completions/drey.fish`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Runs the command for the complete command line of the binary.
///
/// # Errors
/// When standard output does not take it.
pub fn run(args: &Args, mut whole: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut whole, "drey", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
