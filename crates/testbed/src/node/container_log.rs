//! Logs of containers: written line by line with a time, read as `kubectl logs` asks. It refuses to know which
//! container a file belongs to.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Copies what comes from a pipe until it is closed. One file takes both outputs of a container.
pub(crate) async fn copy(pipe: impl AsyncRead + Unpin, log: Arc<Mutex<File>>) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    // A pipe that cannot be read has ended, and a full disk must not stop the container.
    while reader.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        let mut stamped = format!("{:.9} ", Timestamp::now()).into_bytes();
        stamped.append(&mut line);
        let mut file = log.lock().unwrap_or_else(PoisonError::into_inner);
        drop(file.write_all(&stamped));
    }
}

/// A new log.
pub(crate) fn create(path: &Path) -> io::Result<Arc<Mutex<File>>> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(Arc::new(Mutex::new(File::create(path)?)))
}

/// What of a log is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Only so many lines at its end.
    pub(crate) tail_lines: Option<usize>,
    /// Only lines that are not older.
    pub(crate) since: Option<Timestamp>,
    /// With the time before each line.
    pub(crate) timestamps: bool,
    /// Not more than so many bytes.
    pub(crate) limit_bytes: Option<usize>,
}

impl Selection {
    /// The wanted lines of a log, or of a part of one.
    pub(crate) fn of(&self, log: &[u8]) -> Vec<u8> {
        let lines: Vec<&[u8]> =
            log.split_inclusive(|byte| *byte == b'\n').filter(|line| self.is_young(line)).collect();
        let first = self.tail_lines.map_or(0, |count| lines.len().saturating_sub(count));
        let mut wanted: Vec<u8> = lines[first..].iter().flat_map(|line| self.shown(line)).copied().collect();
        wanted.truncate(self.limit_bytes.unwrap_or(usize::MAX));
        wanted
    }

    /// What follows in the same log: the end of it no longer counts.
    pub(crate) fn following(&self) -> Selection {
        Selection { tail_lines: None, limit_bytes: None, ..self.clone() }
    }

    fn is_young(&self, line: &[u8]) -> bool {
        let Some(since) = self.since else { return true };
        let (stamp, _) = split(line);
        let time = std::str::from_utf8(stamp).ok().and_then(|stamp| stamp.parse::<Timestamp>().ok());
        time.is_none_or(|time| time >= since)
    }

    fn shown<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        if self.timestamps { line } else { split(line).1 }
    }
}

fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (&[], line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &[u8] = b"2026-01-01T00:00:01.000000000Z one\n2026-01-01T00:00:02.000000000Z two words\n2026-01-01T00:00:03.000000000Z \n";

    fn check(selection: &Selection, expected: &str) {
        assert_eq!(String::from_utf8(selection.of(LOG)).unwrap(), expected);
    }

    #[test]
    fn lines_are_chosen_by_time_number_and_size() {
        check(&Selection::default(), "one\ntwo words\n\n");
        check(&Selection { tail_lines: Some(2), ..Selection::default() }, "two words\n\n");
        check(&Selection { tail_lines: Some(0), ..Selection::default() }, "");
        check(&Selection { limit_bytes: Some(5), ..Selection::default() }, "one\nt");
        let since = Some("2026-01-01T00:00:02.5Z".parse().unwrap());
        check(&Selection { since, ..Selection::default() }, "\n");
        let stamped = Selection { timestamps: true, tail_lines: Some(1), ..Selection::default() };
        check(&stamped, "2026-01-01T00:00:03.000000000Z \n");
    }

    #[tokio::test]
    async fn what_a_container_says_gets_a_time_for_each_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c/0.log");
        let log = create(&path).unwrap();
        copy(&b"first\nlast without an end"[..], log).await;
        let written = std::fs::read(&path).unwrap();
        assert_eq!(Selection::default().of(&written), b"first\nlast without an end\n");
        let (stamp, _) = split(&written);
        assert!(std::str::from_utf8(stamp).unwrap().parse::<Timestamp>().is_ok());
    }
}
