//! Files over HTTP: bounded in size and time, going on where an earlier attempt stopped, checked before use.
//!
//! It refuses to know what is in them.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, RANGE};
use sha2::{Digest, Sha512};

use super::Progress;
use crate::limits;

/// Why a file was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server could not be reached, or the connection broke.
    #[error("{url}: {reason}; what has come so far is kept, so that another attempt goes on from there")]
    Broken {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The server does not have it.
    #[error("{url}: the server answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// It is longer than what is accepted.
    #[error("{url}: longer than {bytes_max} bytes")]
    TooLong {
        /// The address.
        url: String,
        /// The bound.
        bytes_max: u64,
    },
    /// Its bytes are not those that its publisher signed for.
    #[error("{url}: its SHA-512 is {found}, but {expected} is published for it")]
    Checksum {
        /// The address.
        url: String,
        /// The checksum of what came.
        found: String,
        /// The checksum that is published.
        expected: String,
    },
    /// What is published as its checksum is none.
    #[error("{url}.sha512: not a SHA-512 but `{found}`; does a proxy or a login page answer instead?")]
    NoChecksum {
        /// The address of the file that it is for.
        url: String,
        /// Its beginning.
        found: String,
    },
    /// It could not be unpacked.
    #[error("{url}: {reason}")]
    Unpack {
        /// The address.
        url: String,
        /// What `tar` said.
        reason: String,
    },
    /// Writing failed.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Downloads to `target`, which appears when it is complete. Beside it `….part` grows, and stays after a failure.
///
/// # Errors
/// See [`DownloadError`].
pub(crate) async fn fetch_file(
    http: &reqwest::Client,
    url: &str,
    target: &Path,
    bytes_max: u64,
    report: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), DownloadError> {
    let io_at = |path: &Path, source| DownloadError::Io { path: path.to_owned(), source };
    let part = part_of(target);
    let had = fs::metadata(&part).map_or(0, |metadata| metadata.len());
    let response = request(http, url, had).await?;
    let resumed = response.status() == StatusCode::PARTIAL_CONTENT && begins_at(&response, had);
    let mut done_bytes = if resumed { had } else { 0 };
    let total_bytes = response.content_length().map(|rest| rest + done_bytes);
    let opened = OpenOptions::new().create(true).write(true).append(resumed).truncate(!resumed).open(&part);
    let mut file = opened.map_err(|source| io_at(&part, source))?;
    let mut body = Body { response, url, deadline: Instant::now() + limits::DOWNLOAD_DEADLINE };
    while let Some(chunk) = body.next().await? {
        done_bytes += chunk.len() as u64;
        if done_bytes > bytes_max {
            fs::remove_file(&part).map_err(|source| io_at(&part, source))?;
            return Err(DownloadError::TooLong { url: url.to_owned(), bytes_max });
        }
        file.write_all(&chunk).map_err(|source| io_at(&part, source))?;
        report(Progress::Downloading { done_bytes, total_bytes });
    }
    if total_bytes.is_some_and(|total| total != done_bytes) {
        let reason = format!("cut off after {done_bytes} bytes");
        return Err(DownloadError::Broken { url: url.to_owned(), reason });
    }
    file.sync_all().map_err(|source| io_at(&part, source))?;
    fs::rename(&part, target).map_err(|source| io_at(target, source))
}

/// The short text at an address.
pub(super) async fn fetch_text(
    http: &reqwest::Client,
    url: &str,
    bytes_max: u64,
) -> Result<String, DownloadError> {
    let response = request(http, url, 0).await?;
    let mut body = Body { response, url, deadline: Instant::now() + limits::DOWNLOAD_STALL };
    let mut text = Vec::new();
    while let Some(chunk) = body.next().await? {
        text.extend_from_slice(&chunk);
        if text.len() as u64 > bytes_max {
            return Err(DownloadError::TooLong { url: url.to_owned(), bytes_max });
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Compares a file with the first word of a checksum file.
pub(super) fn check_sha512(url: &str, file: &Path, published: &str) -> Result<(), DownloadError> {
    let expected = published.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if expected.len() != 128 || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let found = published.trim().chars().take(40).collect();
        return Err(DownloadError::NoChecksum { url: url.to_owned(), found });
    }
    let found = sha512(file).map_err(|source| DownloadError::Io { path: file.to_owned(), source })?;
    if found == expected {
        return Ok(());
    }
    Err(DownloadError::Checksum { url: url.to_owned(), found, expected })
}

fn part_of(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    target.with_file_name(name)
}

async fn request(
    http: &reqwest::Client,
    url: &str,
    from_byte: u64,
) -> Result<reqwest::Response, DownloadError> {
    let mut request = http.get(url);
    if from_byte > 0 {
        request = request.header(RANGE, format!("bytes={from_byte}-"));
    }
    let answered = tokio::time::timeout(limits::DOWNLOAD_ANSWER_DEADLINE, request.send()).await;
    let response = answered
        .map_err(|_| broken(url, "no answer in time"))
        .and_then(|sent| sent.map_err(|error| broken(url, &root_of(&error))))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        // What is there is longer than the file: it is not its beginning, so all of it is asked for.
        StatusCode::RANGE_NOT_SATISFIABLE if from_byte > 0 => Box::pin(self::request(http, url, 0)).await,
        status => Err(DownloadError::Status { url: url.to_owned(), status }),
    }
}

fn begins_at(response: &reqwest::Response, byte: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {byte}-")))
}

/// A body whose chunks do not let wait for long.
struct Body<'a> {
    response: reqwest::Response,
    url: &'a str,
    deadline: Instant,
}

impl Body<'_> {
    async fn next(&mut self) -> Result<Option<bytes::Bytes>, DownloadError> {
        let left = self.deadline.saturating_duration_since(Instant::now()).min(limits::DOWNLOAD_STALL);
        match tokio::time::timeout(left, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(broken(self.url, &root_of(&error))),
            Err(_) => Err(broken(self.url, "it stood still for too long")),
        }
    }
}

fn broken(url: &str, reason: &str) -> DownloadError {
    DownloadError::Broken { url: url.to_owned(), reason: reason.to_owned() }
}

/// The innermost cause: the outer ones only repeat that the request failed.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn sha512(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha512::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&buffer[..read]);
    }
}
