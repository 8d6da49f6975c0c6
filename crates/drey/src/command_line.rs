//! The command line: which face is asked for, and how its failure is shown.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;
use drey_cli::Command;
use drey_cli::complete;
use drey_cli::connection::ConnectionArgs;
use drey_cli::exit::{self, Exit};
use drey_cli::failure::{Failure, Kind};
use drey_cli::job::deployer;
use drey_cli::output::say;

use crate::faces::{self, Face};

/// The control plane for Apache Flink
///
/// Runs FlinkDeployments: on this machine with `drey up job.yaml`, without any Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "drey", version, after_help = exit::help_text(), propagate_version = true)]
struct CommandLine {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Face(Face),
    #[command(flatten)]
    Command(drey_cli::Command),
}

/// Commands that ask no Kubernetes API, and whose help is shorter without the options about one.
const WITHOUT_CONNECTION: [&str; 5] = ["job", "validate", "version", "completion", "manual"];

/// The options that these heed all the same.
const HEEDED: [&str; 2] = ["read_only", "no_config"];

/// The whole command line.
fn whole() -> clap::Command {
    let hidden = |command: clap::Command| {
        let connection = ConnectionArgs::augment_args(clap::Command::new("connection"));
        let unheeded =
            connection.get_arguments().filter(|argument| !HEEDED.contains(&argument.get_id().as_str()));
        command.args(unheeded.map(|argument| argument.clone().hide(true)))
    };
    WITHOUT_CONNECTION.iter().fold(CommandLine::command(), |line, name| line.mut_subcommand(name, hidden))
}

/// Answers a shell in which Tab was pressed. Comes back when nobody asks, and before there is a runtime: what is looked up
/// takes one of its own.
pub(crate) fn complete() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    if is_called(words.next().as_deref(), complete::KUBECTL_PROGRAM) {
        let answered = complete::for_kubectl(whole(), words.collect());
        return Some(answered.map_or_else(|failure| failure.kind().exit().into(), |()| ExitCode::SUCCESS));
    }
    CompleteEnv::with_factory(whole).var(complete::VARIABLE).complete();
    None
}

/// Whether the program was called by this name.
fn is_called(program: Option<&OsStr>, name: &str) -> bool {
    program.map(Path::new).and_then(Path::file_name).is_some_and(|file| file == name)
}

/// Runs what the command line asks for, which is another one when drey is called by the name of flink-deployer.
pub(crate) async fn run() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let program = words.first().map(OsString::as_os_str);
    if is_called(program, deployer::PROGRAM) {
        let words = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        return deployer::run(words).await.into();
    }
    // `kubectl` runs a plug-in by the name of its program; people know it as two words.
    let name = if is_called(program, "kubectl-drey") { "kubectl drey" } else { "drey" };
    run_line(name, of_pipelines(words)).await.into()
}

/// `drey job` takes the flags of flink-deployer, whose short forms have more than one letter.
fn of_pipelines(words: Vec<OsString>) -> Vec<OsString> {
    let texts: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    match texts {
        Some(texts) if texts.get(1) == Some(&"job") => {
            let texts = texts.into_iter().map(str::to_owned).collect();
            deployer::normalised(texts).into_iter().map(OsString::from).collect()
        }
        Some(_) | None => words,
    }
}

async fn run_line(name: &'static str, words: Vec<OsString>) -> Exit {
    let matches = whole().bin_name(name).try_get_matches_from(words);
    let line = match matches.and_then(|matches| CommandLine::from_arg_matches(&matches)) {
        Ok(line) => line,
        Err(error) => return refuse(&error),
    };
    let wants_json = matches!(&line.verb, Some(Verb::Command(command)) if command.wants_json());
    match dispatch(line).await {
        Ok(()) => Exit::Success,
        Err(failure) => show(&failure, wants_json),
    }
}

async fn dispatch(mut line: CommandLine) -> Result<(), Failure> {
    // It says itself where each setting comes from.
    if !matches!(line.verb, Some(Verb::Command(Command::Config(_)))) {
        line.connection = line.connection.with_settings()?;
    }
    match line.verb {
        None => drey_cli::status(&line.connection).await,
        Some(Verb::Face(face)) => faces::run(face, &line.connection).await,
        Some(Verb::Command(command)) => faces::command(command, &line.connection, whole).await,
    }
}

