//! The command line of flink-deployer, for pipelines that only change the image: its flags with one hyphen or two, its words
//! on standard error with the time before them, its exit codes.

use clap::Parser;

use super::command::list;
use super::flink::{FlinkArgs, password};
use super::talk::{Talk, interruptible};
use super::{Command, perform};
use crate::failure::{Failure, Kind};

/// The name of the program that this stands in for.
pub const PROGRAM: &str = "flink-deployer";

/// How flink-deployer ends when a command fails.
pub const FAILED: u8 = 255;

/// How flink-deployer ends when its environment is wrong.
pub const ENVIRONMENT: u8 = 1;

/// Flags whose short form has more than one letter, which only flink-deployer's command line has.
const SHORT: [(&str, &str); 12] = [
    ("fn", "file-name"),
    ("rfn", "remote-file-name"),
    ("at", "api-token"),
    ("ec", "entry-class"),
    ("p", "parallelism"),
    ("pa", "program-args"),
    ("sd", "savepoint-dir"),
    ("sp", "savepoint-path"),
    ("anrs", "allow-non-restored-state"),
    ("jnb", "job-name-base"),
    ("fbd", "fallback-to-deploy"),
    ("m", "mode"),
];

/// A command-line tool for deploying Apache Flink jobs
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, arg_required_else_help = true)]
struct Line {
    #[command(flatten)]
    flink: FlinkArgs,
    #[command(subcommand)]
    command: Command,
}

/// Whether words with the program's name in front, as [`normalised`] writes them, are a command.
///
/// # Errors
/// What is not understood.
pub fn understood(words: &[String]) -> Result<(), String> {
    let parsed = Line::try_parse_from(words);
    parsed.map(drop).map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

/// Writes flags as clap reads them: `-fn x`, `--fn x` and `-file-name=x` become `--file-name`. What follows `--`, and the
/// value of a flag, stay as they are.
#[must_use]
pub fn normalised(words: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            out.push(word);
            break;
        }
        let Some((flag, value)) = known_flag(&word) else {
            out.push(word);
            continue;
        };
        let takes_value = !matches!(flag, "allow-non-restored-state" | "fallback-to-deploy");
        match value {
            Some(value) => out.push(format!("--{flag}={value}")),
            // Joined, so that a value may begin with a hyphen.
            None if takes_value => match words.next() {
                Some(value) => out.push(format!("--{flag}={value}")),
                None => out.push(format!("--{flag}")),
            },
            None => out.push(format!("--{flag}")),
        }
    }
    out.extend(words);
    out
}

fn known_flag(word: &str) -> Option<(&'static str, Option<&str>)> {
    let rest = word.strip_prefix('-')?;
    let name = rest.strip_prefix('-').unwrap_or(rest);
    let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
    let (_, long) = SHORT.iter().find(|(short, long)| *short == name || *long == name)?;
    Some((*long, value))
}

/// Runs the command line of flink-deployer, and returns how it ends.
pub async fn run(words: Vec<String>) -> u8 {
    if std::env::var("FLINK_BASE_URL").is_ok_and(|url| url.is_empty())
        || std::env::var_os("FLINK_BASE_URL").is_none()
    {
        crate::output::say(&timed("`FLINK_BASE_URL` environment variable not found"));
        return ENVIRONMENT;
    }
    let timeout = std::env::var("FLINK_API_TIMEOUT_SECONDS").unwrap_or_default();
    if !timeout.is_empty() && timeout.parse::<u64>().is_err() {
        let text = format!(
            "`FLINK_API_TIMEOUT_SECONDS` environment variable could not be parsed to an integer: {timeout}"
        );
        crate::output::say(&timed(&text));
        return ENVIRONMENT;
    }
    let line = match Line::try_parse_from(normalised(words)) {
        Ok(line) => line,
        Err(error) => {
            // A reader that went away has read enough.
            let _gone = error.print();
            return if error.use_stderr() { FAILED } else { 0 };
        }
    };
    let talk = Talk::aloud(timed);
    let outcome = match line.flink.session(password().as_deref(), talk.clone()) {
        Ok(session) => match &line.command {
            Command::List(_) => interruptible(&talk, listed(&session)).await,
            command => perform(&with_defaults(command.clone()), &session).await,
        },
        Err(failure) => Err(failure),
    };
    talk.end();
    match outcome {
        Err(failure) if failure.kind() != Kind::BrokenPipe => {
            crate::output::say(&timed(&worded(&line.command, &failure)));
            FAILED
        }
        Ok(()) | Err(_) => 0,
    }
}

/// Its list, on standard error as all that it says.
async fn listed(session: &super::flink::Session) -> Result<(), Failure> {
    let jobs = list::jobs(session).await?;
    if jobs.is_empty() {
        session.talk.say("No running jobs found");
    }
    for job in jobs {
        session.talk.say(format!("Job {} ({}) with status: {}", job.name, job.id, job.state.word()));
    }
    Ok(())
}

/// Where flink-deployer sends a number that nobody has given.
fn with_defaults(mut command: Command) -> Command {
    match &mut command {
        Command::Deploy(args) => args.release.parallelism = args.release.parallelism.or(Some(1)),
        Command::Update(args) => args.release.parallelism = args.release.parallelism.or(Some(1)),
        _ => {}
    }
    command
}

/// Its words: what the flags lack stands alone, what Flink says has a beginning.
fn worded(command: &Command, failure: &Failure) -> String {
    let text = failure.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    match (command, failure.kind()) {
        (_, Kind::Usage) => text.to_owned(),
        (Command::List(_), _) => format!("failed to list jobs: {text}"),
        _ => format!("an error occurred: {text}"),
    }
}

fn timed(text: &str) -> String {
    format!("{} {text}", jiff::Zoned::now().strftime("%Y/%m/%d %H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Vec<String> {
        normalised(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn flags_have_one_hyphen_or_two_and_values_any() {
        let long =
            ["flink-deployer", "update", "--file-name=a.jar", "--job-name-base=a b", "--fallback-to-deploy"];
        for words in [
            ["flink-deployer", "update", "-fn", "a.jar", "-jnb=a b", "-fbd"].as_slice(),
            ["flink-deployer", "update", "--fn=a.jar", "-job-name-base", "a b", "--fbd"].as_slice(),
        ] {
            assert_eq!(read(words), long);
        }
        assert_eq!(read(&["d", "-pa", "--kafka x"]), ["d", "--program-args=--kafka x"]);
        assert_eq!(read(&["d", "-p", "2", "--", "-fn"]), ["d", "--parallelism=2", "--", "-fn"]);
    }

    #[test]
    fn every_command_and_alias_of_flink_deployer_is_understood() {
        for words in [
            &["l"][..],
            &["d", "-fn", "a.jar", "-ec", "a.B", "-p", "2", "-pa", "--x", "-pa", "y", "-sp", "/s", "-anrs"],
            &[
                "deploy",
                "-rfn",
                "https://x/a.jar",
                "-at",
                "t",
                "-sd",
                "/s",
                "--allow-non-restored-state=true",
            ],
            &["u", "-fn", "a.jar", "-jnb", "a", "-sd", "/s", "-fbd", "-anrs=false"],
            &["terminate", "-jnb", "a", "-m", "stop"],
            &["t", "--job-name-base", "a", "--mode", "cancel"],
        ] {
            let line = Line::try_parse_from(std::iter::once(PROGRAM.to_owned()).chain(read(words)));
            assert!(line.is_ok(), "{words:?}: {}", line.expect_err("refused"));
        }
    }
}
