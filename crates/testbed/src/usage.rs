//! What a process uses, as Linux tells it. Refuses to judge.

use std::fs;
use std::io;

/// `USER_HZ`, which Linux fixes at 100 for all that user space sees.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process uses at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Processor time so far, user and system, seconds.
    pub processor_seconds: f64,
}

impl Usage {
    /// What the process `pid` uses now.
    ///
    /// # Errors
    /// When there is no such process, or Linux tells what nobody understands.
    pub fn of(pid: u32) -> io::Result<Usage> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let resident_bytes = resident_bytes(&read("status")?);
        let processor_seconds = processor_seconds(&read("stat")?);
        let told = resident_bytes.zip(processor_seconds);
        let (resident_bytes, processor_seconds) =
            told.ok_or_else(|| io::Error::other(format!("/proc/{pid} tells no usage")))?;
        Ok(Usage { resident_bytes, processor_seconds })
    }

    /// What this process uses now.
    ///
    /// # Errors
    /// See [`Usage::of`].
    pub fn here() -> io::Result<Usage> {
        Usage::of(std::process::id())
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

fn processor_seconds(stat: &str) -> Option<f64> {
    // The second field is a name in parentheses that may hold spaces; utime and stime are the 14th and 15th.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 9 9 20 0 1";
        assert_eq!(processor_seconds(stat), Some(3.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
    }

    #[test]
    fn this_process_has_a_size_and_uses_time() {
        let before = Usage::here().unwrap();
        assert!(before.resident_bytes > 1_000_000);
        let mut spent: u64 = 0;
        while Usage::here().unwrap().processor_seconds <= before.processor_seconds {
            spent = std::hint::black_box(spent.wrapping_add(1));
        }
    }
}
