//! A Flink distribution for each Flink version: `FLINK_HOME` if it is of that version, else the cache, else the
//! Apache archive, else the Python packages of Flink by the `pip` client.
//!
//! ```text
//!   <cache>/flink/1.20.3/bin/flink        complete distributions, each named by its version
//!   <cache>/flink/.lock-1.20              held by the drey that fetches this minor version
//!   <cache>/flink/.fetch-…                what is being fetched; renamed when it is complete and checked
//! ```
//! It refuses to know what is run from a distribution.

mod archive;
mod download;
mod packages;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drey_flink::FlinkVersion;
use rustix::fs::{FlockOperation, flock};

use crate::atomic_file;
pub use download::DownloadError;
pub(crate) use download::fetch_file;

/// The newest patch of each minor version that drey knows of.
const NEWEST_PATCHES: [(FlinkVersion, u16); 10] = [
    (FlinkVersion::new(1, 15), 4),
    (FlinkVersion::new(1, 16), 3),
    (FlinkVersion::new(1, 17), 2),
    (FlinkVersion::new(1, 18), 1),
    (FlinkVersion::new(1, 19), 3),
    (FlinkVersion::new(1, 20), 5),
    (FlinkVersion::new(2, 0), 2),
    (FlinkVersion::new(2, 1), 3),
    (FlinkVersion::new(2, 2), 1),
    (FlinkVersion::new(2, 3), 0),
];

/// A Flink on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// `FLINK_HOME`.
    pub home: PathBuf,
    /// Its version with the patch number, such as `1.20.3`.
    pub version: String,
}

/// Where distributions come from.
#[derive(Clone, Debug)]
pub struct DistributionConfig {
    /// Directory that keeps them between runs and is shared by all state directories.
    pub cache: PathBuf,
    /// `FLINK_HOME`, used for the version that it has.
    pub flink_home: Option<PathBuf>,
    /// Where the archive is: `<base>/flink-1.20.3/flink-1.20.3-bin-scala_2.12.tgz` and, beside it, `….sha512`.
    pub archive: String,
    /// The Python whose `pip` fetches the packages; `None` not to try.
    pub python: Option<PathBuf>,
    /// Exact versions to use, by minor version: `DREY_FLINK_VERSION_1_20=1.20.2`.
    pub pinned: BTreeMap<FlinkVersion, String>,
}

impl DistributionConfig {
    /// The configuration that the environment gives: `FLINK_HOME`, `XDG_CACHE_HOME`, `DREY_CACHE`,
    /// `DREY_FLINK_ARCHIVE` and `DREY_FLINK_VERSION_<major>_<minor>`.
    pub fn of_environment() -> DistributionConfig {
        let directory =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = directory("DREY_CACHE").unwrap_or_else(|| {
            let home = directory("HOME").unwrap_or_else(|| PathBuf::from("."));
            directory("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")).join("drey")
        });
        let pinned = std::env::vars().filter_map(|(name, value)| {
            let minor = name.strip_prefix("DREY_FLINK_VERSION_")?.replace('_', ".");
            Some((minor.parse().ok()?, value))
        });
        DistributionConfig {
            cache,
            flink_home: directory("FLINK_HOME"),
            archive: std::env::var("DREY_FLINK_ARCHIVE")
                .unwrap_or_else(|_| "https://archive.apache.org/dist/flink".to_owned()),
            python: Some(PathBuf::from("python3")),
            pinned: pinned.collect(),
        }
    }
}

/// What is being done to get a distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another drey fetches this version; it is waited for.
    Waiting,
    /// Bytes come from the archive.
    Downloading {
        /// So many are here.
        done_bytes: u64,
        /// Of so many, if the server says.
        total_bytes: Option<u64>,
    },
    /// The archive is unpacked.
    Unpacking,
    /// The `pip` client fetches this package.
    Package(String),
}

/// Receives progress.
pub type Report = Arc<dyn Fn(Progress) + Send + Sync>;

/// A distribution that is not in its place yet.
struct Unpacked {
    home: PathBuf,
    /// The directory that it was fetched into, to be removed with all that is left in it.
    fetching: PathBuf,
}

