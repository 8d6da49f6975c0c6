//! `cargo xtask image`: the container image, put together from its parts. Nothing runs within it while it is made, so it
//! takes neither a container runtime nor the machine that it is for.
//!
//! ```text
//!   compiler ─► binary ─► files ─► layout ─► <output>/oci, <output>/drey-<version>-<machine>.tar
//! ```

mod binary;
mod compiler;
mod files;
mod layout;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{command, output, root, target_directory};
use binary::{Architecture, Binary};
use layout::{About, Image};

/// What a built image may be, compressed.
const BYTES_MAX: usize = 20_000_000;

/// Put the container image together, without a container runtime.
///
/// Writes `oci`, an OCI layout with every machine asked for, and for each of them `drey-<version>-<machine>.tar`, which
/// `docker load`, `podman load` and `skopeo` read. The same program and commit make the same digests.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Machines that it is built for; both when none is given
    #[arg(long, value_enum)]
    arch: Vec<Architecture>,
    /// A program that is there already; what libraries it needs are taken from this machine
    #[arg(long, value_name = "FILE", conflicts_with = "arch")]
    binary: Vec<PathBuf>,
    /// Cargo profile of the build
    #[arg(long, default_value = "release")]
    profile: String,
    /// Directory that it is written to; `image` in cargo's target directory when it is not given
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let directory = match &args.output {
        Some(directory) => std::env::current_dir()?.join(directory),
        None => target_directory()?.join("image"),
    };
    let mut programs = args.binary.clone();
    if programs.is_empty() {
        let both = [Architecture::X86_64, Architecture::Aarch64];
        let machines = if args.arch.is_empty() { both.as_slice() } else { &args.arch };
        for machine in machines {
            programs.push(compiler::build(*machine, &args.profile)?);
        }
    }
    let images = write(&programs, &directory)?;
    let is_for_release = args.binary.is_empty() && args.profile == "release";
    for image in images {
        let (machine, bytes) = (image.architecture.name(), image.compressed_bytes());
        println!("{machine}  {}  {:.1} MB compressed", image.digest(), bytes as f64 / 1e6);
        ensure!(bytes <= BYTES_MAX || !is_for_release, "more than {BYTES_MAX} bytes are too many");
    }
    println!("{}", directory.display());
    Ok(())
}

/// Writes the image of a program that is there already, for a test; the layout.
pub(crate) fn of_program(program: &Path, directory: &Path) -> Result<PathBuf> {
    write(&[program.to_owned()], directory)?;
    Ok(directory.join("oci"))
}

/// Writes the layout and the archives of these programs' images.
fn write(programs: &[PathBuf], directory: &Path) -> Result<Vec<Image>> {
    let about = about()?;
    let mut images = Vec::new();
    for program in programs {
        images.push(Image::assemble(&Binary::read(program)?, &about)?);
    }
    images.sort_by_key(|image| image.architecture);
    if images.windows(2).any(|pair| pair[0].architecture == pair[1].architecture) {
        bail!("two programs are for the same machine");
    }
    std::fs::create_dir_all(directory)?;
    layout::write(&directory.join("oci"), &layout::layout(&images, &about))?;
    for image in &images {
        let name = format!("drey-{}-{}.tar", about.version, image.architecture.name());
        std::fs::write(directory.join(&name), layout::archive(image, &about)?).context(name)?;
    }
    Ok(images)
}

/// What the repository tells: the time is that of the commit, or `SOURCE_DATE_EPOCH`, in seconds, and never that of the
/// clock.
fn about() -> Result<About> {
    let git = |arguments: &[&str]| output(command("git", arguments)).ok().map(|text| text.trim().to_owned());
    let revision = git(&["rev-parse", "HEAD"]).filter(|_| root().join(".git").exists());
    let is_clean =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| text.is_empty());
    let committed_s = revision.as_ref().and_then(|_| git(&["log", "-1", "--format=%ct"]));
    let given_s = std::env::var("SOURCE_DATE_EPOCH").ok();
    let seconds = given_s.or(committed_s).unwrap_or_else(|| "0".to_owned());
    let seconds =
        seconds.parse().with_context(|| format!("`{seconds}` is no number of seconds since 1970"))?;
    Ok(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: revision.map(|revision| if is_clean { revision } else { format!("{revision}-modified") }),
        created: rfc_3339(seconds),
    })
}

/// `1970-01-01T00:00:00Z`, from seconds since then.
fn rfc_3339(seconds: u32) -> String {
    let (mut day, second) = (seconds / 86_400, seconds % 86_400);
    let days_of = |year: u32| {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    };
    let (mut year, mut month) = (1970, 0);
    while day >= days_of(year)[month] {
        day -= days_of(year)[month];
        month = (month + 1) % 12;
        year += u32::from(month == 0);
    }
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_calendars_have_them() {
        let check = |seconds, expected: &str| assert_eq!(rfc_3339(seconds), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(951_827_696, "2000-02-29T12:34:56Z");
        check(1_735_689_599, "2024-12-31T23:59:59Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
    }
}
