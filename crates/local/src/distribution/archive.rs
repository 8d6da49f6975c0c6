//! Flink from the Apache archive: a compressed tar file and its published SHA-512.
//!
//! It refuses to know the cache's layout beyond the directory that it is given.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::download::{self, DownloadError};
use super::{Progress, Report, Unpacked};
use crate::{atomic_file, limits};

/// Downloads, checks and unpacks a release. The result is a directory below `cache` that is not yet in its place.
pub(super) async fn fetch(
    http: &reqwest::Client,
    base: &str,
    release: &str,
    cache: &Path,
    report: &Report,
) -> Result<Unpacked, DownloadError> {
    let name = format!("flink-{release}-bin-scala_2.12.tgz");
    let url = format!("{}/flink-{release}/{name}", base.trim_end_matches('/'));
    let published = download::fetch_text(http, &format!("{url}.sha512"), limits::CHECKSUM_BYTES_MAX).await?;
    let fetching = cache.join(format!(".fetch-{release}"));
    let io_at = |source| DownloadError::Io { path: fetching.clone(), source };
    atomic_file::create_private_directory(&fetching).map_err(io_at)?;
    let archive = fetching.join(&name);
    if !archive.exists() {
        download::fetch_file(http, &url, &archive, limits::ARCHIVE_BYTES_MAX, report.as_ref()).await?;
    }
    report(Progress::Unpacking);
    let (checked_url, checked) = (url.clone(), archive.clone());
    let verdict =
        tokio::task::spawn_blocking(move || download::check_sha512(&checked_url, &checked, &published)).await;
    if let Err(error) = verdict.map_err(std::io::Error::other).map_err(io_at).and_then(|verdict| verdict) {
        // Going on from wrong bytes would only give wrong bytes again.
        atomic_file::remove_directory(&fetching).map_err(io_at)?;
        return Err(error);
    }
    match unpack(&url, &archive, &fetching, release).await {
        Ok(home) => Ok(Unpacked { home, fetching }),
        Err(error) => {
            atomic_file::remove_directory(&fetching).map_err(io_at)?;
            Err(error)
        }
    }
}

async fn unpack(
    url: &str,
    archive: &Path,
    directory: &Path,
    release: &str,
) -> Result<PathBuf, DownloadError> {
    let failed = |reason: String| DownloadError::Unpack { url: url.to_owned(), reason };
    let mut command = tokio::process::Command::new("tar");
    command.arg("-xzf").arg(archive).arg("-C").arg(directory).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| failed(format!("`tar` cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("`tar`: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(directory.join(format!("flink-{release}")))
}
