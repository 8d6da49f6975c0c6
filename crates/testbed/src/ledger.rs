//! Checks the output of the ledger example: whether any upgrade, crash or restore lost or repeated a number.
//!
//! The job deals the numbers 0, 1, 2, … to [`LANES`] lanes by remainder and writes one line for each,
//! `number lane place`. Within a lane the committed numbers must follow each other without gap or
//! repetition, and `place`, counted by keyed state, must be `number / LANES`. Where a lane ends is no gap:
//! what comes next may not be committed yet. This module refuses to know Flink; it reads files.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many lanes the example's source deals its numbers to (`NumberSource.LANES`).
pub const LANES: u64 = 8;

/// How many wrong numbers of each sort a report lists; all are counted.
const LISTED_MAX: usize = 20;

/// How often a directory is listed again because files appeared meanwhile.
const LISTINGS_MAX: usize = 100;

/// What the committed files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// Lines in committed files.
    pub values: u64,
    /// Every number below this is there. It grows as long as all lanes go on.
    pub complete_to: u64,
    /// The largest number.
    pub last: Option<u64>,
    /// Numbers that are missing before a later number of their lane.
    pub gaps: Vec<Gap>,
    /// How many lines repeat a number that another line has.
    pub duplicates: u64,
    /// The first numbers that are repeated, ascending.
    pub duplicated: Vec<u64>,
    /// How many lines have a place that is not their number's: keyed state was lost or repeated.
    pub misplacements: u64,
    /// The first numbers that have a wrong place.
    pub misplaced: Vec<u64>,
    /// Committed files.
    pub committed_files: u64,
    /// Files that do not count, since no checkpoint has committed them.
    pub in_progress_files_ignored: u64,
}

/// Numbers of one lane that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The lane.
    pub lane: u64,
    /// The first number that is missing.
    pub first: u64,
    /// How many numbers of the lane are missing from there on.
    pub missing: u64,
}

impl LedgerReport {
    /// Whether nothing is missing, repeated or misplaced.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.gaps.is_empty() && self.duplicates == 0 && self.misplacements == 0
    }
}

/// One line for people, and one for each thing that is wrong.
impl fmt::Display for LedgerReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: u64 = self.gaps.iter().map(|gap| gap.missing).sum();
        write!(
            formatter,
            "{} numbers, complete to {}, {missing} missing, {} repeated, {} misplaced ({} files, {} in progress)",
            self.values,
            self.complete_to,
            self.duplicates,
            self.misplacements,
            self.committed_files,
            self.in_progress_files_ignored
        )?;
        for Gap { lane, first, missing } in self.gaps.iter().take(LISTED_MAX) {
            write!(formatter, "\nlane {lane}: {missing} missing from {first} on")?;
        }
        if !self.duplicated.is_empty() {
            write!(formatter, "\nrepeated: {:?}", self.duplicated)?;
        }
        if !self.misplaced.is_empty() {
            write!(formatter, "\nmisplaced: {:?}", self.misplaced)?;
        }
        Ok(())
    }
}

/// A ledger that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The directory or a file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A line of a committed file is no line of a ledger.
    #[error("`{}` line {line}: `number lane place` is expected, not `{text}`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Files keep appearing faster than they can be listed.
    #[error("`{}` changed while it was listed, {LISTINGS_MAX} times", path.display())]
    Restless {
        /// The directory.
        path: PathBuf,
    },
}

/// Reads every committed file of `directory`, also while the job goes on writing.
///
/// # Errors
/// [`LedgerError`] if a file cannot be read or is no ledger; wrong numbers are no error but in the report.
pub fn check(directory: &Path) -> Result<LedgerReport, LedgerError> {
    let Listing { committed, in_progress } = settled_listing(directory)?;
    let mut report = LedgerReport {
        committed_files: committed.len() as u64,
        in_progress_files_ignored: in_progress,
        ..LedgerReport::default()
    };
    let mut lanes: Vec<Vec<u64>> = (0..LANES).map(|_| Vec::new()).collect();
    for path in &committed {
        read_file(path, &mut lanes, &mut report)?;
    }
    let mut complete_to = u64::MAX;
    for (lane, numbers) in (0..LANES).zip(&mut lanes) {
        numbers.sort_unstable();
        complete_to = complete_to.min(judge_lane(lane, numbers, &mut report));
        report.last = report.last.max(numbers.last().copied());
    }
    report.complete_to = complete_to;
    report.gaps.sort_by_key(|gap| gap.first);
    report.duplicated.sort_unstable();
    report.duplicated.truncate(LISTED_MAX);
    Ok(report)
}

#[derive(PartialEq, Eq)]
struct Listing {
    committed: Vec<PathBuf>,
    in_progress: u64,
}

/// Lists until two listings in a row are the same: a listing during which files were committed may have
/// a later file and lack an earlier one, which would look like a gap.
fn settled_listing(directory: &Path) -> Result<Listing, LedgerError> {
    let mut before = listing(directory)?;
    for _ in 0..LISTINGS_MAX {
        let now = listing(directory)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    Err(LedgerError::Restless { path: directory.to_owned() })
}

fn listing(directory: &Path) -> Result<Listing, LedgerError> {
    let unreadable = |source| LedgerError::Unreadable { path: directory.to_owned(), source };
    let (mut committed, mut in_progress) = (Vec::new(), 0);
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("part-") {
            committed.push(entry.path());
        } else if name.starts_with(".part-") {
            in_progress += 1;
        }
    }
    committed.sort();
    Ok(Listing { committed, in_progress })
}

