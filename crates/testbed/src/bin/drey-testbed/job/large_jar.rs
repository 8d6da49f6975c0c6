//! A jar of 1 GB, which drey has to send without having it in memory. Refuses to know what Flink does with it.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use flate2::Crc;

use super::{Story, as_str};
use crate::ledger_job::ENTRY_CLASS;

/// How large the entry is.
const BYTES: u32 = 1 << 30;

/// How much memory drey may have at most, in kB.
const MEMORY_KB_MAX: u64 = 64 * 1024;

/// The name of the entry.
const ENTRY: &[u8] = b"large.bin";

impl Story {
    /// It is deployed and runs, drey stays small, and it goes again.
    pub(super) fn large_jar(&mut self) -> Result<()> {
        let jar = self.directory.join("large.jar");
        write_large(&self.original, &jar)?;
        self.jar = jar.clone();
        self.output = self.directory.join("large-output");
        let release = self.release(&["--entry-class", ENTRY_CLASS]);
        let words = [&["job", "deploy"], as_str(&release).as_slice()].concat();
        let mut deploy = self.command(&self.drey, &words);
        let mut deploy = deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let peak_kb = peak_kb(&mut deploy)?;
        let output = deploy.wait_with_output()?;
        std::fs::remove_file(jar)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("          peak resident memory of drey: {peak_kb} kB");
        ensure!(peak_kb < MEMORY_KB_MAX, "more than {MEMORY_KB_MAX} kB");
        self.grows()?;
        let job = self.only()?;
        self.ok(&["job", "cancel", &job])?;
        let kept = self.directory.join("flink/upload/flink-web-upload");
        ensure!(std::fs::read_dir(kept)?.next().is_none(), "the jar is left in Flink's store");
        Ok(())
    }
}

/// The most memory that the process had until it ended, as Linux tells it.
fn peak_kb(process: &mut Child) -> Result<u64> {
    let (status, mut peak) = (format!("/proc/{}/status", process.id()), 0);
    while process.try_wait()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(peak);
        std::thread::sleep(crate::place::LOOK);
    }
    ensure!(peak > 0, "Linux does not tell the memory of drey");
    Ok(peak)
}

/// The same jar with an entry of zeros before its directory. The file has a hole there.
fn write_large(jar: &Path, to: &Path) -> Result<()> {
    let content = std::fs::read(jar)?;
    let end = content.windows(4).rposition(|four| four == b"PK\x05\x06").context("a jar has an end")?;
    let number = |at: usize| -> Result<u32> { Ok(u32::from_le_bytes(content[at..at + 4].try_into()?)) };
    let (size, start) = (number(end + 12)?, number(end + 16)?);
    let (entries, directory) = content.split_at(usize::try_from(start)?);
    let count = u16::from_le_bytes(content[end + 10..end + 12].try_into()?) + 1;
    let description = description();
    let mut file = File::create(to)?;
    file.write_all(entries)?;
    file.write_all(&[b"PK\x03\x04".as_slice(), &description, ENTRY].concat())?;
    file.seek(SeekFrom::Current(i64::from(BYTES)))?;
    let new_start = u32::try_from(file.stream_position()?)?;
    file.write_all(&directory[..usize::try_from(size)?])?;
    // No comment, disk 0, no attributes.
    let of_directory =
        [b"PK\x01\x02\x14\x00".as_slice(), &description, &[0; 10], &start.to_le_bytes(), ENTRY].concat();
    file.write_all(&of_directory)?;
    let new_size = size + u32::try_from(of_directory.len())?;
    let counts = [count.to_le_bytes(), count.to_le_bytes()].concat();
    let end = [
        b"PK\x05\x06\x00\x00\x00\x00".as_slice(),
        &counts,
        &new_size.to_le_bytes(),
        &new_start.to_le_bytes(),
        &[0, 0],
    ];
    file.write_all(&end.concat())?;
    Ok(())
}

/// What stands of an entry before it and in the directory: stored as it is, no date to speak of.
fn description() -> Vec<u8> {
    let (mut crc, zeros) = (Crc::new(), vec![0; 1 << 20]);
    (0..BYTES >> 20).for_each(|_| crc.update(&zeros));
    let length = u16::try_from(ENTRY.len()).unwrap_or_default();
    let mut bytes = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    bytes.extend(crc.sum().to_le_bytes());
    bytes.extend(BYTES.to_le_bytes());
    bytes.extend(BYTES.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
