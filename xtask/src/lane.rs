//! Test programs one after the other, passing on what they print, and how many of their tests passed. Two lanes can run
//! side by side; each line then says which one it is of. It refuses to know what is tested.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::shell::shown;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Passed.
    pub(crate) passed: u64,
    /// Failed, among them every part that could not be run at all.
    pub(crate) failed: u64,
}

impl Counts {
    /// With those of `other`.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Test programs one after the other.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// What stands in front of each line; empty where nothing runs beside it.
    head: String,
    /// Of what has run.
    pub(crate) counts: Counts,
}

impl Lane {
    /// Runs a test program to its end, passing its output on and adding up its counts.
    ///
    /// # Errors
    /// When it failed without a failed test: it was the build, or the machine.
    pub(crate) fn run(&mut self, mut command: Command) -> Result<()> {
        let head = self.head.as_str();
        eprintln!("{head}$ {}", shown(&command));
        let stderr = if head.is_empty() { Stdio::inherit() } else { Stdio::piped() };
        let child = command.stdout(Stdio::piped()).stderr(stderr).spawn();
        let mut child = child.with_context(|| format!("`{}` cannot be started", shown(&command)))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let stderr = child.stderr.take();
        let mut found = Counts::default();
        thread::scope(|scope| {
            if let Some(stderr) = stderr {
                scope.spawn(|| lines(stderr, |line| eprintln!("{head}{line}")));
            }
            lines(stdout, |line| {
                if let Some(counts) = parse_result(line).or_else(|| parse_last_line(line)) {
                    found.add(counts);
                }
                if !line.ends_with("... ok") && !line.is_empty() {
                    println!("{head}{line}");
                }
            });
        });
        self.counts.add(found);
        let status = child.wait()?;
        if !status.success() && found.failed == 0 {
            bail!("`{}` ended with {status}", shown(&command));
        }
        Ok(())
    }

    /// Runs two lanes with these names to their ends, at the same time.
    ///
    /// # Errors
    /// Those of both, after both have ended.
    pub(crate) fn side_by_side(
        &mut self,
        (first, run_first): (&str, impl FnOnce(&mut Lane) -> Result<()> + Send),
        (second, run_second): (&str, impl FnOnce(&mut Lane) -> Result<()> + Send),
    ) -> Result<()> {
        let lane = |name: &str| Lane { head: format!("[{name}] "), counts: Counts::default() };
        let (mut first, mut second) = (lane(first), lane(second));
        let (one, other) = thread::scope(|scope| {
            let other = scope.spawn(|| run_second(&mut second));
            let one = run_first(&mut first);
            (one, other.join().unwrap_or_else(|_| Err(anyhow!("it panicked"))))
        });
        self.counts.add(first.counts);
        self.counts.add(second.counts);
        match (one, other) {
            (Err(one), Err(other)) => bail!("{one:#}; and {other:#}"),
            (one, other) => one.and(other),
        }
    }
}

/// Each line, until there are no more. What is no text is passed on as well as it can be.
fn lines(output: impl Read, mut each: impl FnMut(&str)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        each(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// The counts in `3 passed, 1 failed`, the last line of our own programs.
fn parse_last_line(line: &str) -> Option<Counts> {
    let (passed, failed) = line.trim().strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Counts { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
}

/// The counts in `test result: ok. 3 passed; 1 failed; …`.
fn parse_result(line: &str) -> Option<Counts> {
    let rest = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |suffix: &str| {
        rest.split(';').find_map(|part| part.trim().strip_suffix(suffix)?.trim().parse::<u64>().ok())
    };
    Some(Counts { passed: number("passed")?, failed: number("failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::command;

    fn print(text: &str) -> Command {
        command("sh", &["-c", text])
    }

    #[test]
    fn counts_of_cargo_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.7s";
        assert_eq!(parse_result(line), Some(Counts { passed: 12, failed: 3 }));
        assert_eq!(parse_result("test a::result: ok"), None);
        assert_eq!(parse_last_line("12 passed, 3 failed"), Some(Counts { passed: 12, failed: 3 }));
        assert_eq!(parse_last_line("12 passed, none failed"), None);
    }

    #[test]
    fn a_lane_counts_what_its_programs_say() {
        let mut lane = Lane::default();
        lane.run(print("echo 2 passed, 0 failed")).unwrap();
        lane.run(print("echo 3 passed, 1 failed; exit 1")).unwrap();
        assert_eq!(lane.counts, Counts { passed: 5, failed: 1 });
        let error = lane.run(print("exit 3")).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn lanes_side_by_side_run_to_their_ends_and_count_together() {
        let directory = tempfile::tempdir().unwrap();
        let met = |own: &str, other: &str| {
            print(&format!(
                "cd {0}; touch {own}; until [ -e {other} ]; do sleep 0.01; done; echo 1 passed, 0 failed",
                directory.path().display()
            ))
        };
        let mut lane = Lane::default();
        let outcome = lane.side_by_side(
            ("one", |lane: &mut Lane| lane.run(met("a", "b"))),
            ("other", |lane: &mut Lane| {
                lane.run(met("b", "a"))?;
                lane.run(print("exit 7"))
            }),
        );
        assert_eq!(lane.counts, Counts { passed: 2, failed: 0 });
        assert!(outcome.unwrap_err().to_string().contains("exit status: 7"));
    }
}