fn read_file(path: &Path, lanes: &mut [Vec<u64>], report: &mut LedgerReport) -> Result<(), LedgerError> {
    let text = fs::read_to_string(path)
        .map_err(|source| LedgerError::Unreadable { path: path.to_owned(), source })?;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let malformed = || LedgerError::Malformed {
            path: path.to_owned(),
            line: index + 1,
            text: line.trim_end().to_owned(),
        };
        let Line { number, lane, place } = Line::read(line).ok_or_else(malformed)?;
        let slot = usize::try_from(lane).ok().and_then(|lane| lanes.get_mut(lane)).ok_or_else(malformed)?;
        slot.push(number);
        report.values += 1;
        if place != number / LANES {
            report.misplacements += 1;
            if report.misplaced.len() < LISTED_MAX {
                report.misplaced.push(number);
            }
        }
    }
    Ok(())
}

struct Line {
    number: u64,
    lane: u64,
    place: u64,
}

impl Line {
    /// `None` also for a line without its end: a committed file has only whole lines.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix('\n')?.split(' ').map(|word| word.parse::<u64>().ok());
        let (number, lane, place) = (words.next()??, words.next()??, words.next()??);
        (words.next().is_none() && number % LANES == lane).then_some(Self { number, lane, place })
    }
}

/// Finds what is missing and repeated in the ascending `numbers` of a lane, and returns the first number
/// that the lane lacks.
fn judge_lane(lane: u64, numbers: &[u64], report: &mut LedgerReport) -> u64 {
    let (mut expected, mut first_lacking) = (lane, None);
    for &number in numbers {
        if number < expected {
            report.duplicates += 1;
            report.duplicated.push(number);
            continue;
        }
        if number > expected {
            let missing = (number - expected) / LANES;
            report.gaps.push(Gap { lane, first: expected, missing });
            first_lacking.get_or_insert(expected);
        }
        expected = number + LANES;
    }
    first_lacking.unwrap_or(expected)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Gap, LANES, LedgerError, LedgerReport, check};

    fn line(number: u64) -> String {
        format!("{number} {} {}\n", number % LANES, number / LANES)
    }

    fn report(files: &[(&str, String)]) -> Result<LedgerReport, LedgerError> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        check(directory.path())
    }

    fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
        numbers.into_iter().map(line).collect()
    }

    #[test]
    fn a_whole_ledger_is_whole_however_it_is_cut() {
        let report = report(&[
            ("part-b-0", lines((0..100).filter(|number| number % 3 == 0))),
            ("part-a-0", lines((0..100).filter(|number| number % 3 != 0))),
            (".part-a-1.inprogress.x", lines(100..120)),
            ("part-c-0", String::new()),
        ])
        .unwrap();
        assert!(report.is_whole(), "{report}");
        assert_eq!((report.values, report.complete_to, report.last), (100, 100, Some(99)));
        assert_eq!((report.committed_files, report.in_progress_files_ignored), (3, 1));
    }

    #[test]
    fn lanes_that_are_not_committed_as_far_are_no_gap() {
        let report =
            report(&[("part-a-0", lines((0..80).filter(|number| number % 8 != 3 || *number < 40)))]).unwrap();
        assert!(report.is_whole(), "{report}");
        assert_eq!((report.complete_to, report.last), (43, Some(79)));
    }

    #[test]
    fn a_lost_number_is_a_gap() {
        let report =
            report(&[("part-a-0", lines((0..80).filter(|number| ![11, 19, 44].contains(number))))]).unwrap();
        assert!(!report.is_whole());
        let gaps = [Gap { lane: 3, first: 11, missing: 2 }, Gap { lane: 4, first: 44, missing: 1 }];
        assert_eq!(report.gaps, gaps);
        assert_eq!(report.complete_to, 11);
        assert!(report.to_string().contains("lane 3: 2 missing from 11 on"), "{report}");
    }

    #[test]
    fn a_repeated_number_is_found_in_another_file_too() {
        let report = report(&[("part-a-0", lines(0..16)), ("part-b-0", lines([5, 5, 9]))]).unwrap();
        assert_eq!((report.duplicates, report.duplicated.as_slice()), (3, &[5, 5, 9][..]));
        assert!(report.gaps.is_empty() && !report.is_whole());
    }

    #[test]
    fn a_place_that_starts_again_is_lost_keyed_state() {
        let report =
            report(&[("part-a-0", lines(0..16)), ("part-a-1", "16 0 0\n17 1 2\n".to_owned())]).unwrap();
        assert_eq!((report.misplacements, report.misplaced.as_slice()), (1, &[16][..]));
        assert!(!report.is_whole());
    }

    #[test]
    fn what_is_no_ledger_is_an_error_that_names_file_and_line() {
        for text in ["0 0 0\n1 1", "x\n", "0 1 0\n", "0 0 0 0\n", "8 8 1\n", "-8 0 0\n", "0 0\n"] {
            let error = report(&[("part-a-0", text.to_owned())]).unwrap_err().to_string();
            assert!(error.contains("part-a-0") && error.contains("line "), "{text}: {error}");
        }
        let missing = check(std::path::Path::new("/nowhere/at/all")).unwrap_err();
        assert!(matches!(missing, LedgerError::Unreadable { .. }));
    }

    #[test]
    fn an_empty_directory_is_an_empty_ledger() {
        let report = report(&[]).unwrap();
        assert!(report.is_whole());
        assert_eq!((report.values, report.complete_to, report.last), (0, 0, None));
    }
}
