//! `drey up --detach`: the same program again, in a session of its own, so that neither the end of the
//! terminal nor its Ctrl-C reaches it. It tells by one line on its standard output that the API answers;
//! until then its failure is ours.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use drey_cli::command::apply;
use drey_cli::connection::ConnectionArgs;
use drey_cli::failure::{Failure, Kind};
use drey_cli::manifest::Document;
use drey_cli::output::line;
use drey_local::state_dir;

use super::dashboard;
use super::files::Files;

/// The line by which the process in the background tells that it is ready.
const READY: &str = "ready";
/// Lines of the log that are shown when it does not start.
const LOG_LINES: usize = 10;

/// Starts drey in the background, applies the documents, and says where everything is.
///
/// # Errors
/// Why it did not start, or why an object was refused.
pub(crate) async fn start(
    directory: PathBuf,
    port: Option<u16>,
    documents: &[Document],
    namespace: Option<&str>,
) -> Result<(), Failure> {
    let root = Files::below(&directory).root().to_owned();
    if let Some(pid) = state_dir::holder(&root) {
        return Err(Failure::new(Kind::Conflict, format!("drey runs here already, as process {pid}"))
            .on(root.display().to_string())
            .hint("give it more with `drey apply -f job.yaml`, or stop it with `drey down`"));
    }
    let mut child = spawn(&directory, port)?;
    let ready = wait_until_ready(&mut child);
    let pid = child.id();
    ready.map_err(|failure| with_log(failure, &Files::of(&root)))?;
    let files = Files::of(&std::fs::canonicalize(&root)?);
    let arguments = ConnectionArgs {
        kubeconfig: Some(files.kubeconfig()),
        namespace: namespace.map(str::to_owned),
        ..ConnectionArgs::default()
    };
    let connection = arguments.connect().await?;
    line(&format!("drey runs in the background, as process {pid}"))?;
    if let Some(address) = dashboard::address(&files) {
        line(&format!("dashboard   {address}"))?;
    }
    line(&format!("API         {} (token in the kubeconfig)", connection.server))?;
    line(&format!("kubeconfig  {}", files.kubeconfig().display()))?;
    line(&format!("log         {}", files.log().display()))?;
    apply::apply_all(documents, &connection, false).await?;
    line("next: `drey get -w`; `drey down` stops everything with savepoints")
}

fn spawn(directory: &Path, port: Option<u16>) -> Result<Child, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(Kind::Failed, format!("drey cannot be started in the background: {error}"))
    };
    let program = std::env::current_exe().map_err(cannot)?;
    let mut command = Command::new(program);
    command.args(["up", "--in-background", "--dir"]).arg(directory);
    if let Some(port) = port {
        command.arg("--port").arg(port.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(cannot)
}

fn wait_until_ready(child: &mut Child) -> Result<(), Failure> {
    let stdout = child.stdout.take().map(BufReader::new);
    let first = stdout.and_then(|stdout| stdout.lines().next()).transpose()?;
    if first.as_deref() == Some(READY) {
        return Ok(());
    }
    let stderr = child.stderr.take().map(BufReader::new);
    let said: Vec<String> =
        stderr.map(|stderr| stderr.lines().map_while(Result::ok).collect()).unwrap_or_default();
    let status = child.wait()?;
    let kind = status.code().map_or(Kind::Failed, Kind::of_code);
    let failure = Failure::new(kind, format!("drey did not start: {status}"));
    Err(said.into_iter().fold(failure, Failure::detail))
}

fn with_log(failure: Failure, files: &Files) -> Failure {
    let log = std::fs::read_to_string(files.log()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
    tail.iter().fold(failure, |failure, line| failure.detail(*line))
}

/// Tells the starter that the API answers, and leaves its session and its terminal.
///
/// # Errors
/// When the system refuses a session, or the log cannot be opened.
pub(crate) fn tell_ready(files: &Files) -> Result<(), Failure> {
    // A leader of a group cannot found a session, and need not: then it has one of its own.
    if rustix::process::getpid() != rustix::process::getpgrp() {
        rustix::process::setsid()
            .map_err(|error| Failure::new(Kind::Internal, format!("the system gives no session: {error}")))?;
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{READY}")?;
    stdout.flush()?;
    talk_to_log(files)
}

/// The starter reads no further, so what is said from now on goes to the log.
fn talk_to_log(files: &Files) -> Result<(), Failure> {
    let log = files.open_log()?;
    let failed =
        |error: rustix::io::Errno| Failure::new(Kind::Internal, format!("the log cannot be used: {error}"));
    rustix::stdio::dup2_stdout(&log).map_err(failed)?;
    rustix::stdio::dup2_stderr(&log).map_err(failed)
}