/// Help and version are answers; everything else is a command line that is not understood.
fn refuse(error: &clap::Error) -> Exit {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
    // A reader that went away has read enough.
    let _gone = error.print();
    exit
}

fn show(failure: &Failure, wants_json: bool) -> Exit {
    match (failure.kind(), wants_json) {
        (Kind::BrokenPipe, _) => {}
        (_, true) => say(&failure.to_json().to_string()),
        (_, false) => say(&failure.to_string()),
    }
    failure.kind().exit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use drey_cli::manual;

    #[test]
    fn the_command_line_is_sound() {
        whole().debug_assert();
    }

    #[test]
    fn options_that_a_command_does_not_show_are_understood_and_go_unread() {
        for words in [["drey", "-n", "a", "job", "list"], ["drey", "job", "list", "-n", "a"]] {
            let matches = whole().try_get_matches_from(words).expect("understood");
            let line = CommandLine::from_arg_matches(&matches).expect("all there");
            assert_eq!(line.connection.namespace.as_deref(), Some("a"), "{words:?}");
        }
    }

    /// The width that help has to be read at.
    const COLUMNS: usize = 80;

    #[test]
    fn help_fits_a_terminal_of_80_columns() {
        for mut command in manual::commands(whole().term_width(COLUMNS)) {
            let name = command.get_bin_name().unwrap_or_default().to_owned();
            for help in [command.render_help().to_string(), command.render_long_help().to_string()] {
                let long = help.lines().find(|line| line.chars().count() > COLUMNS);
                assert_eq!(long, None, "of `{name}`");
            }
        }
    }

    /// What is wrong with a text of one line.
    fn wrong(text: Option<&clap::builder::StyledStr>) -> Option<&'static str> {
        let Some(text) = text.map(ToString::to_string) else { return Some("no help") };
        match text.lines().count() {
            1 if text.ends_with('.') => Some("ends with a full stop"),
            1 if text.starts_with(char::is_lowercase) => Some("begins with a small letter"),
            1 => None,
            _ => Some("has several lines"),
        }
    }

    /// What is wrong with a text whose first line stands alone.
    fn wrong_at_length(text: Option<&clap::builder::StyledStr>) -> Option<&'static str> {
        let text = text.map(ToString::to_string)?;
        let (first, more) = text.split_once("\n\n")?;
        match (first.ends_with('.'), more.trim_end().ends_with('.')) {
            (true, _) => Some("its first line ends with a full stop"),
            (_, false) => Some("its last paragraph has no full stop"),
            (false, true) => None,
        }
    }

    #[test]
    fn every_command_and_argument_says_what_it_is_in_one_way() {
        let mut found = Vec::new();
        for command in manual::commands(whole()) {
            let name = command.get_bin_name().unwrap_or_default();
            let hidden =
                "says no more than its first line; is there a doc comment beside that of its arguments?";
            let more = command.get_long_about().is_none().then_some(hidden);
            let own = [wrong(command.get_about()), wrong_at_length(command.get_long_about()), more];
            found.extend(own.into_iter().flatten().map(|wrong| format!("{name}: {wrong}")));
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let wrong = [wrong(argument.get_help()), wrong_at_length(argument.get_long_help())];
                found.extend(wrong.into_iter().flatten().map(|wrong| format!("{name} {argument}: {wrong}")));
            }
        }
        assert_eq!(found, Vec::<String>::new());
    }

    /// clap takes the one for the other, and ends the process when they are of other types.
    #[test]
    fn no_command_has_an_argument_of_the_name_of_a_global_one() {
        fn walk(command: &clap::Command, globals: &[String], found: &mut Vec<String>) {
            for below in command.get_subcommands() {
                let own = below.get_arguments().filter(|argument| !argument.is_global_set());
                let clashing =
                    own.map(|argument| argument.get_id().to_string()).filter(|id| globals.contains(id));
                found.extend(clashing.map(|id| format!("{} {id}", below.get_name())));
                walk(below, globals, found);
            }
        }
        let whole = CommandLine::command();
        let globals: Vec<String> = whole
            .get_arguments()
            .filter(|argument| argument.is_global_set())
            .map(|argument| argument.get_id().to_string())
            .collect();
        assert!(globals.contains(&"namespace".to_owned()), "{globals:?}");
        let mut found = Vec::new();
        walk(&whole, &globals, &mut found);
        assert_eq!(found, [""; 0]);
    }
}
