//! `drey up`: starts everything, applies files, shows what happens until it is told to stop.

use std::path::PathBuf;

use drey_cli::command::apply;
use drey_cli::connection::ConnectionArgs;
use drey_cli::failure::{Failure, Kind};
use drey_cli::manifest::Document;
use drey_cli::output::{line, say};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::display::Display;
use super::files::Files;
use super::resume;
use super::stack::{NAMESPACE, Stack};
use super::{dashboard, detach, fetch};

/// Run FlinkDeployments on this machine
///
/// Starts a Kubernetes API of its own on the loopback interface and runs the deployments of FILES, and
/// those applied later, as processes of Flink. Everything is kept in `.drey/`. Ctrl-C or SIGTERM stops the
/// processes and keeps the state: the next `drey up` goes on from the newest checkpoints. `drey down`
/// stops with savepoints; `drey down --purge` forgets everything.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Files or directories of YAML or JSON
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,
    /// Return when everything is started, and go on in the background
    #[arg(short, long)]
    detach: bool,
    /// Directory that holds `.drey/`; relative paths in the arguments of jobs begin there
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    dir: PathBuf,
    /// Port of the API on 127.0.0.1; without it the one it had before, or any free one
    #[arg(long)]
    port: Option<u16>,
    /// Set by `--detach` for the process in the background.
    #[arg(long, hide = true)]
    in_background: bool,
}

/// Runs the command.
///
/// # Errors
/// Why it could not start, or why a part of it ended.
pub(crate) async fn run(args: &Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    let namespace = connection.namespace.as_deref();
    let documents = read_files(args, namespace)?;
    let http = crate::reach::direct()?;
    fetch::distributions(&documents, &http).await?;
    if args.detach {
        return detach::start(args.dir.clone(), args.port, &documents, namespace).await;
    }
    let mut interrupts = Interrupts::listen()?;
    let mut stack = Stack::start(&args.dir, args.port, http).await?;
    tracing::info!(address = %stack.address, version = env!("CARGO_PKG_VERSION"), "started");
    let outcome = serve(&mut stack, args, &documents, namespace, &mut interrupts).await;
    stop(stack, &mut interrupts).await;
    outcome
}

/// Files are judged before anything is started.
fn read_files(args: &Args, namespace: Option<&str>) -> Result<Vec<Document>, Failure> {
    if args.files.is_empty() {
        return Ok(Vec::new());
    }
    let files = Files::below(&std::path::absolute(&args.dir)?);
    apply::read(&args.files, namespace.unwrap_or(NAMESPACE), Some(files.root()))
}

async fn serve(
    stack: &mut Stack,
    args: &Args,
    documents: &[Document],
    namespace: Option<&str>,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    let resumed = resume::resume(&stack.client).await?;
    if args.in_background {
        detach::tell_ready(&stack.files)?;
    } else {
        introduce(stack, resumed)?;
        apply_documents(stack, documents, namespace).await?;
    }
    let mut display = Display::new(stack.client.clone(), stack.launcher.clone());
    tokio::select! {
        () = display.run() => Ok(()),
        failure = stack.broken() => Err(failure),
        () = interrupts.next() => Ok(()),
    }
}

fn introduce(stack: &Stack, resumed: usize) -> Result<(), Failure> {
    if let Some(address) = dashboard::address(&stack.files) {
        line(&format!("dashboard   {address}"))?;
    }
    line(&format!("API         http://{} (token in the kubeconfig)", stack.address))?;
    line(&format!("kubeconfig  {}", stack.files.kubeconfig().display()))?;
    line(&format!("            kubectl --kubeconfig {} get flinkdep", stack.files.kubeconfig().display()))?;
    if resumed > 0 {
        line(&format!("resuming    {resumed} stopped by `drey down`"))?;
    }
    say("Ctrl-C stops the processes and keeps the state; `drey down` stops with savepoints");
    Ok(())
}

async fn apply_documents(
    stack: &Stack,
    documents: &[Document],
    namespace: Option<&str>,
) -> Result<(), Failure> {
    let connection = stack.connection(namespace);
    apply::apply_all(documents, &connection, false).await
}

/// Stops everything. Who interrupts again is told what is waited for; who does it a third time is obeyed.
async fn stop(stack: Stack, interrupts: &mut Interrupts) {
    let processes: usize = stack.launcher.records().iter().map(|record| record.processes.len()).sum();
    say(&format!("stopping {processes} processes of Flink; their state is kept"));
    tracing::info!(processes, "stopping");
    let mut stopping = std::pin::pin!(stack.stop());
    let mut again = 0;
    loop {
        tokio::select! {
            () = &mut stopping => break,
            () = interrupts.next() => {
                again += 1;
                if again > 1 {
                    say("left as it is: the next `drey up` takes over what still runs");
                    break;
                }
                say("still stopping: each process is asked to end and killed after 10 s. No state is lost, \
                     jobs go on from their newest checkpoint at the next `drey up`. Once more to leave at once");
            }
        }
    }
    say("stopped; `drey up` goes on from the newest checkpoints");
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Kind::Internal, format!("signals cannot be listened for: {error}"))
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
