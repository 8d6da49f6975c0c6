//! Everything that a start needs: a Flink, a Java, the jar and the configuration files.
//!
//! It refuses to start anything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drey_flink::FlinkVersion;
use drey_flink::configuration_file;

use super::Cluster;
use crate::configuration::{self, Surroundings, split_scheme};
use crate::distribution::{Distribution, Progress, examine, fetch_file};
use crate::java::{self, Java};
use crate::record::ClusterRecord;
use crate::services::now_ms;
use crate::{atomic_file, command_line, limits};

/// What is missing, as (reason, message).
type Missing = (String, String);

impl Cluster {
    /// Gets what is missing. After a failure it is tried again, more and more slowly.
    pub(super) async fn prepare(&self) {
        if !self.state().preparing.due(now_ms()) {
            return;
        }
        let begun_at_ms = now_ms();
        let prepared = self.try_prepare().await;
        let mut state = self.state();
        match prepared {
            Ok(record) => {
                state.record = ClusterRecord {
                    deleting: state.record.deleting,
                    processes: std::mem::take(&mut state.record.processes),
                    ..record
                };
                state.prepared = true;
                state.unprepared = None;
                self.write_down(&state.record);
            }
            Err(missing) => {
                tracing::warn!(cluster = %self.target.name, reason = %missing.0, message = %missing.1, "a cluster cannot be prepared");
                state.preparing.exited(begun_at_ms, now_ms(), String::new());
                state.unprepared = Some(missing);
            }
        }
    }

    async fn try_prepare(&self) -> Result<ClusterRecord, Missing> {
        let mut record = self.record();
        let version: FlinkVersion =
            record.flink_version.parse().map_err(|error: drey_flink::version::VersionError| {
                ("InvalidVersion".to_owned(), error.to_string())
            })?;
        let distribution = self.distribution(&record, version).await?;
        let places = self.services.java.clone();
        let found = tokio::task::spawn_blocking(move || java::find(version, &places)).await;
        let java = found.map_err(|error| ("JavaNotFound".to_owned(), error.to_string()))?;
        let java = java.map_err(|error| ("JavaNotFound".to_owned(), error.to_string()))?;
        record.jar = match &record.jar {
            Some(jar) => Some(jar.clone()),
            None => self.download_jar(record.jar_uri.as_deref()).await?,
        };
        if !record.takes_jars() {
            link_jars(&distribution.home.join("lib"), &self.directory.libraries())
                .map_err(|error| ("JarNotAvailable".to_owned(), error.to_string()))?;
        }
        record.flink_home = Some(distribution.home);
        record.java_home = Some(java.home.clone());
        self.write_configuration(&record, version, &java)
            .map_err(|error| ("ConfigurationNotWritten".to_owned(), error.to_string()))?;
        Ok(record)
    }

    /// All processes of an incarnation run the same Flink, also when a newer patch version has come meanwhile.
    async fn distribution(
        &self,
        record: &ClusterRecord,
        version: FlinkVersion,
    ) -> Result<Distribution, Missing> {
        if let Some(same) = record.flink_home.as_deref().and_then(examine) {
            return Ok(same);
        }
        let report: crate::distribution::Report = Arc::new(|progress: Progress| {
            tracing::debug!(?progress, "getting Flink");
        });
        let ensured = self.services.distributions.ensure(version, &report).await;
        ensured.map_err(|error| ("FlinkNotAvailable".to_owned(), error.to_string()))
    }

    async fn download_jar(&self, uri: Option<&str>) -> Result<Option<PathBuf>, Missing> {
        let Some(uri) = uri.filter(|uri| is_remote(uri)) else { return Ok(None) };
        let missing = |message: String| ("JarNotAvailable".to_owned(), format!("spec.job.jarURI: {message}"));
        let directory = self.directory.user_jars();
        atomic_file::create_private_directory(&directory).map_err(|error| missing(error.to_string()))?;
        let target = directory.join(jar_name(uri));
        let fetched =
            fetch_file(self.services.distributions.http(), uri, &target, limits::JAR_BYTES_MAX, &|_| {});
        fetched.await.map_err(|error| missing(error.to_string()))?;
        Ok(Some(target))
    }

    /// Writes everything in `FLINK_CONF_DIR`.
    pub(super) fn write_configuration(
        &self,
        record: &ClusterRecord,
        version: FlinkVersion,
        java: &Java,
    ) -> io::Result<()> {
        let around = Surroundings {
            layout: &self.services.layout,
            directory: &self.directory,
            kubeconfig: &self.services.kubeconfig,
            version,
            java_major: java.major,
        };
        let entries = configuration::entries(record, &around);
        for (_, path) in configuration::local_directories(&entries) {
            atomic_file::create_private_directory(&path)?;
        }
        let format = version.configuration_format();
        let rendered = configuration_file::render(&entries, format).map_err(io::Error::other)?;
        for loss in rendered.losses {
            tracing::warn!(cluster = %self.target.name, %loss, "flink-conf.yaml cannot hold a value");
        }
        let directory = self.directory.configuration();
        atomic_file::replace(
            &directory.join("log4j-console.properties"),
            command_line::log_configuration().as_bytes(),
        )?;
        for (name, text) in record.log_configuration.iter().filter(|(name, _)| is_file_name(name)) {
            atomic_file::replace(&directory.join(name), text.as_bytes())?;
        }
        atomic_file::replace(&directory.join(format.file_name()), rendered.text.as_bytes())
    }
}

/// Makes a directory with links to the jars of another, all at once. One that is there is in use.
fn link_jars(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let beside = to.with_extension("new");
    atomic_file::remove_directory(&beside)?;
    atomic_file::create_private_directory(&beside)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path(), beside.join(entry.file_name()))?;
    }
    std::fs::rename(beside, to)
}

/// Whether a jar has to be downloaded.
pub(crate) fn is_remote(uri: &str) -> bool {
    split_scheme(uri)
        .is_some_and(|(scheme, _)| matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https"))
}

/// Names in `spec.logConfiguration` are the user's: none may lead out of the directory.
fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|own| own == name)
}

fn jar_name(uri: &str) -> String {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    match plain.trim_start_matches('.') {
        "" => "job.jar".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_stay_in_their_directory() {
        for (uri, name) in [
            ("https://h/a/job-1.0.jar?token=x", "job-1.0.jar"),
            ("https://h/", "job.jar"),
            ("https://h/..", "job.jar"),
            ("https://h/a%2f..%2fb.jar", "a2f..2fb.jar"),
        ] {
            assert_eq!(jar_name(uri), name, "{uri}");
        }
        assert!(is_file_name("log4j-console.properties"));
        for bad in ["../x", "/etc/passwd", "a/b", "..", ""] {
            assert!(!is_file_name(bad), "{bad}");
        }
    }

    #[test]
    fn only_http_is_remote() {
        for (uri, remote) in [
            ("https://h/a.jar", true),
            ("HTTP://h/a.jar", true),
            ("local:///a.jar", false),
            ("/a.jar", false),
        ] {
            assert_eq!(is_remote(uri), remote, "{uri}");
        }
    }
}
