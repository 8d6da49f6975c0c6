//! `drey manual`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::failure::{Failure, Kind};
use crate::manual;

/// Write the manual, one page for each command
///
/// With the default format `man -l DIRECTORY/drey.1` shows the first page; those of commands are named as in `drey-job-deploy.1`.
/// Pages of a directory for `man`, such as `/usr/local/share/man/man1`, are found by `man drey`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Directory for the pages, made if it is not there
    #[arg(long, value_name = "DIRECTORY")]
    pub output: PathBuf,
    /// Format of the pages
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How pages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For `man`.
    #[default]
    Man,
    /// For browsers and editors.
    Markdown,
}

/// Runs the command for the complete command line of the binary.
///
/// # Errors
/// A page that cannot be written.
pub fn run(args: &Args, whole: clap::Command) -> Result<(), Failure> {
    let pages = match args.format {
        Format::Man => manual::roff(whole)?,
        Format::Markdown => manual::markdown(whole),
    };
    let refused = |path: &Path, error: &std::io::Error| {
        Failure::new(Kind::Failed, format!("cannot be written: {error}")).on(path.display().to_string())
    };
    std::fs::create_dir_all(&args.output).map_err(|error| refused(&args.output, &error))?;
    for page in pages {
        let path = args.output.join(&page.file);
        std::fs::write(&path, page.text).map_err(|error| refused(&path, &error))?;
    }
    Ok(())
}
