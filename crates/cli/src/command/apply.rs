//! `drey apply`.

use std::path::{Path, PathBuf};

use drey_api::defaults::Defaults;
use drey_api::options;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::files::Files;
use crate::apply::{self, Applied, Change};
use crate::connection::Connection;
use crate::failure::{Failure, Kind};
use crate::judge;
use crate::laptop;
use crate::local_path::path_of;
use crate::manifest::{self, Document};
use crate::output::{line, say};

/// Create or change the objects of files
///
/// All files are checked first, as `drey validate` does: when one object has a problem, nothing is
/// applied. In laptop mode a relative `jarURI` or `initialSavepointPath`, and relative directories of
/// checkpoints, savepoints and high availability, are meant from the directory of their file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which files.
    #[command(flatten)]
    pub files: Files,
    /// Let the API server check everything, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// The problems of the files, or the first refusal of the API server.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let documents = read(&args.files.all(), &connection.namespace, connection.state_directory.as_deref())?;
    apply_all(&documents, connection, args.dry_run).await
}

/// Reads and judges files; nothing of them is applied when one has a problem. With a state directory they
/// are judged as laptop mode does, and relative paths become absolute.
///
/// # Errors
/// Every problem of all files.
pub fn read(
    files: &[PathBuf],
    namespace: &str,
    state_directory: Option<&Path>,
) -> Result<Vec<Document>, Failure> {
    let mut documents = manifest::read_files(files)?;
    if documents.is_empty() {
        return Err(Failure::new(Kind::Invalid, "there is no object in the files"));
    }
    let defaults = state_directory.map_or_else(Defaults::default, laptop::defaults);
    judge::refuse_problems(&documents, namespace, &defaults)?;
    if state_directory.is_some() {
        documents.iter_mut().try_for_each(resolve_jar)?;
        documents.iter_mut().for_each(resolve_state);
    }
    Ok(documents)
}

/// Applies documents in their order, and prints what became of each. Of several, none is applied when the API
/// server refuses one.
///
/// # Errors
/// The first refusal. What was printed before is applied: only a change meanwhile, or a file that makes the
/// namespaces and kinds of its own objects, can bring that about.
pub async fn apply_all(
    documents: &[Document],
    connection: &Connection,
    dry_run: bool,
) -> Result<(), Failure> {
    documents.iter().try_for_each(|document| must_agree_on_namespace(document, connection))?;
    let makes_places =
        |document: &Document| matches!(document.kind(), Some("Namespace" | "CustomResourceDefinition"));
    if !dry_run && documents.len() > 1 && !documents.iter().any(makes_places) {
        for document in documents {
            let checked = apply_one(document, connection, true).await;
            checked.map_err(|failure| failure.detail("nothing was applied"))?;
        }
    }
    let suffix = if dry_run { " (dry run)" } else { "" };
    for document in documents {
        let change = apply_one(document, connection, dry_run).await?;
        line(&format!("{} {}{suffix}", document.object_name(), change.applied.word()))?;
        if dry_run {
            change.told().iter().for_each(|text| say(&format!("  {text}")));
        }
    }
    Ok(())
}

/// What applying each document would change; nothing is kept.
///
/// # Errors
/// The first refusal of the API server.
pub async fn plan_all<'a>(
    documents: &'a [Document],
    connection: &Connection,
) -> Result<Vec<(&'a Document, Change)>, Failure> {
    documents.iter().try_for_each(|document| must_agree_on_namespace(document, connection))?;
    let mut plan = Vec::new();
    for document in documents {
        plan.push((document, apply_one(document, connection, true).await?));
    }
    Ok(plan)
}

async fn apply_one(document: &Document, connection: &Connection, dry_run: bool) -> Result<Change, Failure> {
    let is_laptop = connection.state_directory.is_some();
    if is_laptop {
        refuse_missing_savepoint(document, connection).await?;
    }
    if is_laptop && !has_namespace(document, connection, dry_run).await? {
        // A dry run has made no namespace in which the object could be tried.
        let after = document.value.clone();
        return Ok(Change { applied: Applied::Created, before: None, after });
    }
    apply::apply(connection, document, dry_run).await
}

fn must_agree_on_namespace(document: &Document, connection: &Connection) -> Result<(), Failure> {
    match document.namespace() {
        Some(namespace) if connection.namespace_is_explicit && namespace != connection.namespace => {
            let message = format!(
                "the object is for namespace `{namespace}`, but `-n {}` was given",
                connection.namespace
            );
            Err(Failure::new(Kind::Usage, message).on(document.place_of("metadata.namespace")))
        }
        Some(_) | None => Ok(()),
    }
}

/// On a laptop nobody else makes namespaces, so one that a file names comes to be, but not in a dry run.
async fn has_namespace(document: &Document, connection: &Connection, dry_run: bool) -> Result<bool, Failure> {
    let Some(namespace) = document.namespace() else { return Ok(true) };
    let api: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(connection.client.clone());
    let object = format!("namespace/{namespace}");
    let failed = |error: kube::Error| Failure::from_kube(&error, &object);
    if api.get_opt(namespace).await.map_err(failed)?.is_some() {
        return Ok(true);
    }
    let wanted = serde_json::from_value(json!({"metadata": {"name": namespace}}))
        .map_err(|error| Failure::new(Kind::Internal, error.to_string()).on(&object))?;
    match api.create(&PostParams { dry_run, ..PostParams::default() }, &wanted).await {
        Ok(_) => Ok(!dry_run),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
        Err(error) => Err(failed(error)),
    }
}