/// Why there is no distribution.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    /// drey does not know a patch version.
    #[error(
        "drey knows no release of Flink {0}: name one by the environment variable DREY_FLINK_VERSION_{major}_{minor}, or point FLINK_HOME to one",
        major = .0.major,
        minor = .0.minor
    )]
    NoRelease(FlinkVersion),
    /// A pinned version is of another minor version.
    #[error("DREY_FLINK_VERSION_{major}_{minor}={pinned} is not a release of Flink {version}", major = .version.major, minor = .version.minor)]
    Pinned {
        /// The minor version.
        version: FlinkVersion,
        /// What was given.
        pinned: String,
    },
    /// What was downloaded is not what its checksum says.
    #[error("{0}: nothing was installed; try again, or point FLINK_HOME to a distribution")]
    Corrupt(#[source] DownloadError),
    /// No source has it.
    #[error(
        "Flink {version} could not be fetched; check the network, or point FLINK_HOME to a distribution. Archive: {archive}. Python packages: {packages}"
    )]
    NotFetched {
        /// The version.
        version: String,
        /// What the archive said.
        archive: DownloadError,
        /// What the pip client said.
        packages: String,
    },
    /// Flink's scripts break on such a path.
    #[error(
        "`{0}` contains white space, which Flink's scripts cannot stand: use another directory (DREY_CACHE)"
    )]
    WhiteSpace(PathBuf),
    /// Reading or writing the cache failed.
    #[error("`{path}`: {source}; make room there, or set DREY_CACHE to a directory that can be written to")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Gets distributions.
#[derive(Clone, Debug)]
pub struct Distributions {
    config: DistributionConfig,
    http: reqwest::Client,
}

impl Distributions {
    /// Distributions from these places. The client is the one of the process: a second one costs memory.
    pub fn new(config: DistributionConfig, http: reqwest::Client) -> Distributions {
        Distributions { config, http }
    }

    /// The HTTP client.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// What is on this machine already. Without a pinned version, the newest patch in the cache will do.
    pub fn find(&self, version: FlinkVersion) -> Option<Distribution> {
        let pinned = self.config.pinned.get(&version);
        let fits = |distribution: &Distribution| match pinned {
            Some(pinned) => distribution.version == *pinned,
            None => distribution.version.parse() == Ok(version),
        };
        let given = self.config.flink_home.as_deref().and_then(examine).filter(|found| fits(found));
        given.or_else(|| {
            let cached = fs::read_dir(self.flink_cache()).ok()?;
            let complete =
                cached.flatten().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
            complete
                .filter_map(|entry| examine(&entry.path()))
                .filter(fits)
                .max_by_key(|found| patch_number(&found.version))
        })
    }

    /// What is on this machine already, or else fetched now.
    ///
    /// # Errors
    /// See [`DistributionError`]; after one, nothing is half-installed.
    pub async fn ensure(
        &self,
        version: FlinkVersion,
        report: &Report,
    ) -> Result<Distribution, DistributionError> {
        let found = match self.find(version) {
            Some(found) => found,
            None => self.fetch_locked(version, report).await?,
        };
        if found.home.to_string_lossy().contains(char::is_whitespace) {
            return Err(DistributionError::WhiteSpace(found.home));
        }
        Ok(found)
    }

    async fn fetch_locked(
        &self,
        version: FlinkVersion,
        report: &Report,
    ) -> Result<Distribution, DistributionError> {
        let release = self.release(version)?;
        let cache = self.flink_cache();
        atomic_file::create_private_directory(&cache).map_err(|source| io_at(&cache, source))?;
        let lock = wait_for_lock(cache.join(format!(".lock-{version}")), report).await?;
        // Another drey may have fetched it meanwhile.
        let fetched = match self.find(version) {
            Some(found) => Ok(found),
            None => self.fetch(&release, report).await,
        };
        drop(lock);
        fetched
    }

