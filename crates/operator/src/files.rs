//! The files of the operator's configuration, as the Java operator finds them: `flink-conf.yaml`, or else
//! `config.yaml`, in the directory of the configuration, and the same in the directory of overrides, whose keys count
//! first. Refuses to know any key.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use drey_api::operator::keys;
use drey_flink::configuration_file::{ConfigurationFileError, parse};
use drey_flink::version::ConfigurationFormat;

/// Where the Java operator's image has its configuration.
pub const DEFAULT_DIRECTORY: &str = "/opt/flink/conf";

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Directory of the configuration.
    pub directory: PathBuf,
    /// It was asked for, so that it has to hold a file.
    pub is_explicit: bool,
    /// Directory of overrides (`CONF_OVERRIDE_DIR`); it need not hold a file.
    pub overrides: Option<PathBuf>,
    /// `WATCH_NAMESPACES`, which counts before the key.
    pub watch_namespaces: Option<String>,
}

/// Files of logging for clusters whose resource brings none; `None` for those that are not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// `log4j-console.properties`.
    pub log4j_console: Option<String>,
    /// `logback-console.xml`.
    pub logback_console: Option<String>,
}

/// Why the configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is no file.
    #[error("{}: no `flink-conf.yaml` and no `config.yaml` in it", directory.display())]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not a configuration.
    #[error("{}: {error}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ConfigurationFileError,
    },
}

impl Sources {
    /// The sources that the environment names; `directory` counts before it.
    #[must_use]
    pub fn of_environment(directory: Option<PathBuf>) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let named = directory.or_else(|| variable("FLINK_CONF_DIR").map(PathBuf::from));
        Self {
            is_explicit: named.is_some(),
            directory: named.unwrap_or_else(|| PathBuf::from(DEFAULT_DIRECTORY)),
            overrides: variable("CONF_OVERRIDE_DIR").map(PathBuf::from),
            watch_namespaces: variable("WATCH_NAMESPACES").and_then(|value| value.into_string().ok()),
        }
    }

    /// Reads everything into one flat configuration.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub fn read(&self) -> Result<BTreeMap<String, String>, FilesError> {
        let mut flat = match read_directory(&self.directory)? {
            Some(flat) => flat,
            None if self.is_explicit => {
                return Err(FilesError::Missing { directory: self.directory.clone() });
            }
            None => BTreeMap::new(),
        };
        if let Some(overrides) = &self.overrides {
            flat.extend(read_directory(overrides)?.unwrap_or_default());
        }
        if let Some(namespaces) = &self.watch_namespaces {
            flat.insert(keys::WATCHED_NAMESPACES.name().to_owned(), namespaces.clone());
        }
        Ok(flat)
    }

    /// Reads the files of logging that lie beside the configuration; an empty one counts as not there.
    ///
    /// # Errors
    /// One that is there cannot be read.
    pub fn logging(&self) -> Result<Logging, FilesError> {
        Ok(Logging {
            log4j_console: self.text("log4j-console.properties")?,
            logback_console: self.text("logback-console.xml")?,
        })
    }

    fn text(&self, name: &str) -> Result<Option<String>, FilesError> {
        for directory in self.overrides.iter().chain([&self.directory]) {
            if let Some(text) = read_file(&directory.join(name))?.filter(|text| !text.trim().is_empty()) {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

fn read_file(path: &Path) -> Result<Option<String>, FilesError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(FilesError::Io { path: path.to_owned(), error }),
    }
}

/// As Flink 1.20, which the Java operator is built with, the flat file counts where both exist.
fn read_directory(directory: &Path) -> Result<Option<BTreeMap<String, String>>, FilesError> {
    let files =
        [("flink-conf.yaml", ConfigurationFormat::Flat), ("config.yaml", ConfigurationFormat::Nested)];
    for (name, format) in files {
        let path = directory.join(name);
        let Some(text) = read_file(&path)? else { continue };
        return match parse(&text, format) {
            Ok(flat) => Ok(Some(flat)),
            Err(error) => Err(FilesError::Content { path, error }),
        };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(root: &Path) -> Sources {
        Sources {
            directory: root.join("conf"),
            is_explicit: true,
            overrides: Some(root.join("overrides")),
            watch_namespaces: None,
        }
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        std::fs::write(path, text).expect("written");
    }

    #[test]
    fn files_of_logging_lie_beside_the_configuration() {
        let root = tempfile::tempdir().expect("temporary directory");
        assert_eq!(sources(root.path()).logging().expect("read"), Logging::default());
        write(root.path(), "conf/log4j-console.properties", "rootLogger.level = INFO\n");
        write(root.path(), "conf/logback-console.xml", "\n");
        let read = sources(root.path()).logging().expect("read");
        assert_eq!(read.log4j_console.as_deref(), Some("rootLogger.level = INFO\n"));
        assert_eq!(read.logback_console, None, "an empty one says nothing");
        write(root.path(), "overrides/log4j-console.properties", "rootLogger.level = WARN\n");
        let read = sources(root.path()).logging().expect("read");
        assert_eq!(read.log4j_console.as_deref(), Some("rootLogger.level = WARN\n"));
    }

    #[test]
    fn nested_and_flat_files_say_the_same() {
        let root = tempfile::tempdir().expect("temporary directory");
        write(root.path(), "conf/config.yaml", "kubernetes:\n  operator:\n    reconcile.interval: 15 s\n");
        let nested = sources(root.path()).read().expect("read");
        assert_eq!(nested["kubernetes.operator.reconcile.interval"], "15 s");
        write(root.path(), "conf/flink-conf.yaml", "kubernetes.operator.reconcile.interval: 20 s # why\n");
        let flat = sources(root.path()).read().expect("read");
        assert_eq!(flat["kubernetes.operator.reconcile.interval"], "20 s", "the flat file counts");
    }

    #[test]
    fn overrides_and_the_environment_count_first() {
        let root = tempfile::tempdir().expect("temporary directory");
        write(root.path(), "conf/flink-conf.yaml", "a: 1\nb: 2\nkubernetes.operator.watched.namespaces: x\n");
        write(root.path(), "overrides/config.yaml", "b: 3\n");
        let mut sources = sources(root.path());
        sources.watch_namespaces = Some("y,z".to_owned());
        let flat = sources.read().expect("read");
        assert_eq!((flat["a"].as_str(), flat["b"].as_str()), ("1", "3"));
        assert_eq!(flat["kubernetes.operator.watched.namespaces"], "y,z");
    }

    #[test]
    fn a_directory_that_was_asked_for_has_to_hold_a_file() {
        let root = tempfile::tempdir().expect("temporary directory");
        let mut sources = sources(root.path());
        let error = sources.read().expect_err("missing").to_string();
        assert!(error.contains("no `flink-conf.yaml` and no `config.yaml`"), "{error}");
        sources.is_explicit = false;
        assert!(sources.read().expect("nothing").is_empty());
    }

    #[test]
    fn what_is_no_configuration_is_named() {
        let root = tempfile::tempdir().expect("temporary directory");
        write(root.path(), "conf/config.yaml", "a: [\n");
        let error = sources(root.path()).read().expect_err("not YAML").to_string();
        assert!(error.contains("conf/config.yaml: config.yaml is not a tree"), "{error}");
    }
}
