//! `drey logs` in laptop mode: the log files of a deployment.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use drey_cli::command::logs::{Args, Component};
use drey_cli::connection::ConnectionArgs;
use drey_cli::failure::{Failure, Kind};
use drey_local::record::{self, ClusterDirectory, ClusterRecord, Slot};
use drey_local::state_dir::Layout;

use super::stack::NAMESPACE;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// Most bytes that are shown of one file without `--all`.
const TAIL_BYTES: u64 = 64 * 1024;

/// Whether a log file is one of these processes.
fn is_of(component: Component, file_name: &str) -> bool {
    match component {
        Component::Jm => file_name.starts_with(&Slot::JobManager.to_string()),
        Component::Tm => file_name.starts_with("taskmanager-"),
    }
}

/// Prints the logs that stand below the state directory.
///
/// # Errors
/// When there is no log of that name, or it cannot be read.
pub(crate) async fn run(args: &Args, connection: &ConnectionArgs, root: &Path) -> Result<(), Failure> {
    if args.previous {
        return Err(Failure::new(Kind::Usage, "processes of this machine have no container before")
            .hint("the logs of an ended cluster are shown without `--previous`"));
    }
    let name = args.name.rsplit('/').next().unwrap_or(&args.name);
    let namespace = connection.namespace.as_deref().unwrap_or(NAMESPACE);
    let layout = Layout::of(root);
    let mut printer = Printer::default();
    printer.print(&files(&layout, namespace, name, args.component)?, args.all)?;
    if !args.follow {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {
                printer.print(&files(&layout, namespace, name, args.component)?, true)?;
            }
            _ = tokio::signal::ctrl_c() => return Err(Failure::new(Kind::Interrupted, "stopped following")),
        }
    }
}

fn files(
    layout: &Layout,
    namespace: &str,
    name: &str,
    component: Component,
) -> Result<Vec<PathBuf>, Failure> {
    let mut files = all_files(layout, namespace, name)?;
    files
        .retain(|path| is_of(component, path.file_name().and_then(|name| name.to_str()).unwrap_or_default()));
    Ok(files)
}

/// The logs of the newest incarnation, or those kept of the last one, by name.
pub(crate) fn all_files(layout: &Layout, namespace: &str, name: &str) -> Result<Vec<PathBuf>, Failure> {
    let directory = match newest(layout, namespace, name)? {
        Some(directory) => directory.logs(),
        None => kept(layout, namespace, name).ok_or_else(|| {
            Failure::new(Kind::NotFound, "no process of it has run here")
                .on(format!("flinkdeployment/{name}"))
                .hint("see what exists: `drey get -A`")
        })?,
    };
    let entries = std::fs::read_dir(&directory)
        .map_err(|error| Failure::new(Kind::Failed, error.to_string()).on(directory.display().to_string()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| {
        let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Rotated files end in a number.
        file_name.ends_with(".log") || file_name.ends_with(".out")
    });
    files.sort();
    Ok(files)
}

/// The directory of the newest incarnation.
pub(crate) fn newest(
    layout: &Layout,
    namespace: &str,
    name: &str,
) -> Result<Option<ClusterDirectory>, Failure> {
    let directories = record::directories(layout).map_err(|error| {
        Failure::new(Kind::Failed, error.to_string()).on(layout.clusters().display().to_string())
    })?;
    let readable = directories.into_iter().filter_map(|directory| {
        let record: ClusterRecord = directory.read().ok()?;
        (record.namespace == namespace && record.name == name).then_some((record.created_at_ms, directory))
    });
    Ok(readable.max_by_key(|(created_at_ms, _)| *created_at_ms).map(|(_, directory)| directory))
}

/// Their names begin with the time, so that the last one is the newest.
fn kept(layout: &Layout, namespace: &str, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(layout.ended_logs(namespace, name)).ok()?;
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).max()
}

/// Prints what is new in files.
#[derive(Default)]
struct Printer {
    printed: Vec<(PathBuf, u64)>,
    last: Option<PathBuf>,
}

impl Printer {
    fn print(&mut self, files: &[PathBuf], whole: bool) -> Result<(), Failure> {
        let several = files.len() > 1;
        for path in files {
            let at = self.position(path, whole);
            let Ok(mut file) = File::open(path) else { continue };
            let length = file.metadata()?.len();
            // A shorter file was rotated: it begins anew.
            let from = if length < at { 0 } else { at };
            if length > from {
                file.seek(SeekFrom::Start(from))?;
                self.head(path, several)?;
                let mut text = Vec::new();
                file.take(length - from).read_to_end(&mut text)?;
                std::io::stdout().lock().write_all(&text)?;
            }
            self.remember(path, length);
        }
        std::io::stdout().lock().flush()?;
        Ok(())
    }

    fn position(&self, path: &Path, whole: bool) -> u64 {
        let known = self.printed.iter().find(|(printed, _)| printed == path).map(|(_, at)| *at);
        let tail = || std::fs::metadata(path).map_or(0, |metadata| metadata.len().saturating_sub(TAIL_BYTES));
        known.unwrap_or_else(|| if whole { 0 } else { tail() })
    }

    fn head(&mut self, path: &Path, several: bool) -> Result<(), Failure> {
        if several && self.last.as_deref() != Some(path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            writeln!(std::io::stdout().lock(), "==> {name} <==")?;
            self.last = Some(path.to_owned());
        }
        Ok(())
    }

    fn remember(&mut self, path: &Path, at: u64) {
        match self.printed.iter_mut().find(|(printed, _)| printed == path) {
            Some((_, position)) => *position = at,
            None => self.printed.push((path.to_owned(), at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_printed_is_not_printed_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("jobmanager.log");
        std::fs::write(&path, "one\n").expect("written");
        let mut printer = Printer::default();
        printer.print(std::slice::from_ref(&path), true).expect("printed");
        assert_eq!(printer.position(&path, true), 4);
        std::fs::write(&path, "x\n").expect("rotated");
        printer.print(std::slice::from_ref(&path), true).expect("printed");
        assert_eq!(printer.position(&path, true), 2);
    }

    #[test]
    fn components_have_their_files() {
        assert!(is_of(Component::Jm, "jobmanager.log"));
        assert!(is_of(Component::Tm, "taskmanager-2.out"));
        assert!(!is_of(Component::Jm, "taskmanager-1.log"));
    }
}
