//! What an executable is, read off its header: which machine it is for, and what it takes to be started. Refuses to know
//! images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::shell::{command, output};

/// A machine that there are images for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Architecture {
    /// 64 bits of Intel and AMD
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    /// 64 bits of Arm
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Architecture {
    /// The word of Rust's targets and of Linux.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The word of images, which is that of Go.
    pub(crate) const fn of_images(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// `e_machine` of ELF.
    const fn number(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }
}

/// Type of the program header that names a loader (`PT_INTERP`).
const INTERPRETER: u32 = 3;

/// An executable of 64-bit Linux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) content: Vec<u8>,
    /// The machine that it is for.
    pub(crate) architecture: Architecture,
    /// Whether the kernel starts it by a loader, which then needs libraries.
    pub(crate) is_dynamic: bool,
}

impl Binary {
    /// Reads an executable.
    pub(crate) fn read(path: &Path) -> Result<Binary> {
        let content = std::fs::read(path).with_context(|| path.display().to_string())?;
        let (architecture, is_dynamic) = header(&content).with_context(|| path.display().to_string())?;
        Ok(Binary { path: path.to_owned(), content, architecture, is_dynamic })
    }

    /// The loader and the libraries, where they are looked for; none for a static executable.
    pub(crate) fn libraries(&self) -> Result<Vec<PathBuf>> {
        if !self.is_dynamic {
            return Ok(Vec::new());
        }
        ensure!(
            self.architecture.name() == std::env::consts::ARCH,
            "{} is linked to libraries of another machine ({}): give one that is static",
            self.path.display(),
            self.architecture.name()
        );
        libraries(&output(command("ldd", &[&self.path]))?)
    }
}

/// The paths that `ldd` names.
fn libraries(listed: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for line in listed.lines().map(str::trim) {
        let place = line.split_once(" => ").map_or(line, |(_, place)| place);
        if place == "not found" {
            bail!("a library is missing on this machine: {line}");
        }
        // The kernel's own one has no path.
        if let Some((path, _)) = place.split_once(" (").filter(|(path, _)| path.starts_with('/')) {
            libraries.push(PathBuf::from(path));
        }
    }
    libraries.sort();
    libraries.dedup();
    Ok(libraries)
}

fn header(content: &[u8]) -> Result<(Architecture, bool)> {
    ensure!(
        content.get(..6) == Some(b"\x7fELF\x02\x01"),
        "no executable of 64-bit Linux (little-endian ELF)"
    );
    let short = |at: usize| -> Result<u16> {
        let bytes = content.get(at..at + 2).context("the header is cut short")?;
        Ok(u16::from_le_bytes(bytes.try_into()?))
    };
    let number = short(18)?;
    let architecture = Architecture::value_variants().iter().find(|known| known.number() == number);
    let architecture = *architecture.with_context(|| format!("machine {number} has no images"))?;
    let table = content.get(32..40).context("the header is cut short")?;
    let table = usize::try_from(u64::from_le_bytes(table.try_into()?))?;
    let (size, count) = (usize::from(short(54)?), usize::from(short(56)?));
    let mut is_dynamic = false;
    for position in 0..count {
        let at = table.saturating_add(position * size);
        let kind = content.get(at..at.saturating_add(4)).context("the program headers are cut short")?;
        is_dynamic |= u32::from_le_bytes(kind.try_into()?) == INTERPRETER;
    }
    Ok((architecture, is_dynamic))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The least that is an executable: a header, and one program header of this type.
    pub(in crate::image) fn stand_in(architecture: Architecture, kind: u32) -> Vec<u8> {
        let mut content = vec![0; 64 + 56];
        content[..6].copy_from_slice(b"\x7fELF\x02\x01");
        content[18..20].copy_from_slice(&architecture.number().to_le_bytes());
        content[32] = 64;
        content[54] = 56;
        content[56] = 1;
        content[64..68].copy_from_slice(&kind.to_le_bytes());
        content
    }

    #[test]
    fn a_header_tells_the_machine_and_whether_there_is_a_loader() {
        let check = |content: &[u8], expected| assert_eq!(header(content).ok(), expected);
        check(&stand_in(Architecture::X86_64, 1), Some((Architecture::X86_64, false)));
        check(&stand_in(Architecture::Aarch64, INTERPRETER), Some((Architecture::Aarch64, true)));
        check(&stand_in(Architecture::X86_64, 1)[..100], Some((Architecture::X86_64, false)));
        check(&stand_in(Architecture::X86_64, 1)[..60], None);
        check(b"#!/bin/sh\n", None);
        let mut other = stand_in(Architecture::X86_64, 1);
        other[18] = 8;
        check(&other, None);
    }

    #[test]
    fn libraries_are_what_ldd_names() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/l/libc.so.6 (0x00007f)\n\t/lib64/ld.so (0x7f)\n";
        let expected = ["/lib/l/libc.so.6", "/lib64/ld.so"].map(PathBuf::from);
        assert_eq!(libraries(listed).unwrap(), expected);
        assert!(libraries("\tlibz.so.1 => not found\n").is_err());
        // This test is linked to the C library of the machine.
        let own = Binary::read(&std::env::current_exe().unwrap()).unwrap();
        let found = own.libraries().unwrap();
        assert_eq!(own.is_dynamic, !found.is_empty());
        assert!(found.iter().all(|path| path.is_file()), "{found:?}");
    }
}
