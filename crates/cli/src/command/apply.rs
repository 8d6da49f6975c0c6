//! `drey apply`.

use std::path::{Path, PathBuf};

use drey_api::defaults::Defaults;
use serde_json::{Value, json};

use crate::apply::{self, Applied};
use crate::connection::Connection;
use crate::failure::{Failure, Kind};
use crate::judge;
use crate::laptop;
use crate::manifest::{self, Document};
use crate::output::line;

/// Create or change the objects of files
///
/// All files are checked first, as `drey validate` does: when one object has a problem, nothing is
/// applied. In laptop mode a relative `jarURI` is meant from the directory of its file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Files or directories of YAML or JSON; `-` is standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// Let the API server check everything, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// The problems of the files, or the first refusal of the API server.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let documents = read(&args.files, &connection.namespace, connection.state_directory.as_deref())?;
    for (document, applied) in apply_all(&documents, connection, args.dry_run).await? {
        let suffix = if args.dry_run { " (dry run)" } else { "" };
        line(&format!("{} {}{suffix}", document.object_name(), applied.word()))?;
    }
    Ok(())
}

/// Reads and judges files; nothing of them is applied when one has a problem. With a state directory they
/// are judged as laptop mode does, and paths of jars become absolute.
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
    }
    Ok(documents)
}

/// Applies documents in their order.
///
/// # Errors
/// The first refusal; the objects before it are applied.
pub async fn apply_all<'a>(
    documents: &'a [Document],
    connection: &Connection,
    dry_run: bool,
) -> Result<Vec<(&'a Document, Applied)>, Failure> {
    let mut done = Vec::new();
    for document in documents {
        must_agree_on_namespace(document, connection)?;
        if connection.state_directory.is_some() {
            create_namespace(document, connection).await?;
        }
        done.push((document, apply::apply(connection, document, dry_run).await?));
    }
    Ok(done)
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

/// On a laptop nobody else makes namespaces, so one that a file names comes to be.
async fn create_namespace(document: &Document, connection: &Connection) -> Result<(), Failure> {
    let Some(namespace) = document.namespace() else { return Ok(()) };
    let api: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(connection.client.clone());
    let object = format!("namespace/{namespace}");
    let failed = |error: kube::Error| Failure::from_kube(&error, &object);
    if api.get_opt(namespace).await.map_err(failed)?.is_some() {
        return Ok(());
    }
    let wanted = serde_json::from_value(json!({"metadata": {"name": namespace}}))
        .map_err(|error| Failure::new(Kind::Internal, error.to_string()).on(&object))?;
    match api.create(&kube::api::PostParams::default(), &wanted).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
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

/// The file that a `jarURI` names on this machine; nothing when it names another place.
fn local_path(jar: &str, directory: &Path) -> Option<PathBuf> {
    let path = match jar.split_once(':') {
        Some(("file" | "local", rest)) => match rest.strip_prefix("//") {
            // `file://./x` has an empty authority in what people mean, if not in the standard.
            Some(rest) => rest,
            None => rest,
        },
        Some((scheme, _)) if !scheme.contains('/') && scheme.len() > 1 => return None,
        Some(_) | None => jar,
    };
    let joined = directory.join(path);
    Some(std::fs::canonicalize(&joined).unwrap_or(joined))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_meant_from_the_directory_of_the_file() {
        let directory = Path::new("/jobs");
        let expected = [
            ("./a.jar", Some("/jobs/./a.jar")),
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
