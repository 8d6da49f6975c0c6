//! What is checked before a cluster is made, so that a mistake is told at once and by the name of its field.
//!
//! It refuses to change anything, but for creating the directories that the configuration names.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use drey_engine::launcher::Target;
use drey_flink::memory;

use crate::cluster::preparing::is_remote;
use crate::configuration::{local_directories, local_path, split_scheme};
use crate::record::{ClusterRecord, RecordedRestore};
use crate::state_dir::is_path_component;
use crate::{atomic_file, limits};

/// The entry class of Python jobs.
const PYTHON_ENTRY_CLASS: &str = "org.apache.flink.client.python.PythonDriver";

/// Names become directories.
pub(crate) fn check_names(target: &Target) -> Result<(), String> {
    for (field, value) in [("metadata.namespace", &target.namespace), ("metadata.name", &target.name)] {
        if !is_path_component(value) {
            return Err(format!("{field}: `{value}` is not a name of letters, digits, `-` and `.`"));
        }
    }
    Ok(())
}

/// What cannot be run here at all.
pub(crate) fn check_kind_of_job(record: &ClusterRecord) -> Result<(), String> {
    let python_jar = record.jar_uri.as_deref().is_some_and(|uri| uri.ends_with(".py"));
    if python_jar || record.entry_class.as_deref() == Some(PYTHON_ENTRY_CLASS) {
        return Err("spec.job.entryClass: Python jobs are not run on this machine yet; run this resource on Kubernetes".to_owned());
    }
    if record.jar_uri.is_none() && record.entry_class.is_none() {
        return Err("spec.job: neither jarURI nor entryClass is given, so there is nothing to run".to_owned());
    }
    Ok(())
}

/// The local jar of the job; `None` when there is none or it has to be downloaded.
pub(crate) fn local_jar(jar_uri: Option<&str>) -> Result<Option<PathBuf>, String> {
    let Some(uri) = jar_uri.filter(|uri| !is_remote(uri)) else { return Ok(None) };
    let refused = |what: String| format!("spec.job.jarURI: {what}");
    let path = match split_scheme(uri) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("local") => {
            local_path(&format!("file:{rest}"), Path::new("/"))
        }
        _ => local_path(uri, Path::new("")),
    };
    let path = path.ok_or_else(|| {
        refused(format!(
            "`{uri}` has a scheme that is not read on this machine: local, file, http and https are"
        ))
    })?;
    if path.is_relative() {
        return Err(refused(format!("`{uri}` is relative to nothing known here: give the whole path")));
    }
    check_jar(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            refused(format!("there is no file `{}`: build it, or correct the path", path.display()))
        }
        _ => refused(format!("`{}`: {error}", path.display())),
    })?;
    Ok(Some(path))
}

/// The snapshot to start from: Flink would notice only after it has started, and end over it.
pub(crate) fn check_snapshot(restore: &RecordedRestore, working_directory: &Path) -> Result<(), String> {
    let RecordedRestore::Path { path: uri } = restore else { return Ok(()) };
    let Some(path) = local_path(uri, working_directory) else { return Ok(()) };
    let metadata = if path.is_dir() { path.join("_metadata") } else { path };
    match metadata.try_exists() {
        Ok(false) => Err(format!(
            "spec.job.initialSavepointPath: the job is to start from `{uri}`, where no savepoint is (no file `{}`): \
             put it back, or name another one and raise spec.job.savepointRedeployNonce",
            metadata.display()
        )),
        // Flink may be able to read what we cannot.
        Ok(true) | Err(_) => Ok(()),
    }
}

/// Flink's scripts read the last thousand lines of the configuration, and lose the rest of it without a word.
pub(crate) fn check_number_of_options(entries: &BTreeMap<String, String>) -> Result<(), String> {
    if entries.len() <= limits::OPTIONS_MAX {
        return Ok(());
    }
    Err(format!(
        "spec.flinkConfiguration: {} keys are more than Flink's scripts read, which is {}: leave the job's own to its \
         arguments or to a file",
        entries.len(),
        limits::OPTIONS_MAX
    ))
}

/// A jar is a zip file.
fn check_jar(path: &Path) -> io::Result<()> {
    let mut head = [0; 2];
    let read = std::fs::File::open(path)?.read(&mut head)?;
    if read < 2 || &head != b"PK" {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a jar: correct the path, or build it again",
        ));
    }
    Ok(())
}

/// Directories of checkpoints, savepoints and results: a job whose directories cannot be written to runs until its
/// first checkpoint and loses everything at the first failure.
pub(crate) fn create_directories(entries: &BTreeMap<String, String>) -> Result<(), String> {
    for (key, path) in local_directories(entries) {
        let tried = atomic_file::create_private_directory(&path).and_then(|()| {
            let probe = path.join(".drey-can-write");
            atomic_file::write_durably(&probe, b"")?;
            std::fs::remove_file(probe)
        });
        tried.map_err(|error| {
            format!(
                "spec.flinkConfiguration `{key}`: `{}` cannot be written to ({error}); leave it out to have a directory below .drey",
                path.display()
            )
        })?;
    }
    Ok(())
}

