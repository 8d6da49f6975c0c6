//! Lines that call flink-deployer, as lines that call drey. Refuses to understand the pipeline around them.

use std::io::Read;
use std::path::Path;

use super::DeployerArgs;
use crate::failure::{Failure, Kind};
use crate::job::deployer::{PROGRAM, normalised, understood};
use crate::output::{line, say};

/// What is different for every pipeline.
const DIFFERENT: [&str; 6] = [
    "a job is stopped with a savepoint, in one step: nothing is processed twice",
    "the savepoint that Flink names is restored, and no other that lies beside it; a failed one is seen as failed",
    "success is said when the job is RUNNING; the job's id is printed",
    "a job's name is exact; `--job-name-base 'NAME*'` takes what begins with it, when that is one job",
    "an update whose new version does not come up brings the old one back (`--no-rollback` leaves that out)",
    "a lost answer never starts a job twice: drey chooses the job's id",
];

pub(super) fn run(args: &DeployerArgs) -> Result<(), Failure> {
    let mut found = false;
    for file in &args.files {
        for (number, words) in calls(&read(file)?) {
            found = true;
            line(&format!("{}:{number}", file.display()))?;
            line(&format!("  - {PROGRAM} {}", words.join(" ")))?;
            match translated(&words) {
                Ok(text) => line(&format!("  + {text}"))?,
                Err(why) => line(&format!("  ! not understood: {why}"))?,
            }
        }
    }
    if !found {
        say(&format!("no line calls {PROGRAM}"));
        return Ok(());
    }
    line(
        "\nThe variables FLINK_BASE_URL, FLINK_BASIC_AUTH_* and FLINK_API_TIMEOUT_SECONDS are read as before.",
    )?;
    line("Called by the name flink-deployer, drey takes these lines as they are. What it does otherwise:")?;
    DIFFERENT.iter().try_for_each(|difference| line(&format!("  * {difference}")))
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let outcome = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|contents| text = contents)
    };
    let kind = |error: &std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Failed }
    };
    outcome.map_err(|error| Failure::new(kind(&error), error.to_string()).on(file.display().to_string()))?;
    Ok(text)
}

/// The calls in a text, each with the line it begins at and the words after the program's name. A `\` at the end of a line
/// joins it with the next; what the shell does after `;`, `&&` or `|` is no part of a call.
fn calls(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut calls = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let mut whole = first.to_owned();
        while whole.trim_end().ends_with('\\') {
            whole.truncate(whole.trim_end().len() - 1);
            whole.push_str(lines.next().map_or("", |(_, next)| next));
        }
        let words = words(&whole);
        let is_program = |word: &String| Path::new(word).file_name().is_some_and(|name| name == PROGRAM);
        let Some(at) = words.iter().position(is_program) else { continue };
        let ends = |word: &&String| matches!(word.as_str(), ";" | "&&" | "||" | "|" | "#");
        let call: Vec<String> = words[at + 1..].iter().take_while(|word| !ends(word)).cloned().collect();
        if !call.is_empty() {
            calls.push((number + 1, call));
        }
    }
    calls
}

/// The words of a line as a shell splits them, variables left as they are.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut is_word) = (String::new(), None, false);
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.push(character),
            (None, '"' | '\'') => {
                quote = Some(character);
                is_word = true;
            }
            (None, _) if character.is_whitespace() => {
                if is_word || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            (None, _) => word.push(character),
        }
    }
    if is_word || !word.is_empty() {
        words.push(word);
    }
    words
}

fn translated(call: &[String]) -> Result<String, String> {
    let words = std::iter::once(PROGRAM.to_owned()).chain(call.iter().cloned()).collect();
    let words = normalised(words);
    understood(&words)?;
    let quoted = words[1..].iter().map(|word| quoted(word)).collect::<Vec<_>>();
    Ok(format!("drey job {}", quoted.join(" ")))
}

/// As a shell reads it again.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:$%{}@,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("\"{word}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPELINE: &str = "deploy:\n  script:\n    - flink-deployer update -fn job.jar -jnb \"My Job\" \\\n        -sd /savepoints -p 4 && echo done\n    - ./bin/flink-deployer --help-me\n    - echo flink\n";

    #[test]
    fn calls_are_found_with_their_lines() {
        let calls = calls(PIPELINE);
        assert_eq!(calls.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(calls[0].1.last().map(String::as_str), Some("4"));
        assert_eq!(calls[0].1[4], "My Job");
    }

    #[test]
    fn a_call_is_translated_or_said_not_to_be_understood() {
        let calls = calls(PIPELINE);
        assert_eq!(
            translated(&calls[0].1).as_deref(),
            Ok("drey job update --file-name=job.jar \"--job-name-base=My Job\" --savepoint-dir=/savepoints \
                --parallelism=4"),
        );
        assert!(translated(&calls[1].1).expect_err("no such flag").contains("--help-me"));
    }
}