/// Makes a relative `jarURI` absolute, and refuses a local one that does not exist: Flink would say so
/// much later.
fn resolve_jar(document: &mut Document) -> Result<(), Failure> {
    const FIELD: &str = "spec.job.jarURI";
    let Some(jar) = document.value.pointer("/spec/job/jarURI").and_then(Value::as_str) else { return Ok(()) };
    let Some(path) = local_path(jar, &document.directory()) else { return Ok(()) };
    if document.kind() == Some("FlinkDeployment") && !path.is_file() {
        return Err(Failure::new(Kind::NotFound, format!("{FIELD}: there is no file {}", path.display()))
            .on(document.place_of(FIELD))
            .hint(
                "build the jar, or correct the path; a relative one is meant from the directory of its file",
            ));
    }
    let absolute = json!(format!("file://{}", path.display()));
    if let Some(field) = document.value.pointer_mut("/spec/job/jarURI") {
        *field = absolute;
    }
    Ok(())
}

/// Refuses a first start from a savepoint that is not there. Later ones have state of their own, and the savepoint
/// may be gone for good reasons.
async fn refuse_missing_savepoint(document: &Document, connection: &Connection) -> Result<(), Failure> {
    const FIELD: &str = "spec.job.initialSavepointPath";
    let uri = document.value.pointer("/spec/job/initialSavepointPath").and_then(Value::as_str);
    let Some(path) = uri.and_then(|uri| local_path(uri, &document.directory())) else { return Ok(()) };
    if path.exists() || apply::exists(connection, document).await? {
        return Ok(());
    }
    let message = format!("{FIELD}: there is no savepoint {}", path.display());
    Err(Failure::new(Kind::NotFound, message)
        .on(document.place_of(FIELD))
        .hint("correct the path; a relative one is meant from the directory of its file"))
}

/// Makes relative paths of state absolute: for each process of Flink they would begin somewhere else.
fn resolve_state(document: &mut Document) {
    let directory = document.directory();
    if let Some(path) = document.value.pointer_mut("/spec/job/initialSavepointPath") {
        make_absolute(path, &directory);
    }
    if let Some(configuration) = document.value.pointer_mut("/spec/flinkConfiguration") {
        resolve_directories("", configuration, &directory);
    }
}

/// The configuration may be nested: the key of a value is made of all names above it.
fn resolve_directories(key: &str, value: &mut Value, directory: &Path) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                resolve_directories(&key, value, directory);
            }
        }
        Value::String(_) if options::directory_keys().any(|known| known == key) => {
            make_absolute(value, directory);
        }
        _ => {}
    }
}

fn make_absolute(field: &mut Value, directory: &Path) {
    let text = field.as_str().map(str::trim).unwrap_or_default();
    let is_relative = path_of(text).is_some_and(|path| !path.is_empty() && !path.starts_with('/'));
    if is_relative && let Some(path) = local_path(text, directory) {
        *field = json!(format!("file://{}", path.display()));
    }
}

/// The file or directory that a URI or path names on this machine; nothing when it names another place.
fn local_path(uri: &str, directory: &Path) -> Option<PathBuf> {
    let joined: PathBuf = directory.join(path_of(uri)?).components().collect();
    Some(std::fs::canonicalize(&joined).unwrap_or(joined))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_meant_from_the_directory_of_the_file() {
        let directory = Path::new("/jobs");
        let expected = [
            ("./a.jar", Some("/jobs/a.jar")),
            ("a.jar", Some("/jobs/a.jar")),
            ("file:a.jar", Some("/jobs/a.jar")),
            ("file:///x/a.jar", Some("/x/a.jar")),
            ("local:///x/a.jar", Some("/x/a.jar")),
            ("file:/x/a.jar", Some("/x/a.jar")),
            ("https://host/a.jar", None),
            ("s3://bucket/a.jar", None),
        ];
        for (jar, path) in expected {
            assert_eq!(local_path(jar, directory), path.map(PathBuf::from), "{jar}");
        }
    }

    #[test]
    fn relative_paths_of_state_become_absolute_and_no_others_change() {
        let text = "apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata: {name: a}\nspec:\n  \
                    flinkConfiguration:\n    state.checkpoints.dir: ./cp\n    state: {savepoints: {dir: 'file:sp'}}\n    \
                    high-availability.storageDir: s3://bucket/ha\n    execution.checkpointing.dir: /x/../y\n    \
                    web.upload.dir: up\n  job:\n    initialSavepointPath: old/savepoint-1\n";
        let mut document = manifest::parse(Path::new("/jobs/job.yaml"), text).expect("valid").remove(0);
        resolve_state(&mut document);
        let expected = json!({
            "flinkConfiguration": {
                "state.checkpoints.dir": "file:///jobs/cp",
                "state": {"savepoints": {"dir": "file:///jobs/sp"}},
                "high-availability.storageDir": "s3://bucket/ha",
                "execution.checkpointing.dir": "/x/../y",
                "web.upload.dir": "up",
            },
            "job": {"initialSavepointPath": "file:///jobs/old/savepoint-1"},
        });
        assert_eq!(document.value["spec"], expected);
    }

    #[test]
    fn a_jar_that_does_not_exist_is_named_with_its_line() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("job.yaml");
        let text = "apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata: {name: a}\n\
                    spec:\n  job:\n    jarURI: ./a.jar\n";
        let mut document = manifest::parse(&file, text).expect("valid").remove(0);
        let failure = resolve_jar(&mut document).expect_err("absent");
        assert!(failure.to_string().contains("job.yaml:6"), "{failure}");
        std::fs::write(directory.path().join("a.jar"), "").expect("written");
        resolve_jar(&mut document).expect("present");
        let jar = document.value.pointer("/spec/job/jarURI").and_then(Value::as_str).expect("text");
        assert!(jar.starts_with("file:///") && jar.ends_with("/a.jar"), "{jar}");
    }
}