/// Sizes that Flink's scripts refuse.
pub(crate) fn check_memory(entries: &BTreeMap<String, String>) -> Result<(), String> {
    memory::jobmanager(entries).map_err(|error| format!("spec.jobManager.resource.memory: {error}"))?;
    memory::taskmanager(entries).map_err(|error| format!("spec.taskManager.resource.memory: {error}"))?;
    Ok(())
}

/// Room for logs and first checkpoints.
pub(crate) fn check_disk(state_directory: &Path) -> Result<(), String> {
    let stat = rustix::fs::statvfs(state_directory)
        .map_err(|error| format!("`{}`: {error}", state_directory.display()))?;
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free_bytes < limits::DISK_FREE_BYTES_MIN {
        return Err(format!(
            "only {} MiB are free on the disk of `{}`, {} are needed to start a cluster: make room",
            free_bytes >> 20,
            state_directory.display(),
            limits::DISK_FREE_BYTES_MIN >> 20
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_form_of_a_local_jar_leads_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let jar = directory.path().join("a b.jar");
        fs::write(&jar, b"PK\x03\x04").unwrap();
        let path = jar.display();
        for uri in
            [format!("local://{path}"), format!("local:{path}"), format!("file://{path}"), format!("{path}")]
        {
            assert_eq!(local_jar(Some(&uri)), Ok(Some(jar.clone())), "{uri}");
        }
        assert_eq!(local_jar(Some("https://h/a.jar")), Ok(None));
        assert_eq!(local_jar(None), Ok(None));
    }

    #[test]
    fn a_jar_that_cannot_be_used_is_refused_by_its_field() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("not.jar");
        fs::write(&text, b"hello").unwrap();
        for (uri, part) in [
            ("local:///no/such.jar".to_owned(), "there is no file `/no/such.jar`"),
            ("s3://bucket/a.jar".to_owned(), "a scheme that is not read"),
            ("a.jar".to_owned(), "give the whole path"),
            (format!("file://{}", text.display()), "it is not a jar"),
        ] {
            let error = local_jar(Some(&uri)).unwrap_err();
            assert!(error.starts_with("spec.job.jarURI: ") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_savepoint_that_is_not_there_is_refused_by_its_field() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        let restore = |path: String| RecordedRestore::Path { path };
        fs::create_dir(base.join("empty")).unwrap();
        for path in ["file:///no/such".to_owned(), "/no/such".to_owned(), "empty".to_owned()] {
            let error = check_snapshot(&restore(path.clone()), base).unwrap_err();
            assert!(error.starts_with("spec.job.initialSavepointPath: ") && error.contains(&path), "{error}");
        }
        fs::write(base.join("empty/_metadata"), b"").unwrap();
        for path in
            [format!("file:{}/empty", base.display()), "empty/_metadata".to_owned(), "s3://b/x".to_owned()]
        {
            assert_eq!(check_snapshot(&restore(path), base), Ok(()));
        }
        assert_eq!(check_snapshot(&RecordedRestore::LastState, base), Ok(()));
    }

    #[test]
    fn more_options_than_scripts_read_are_refused() {
        let entries = |count: usize| (0..count).map(|key| (format!("k{key}"), String::new())).collect();
        assert_eq!(check_number_of_options(&entries(limits::OPTIONS_MAX)), Ok(()));
        let error = check_number_of_options(&entries(10_000)).unwrap_err();
        assert!(error.starts_with("spec.flinkConfiguration: 10000 keys"), "{error}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_refused_by_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, b"").unwrap();
        let entries = BTreeMap::from([
            ("state.checkpoints.dir".to_owned(), format!("file:{}/checkpoints", file.display())),
            ("state.savepoints.dir".to_owned(), "s3://bucket/x".to_owned()),
        ]);
        let error = create_directories(&entries).unwrap_err();
        assert!(error.contains("`state.checkpoints.dir`"), "{error}");
    }

    #[test]
    fn too_little_memory_is_refused_with_numbers() {
        let entries = |process: &str, size: &str| {
            BTreeMap::from([(format!("{process}.memory.process.size"), size.to_owned())])
        };
        assert_eq!(check_memory(&entries("jobmanager", "768 mb")), Ok(()));
        for (process, field) in [("jobmanager", "spec.jobManager"), ("taskmanager", "spec.taskManager")] {
            let error = check_memory(&entries(process, "100 mb")).unwrap_err();
            assert!(error.starts_with(field) && error.contains("100"), "{error}");
        }
    }

    #[test]
    fn python_and_empty_jobs_are_refused() {
        let mut record = crate::record::tests::record();
        assert!(check_kind_of_job(&record).unwrap_err().contains("nothing to run"));
        record.entry_class = Some(PYTHON_ENTRY_CLASS.to_owned());
        assert!(check_kind_of_job(&record).unwrap_err().contains("Python"));
        record.entry_class = Some("Main".to_owned());
        assert_eq!(check_kind_of_job(&record), Ok(()));
    }
}