    async fn fetch(&self, release: &str, report: &Report) -> Result<Distribution, DistributionError> {
        let cache = self.flink_cache();
        let archive = archive::fetch(&self.http, &self.config.archive, release, &cache, report).await;
        let unpacked = match archive {
            Ok(unpacked) => unpacked,
            // Whoever serves wrong bytes is not asked in another way.
            Err(
                error @ (DownloadError::Checksum { .. }
                | DownloadError::NoChecksum { .. }
                | DownloadError::Unpack { .. }),
            ) => return Err(DistributionError::Corrupt(error)),
            // Another source would be written to the same place.
            Err(DownloadError::Io { path, source }) => return Err(io_at(&path, source)),
            Err(archive) => {
                tracing::info!(%archive, "the archive does not have it, trying the Python packages");
                packages::fetch(self.config.python.as_deref(), release, &cache, report).await.map_err(
                    |packages| DistributionError::NotFetched {
                        version: release.to_owned(),
                        archive,
                        packages: packages.to_string(),
                    },
                )?
            }
        };
        let installed = install(&unpacked.home, &cache.join(release));
        atomic_file::remove_directory(&unpacked.fetching)
            .map_err(|source| io_at(&unpacked.fetching, source))?;
        installed
    }

    fn release(&self, version: FlinkVersion) -> Result<String, DistributionError> {
        if let Some(pinned) = self.config.pinned.get(&version) {
            let plain =
                pinned.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
            return match pinned.parse::<FlinkVersion>() {
                Ok(minor) if minor == version && plain => Ok(pinned.clone()),
                _ => Err(DistributionError::Pinned { version, pinned: pinned.clone() }),
            };
        }
        let known = NEWEST_PATCHES.iter().find(|(minor, _)| *minor == version);
        known.map(|(minor, patch)| format!("{minor}.{patch}")).ok_or(DistributionError::NoRelease(version))
    }

    fn flink_cache(&self) -> PathBuf {
        self.config.cache.join("flink")
    }
}

/// The distribution in a directory; `None` when it is not a complete one.
pub(crate) fn examine(home: &Path) -> Option<Distribution> {
    let scripts = ["bin/standalone-job.sh", "bin/taskmanager.sh", "bin/flink-console.sh", "bin/config.sh"];
    if !scripts.iter().all(|script| home.join(script).is_file()) {
        return None;
    }
    let names = fs::read_dir(home.join("lib")).ok()?.flatten().map(|entry| entry.file_name());
    let version = names.filter_map(|name| {
        let name = name.to_string_lossy();
        // Before Flink 1.15 the name had the Scala version before the Flink version.
        name.strip_prefix("flink-dist-")?.strip_suffix(".jar").map(str::to_owned)
    });
    Some(Distribution { home: home.to_owned(), version: version.max()? })
}

/// Checks what was unpacked and puts it in its place, at once.
fn install(unpacked: &Path, target: &Path) -> Result<Distribution, DistributionError> {
    let broken = |what: &str| io_at(unpacked, io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    examine(unpacked)
        .ok_or_else(|| broken("not a Flink distribution: scripts or lib/flink-dist-*.jar are missing"))?;
    // What lies there is not complete, or it would have been found.
    atomic_file::remove_directory(target).map_err(|source| io_at(target, source))?;
    fs::rename(unpacked, target).map_err(|source| io_at(target, source))?;
    if let Some(parent) = target.parent() {
        atomic_file::sync_directory(parent).map_err(|source| io_at(parent, source))?;
    }
    examine(target).ok_or_else(|| broken("it disappeared while it was installed"))
}

fn patch_number(version: &str) -> u32 {
    version.split('.').nth(2).and_then(|patch| patch.parse().ok()).unwrap_or(0)
}

async fn wait_for_lock(path: PathBuf, report: &Report) -> Result<File, DistributionError> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|source| io_at(&path, source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => report(Progress::Waiting),
        Err(error) => return Err(io_at(&path, error.into())),
    }
    let waited = tokio::task::spawn_blocking(move || {
        flock(&file, FlockOperation::LockExclusive).map_err(io::Error::from).map(|()| file)
    });
    let locked = waited.await.map_err(io::Error::other).and_then(|locked| locked);
    locked.map_err(|source| io_at(&path, source))
}

fn io_at(path: &Path, source: io::Error) -> DistributionError {
    DistributionError::Io { path: path.to_owned(), source }
}
