//! A jar that is somewhere else, by http, https or from an S3 bucket, into a file of ours that goes away again. A token goes
//! to the server that it was given for and to no other. Refuses to know other protocols.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use drey_flink::rest::tls::{self, TlsSettings};
use reqwest::Url;
use reqwest::header::LOCATION;
use tokio::io::AsyncWriteExt;

use super::jar::said_meanwhile;
use super::limits;
use super::s3;
use super::talk::Talk;
use crate::failure::{Failure, Kind};

/// A file that is removed when it is not needed any more.
#[derive(Debug)]
pub struct Fetched(PathBuf);

impl Fetched {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        // In a directory for temporary files somebody else may have removed it.
        let _gone = std::fs::remove_file(&self.0);
        let _not_empty = self.0.parent().map(std::fs::remove_dir);
    }
}

/// Fetches what is at `address`. The token is sent as GitLab takes it.
///
/// # Errors
/// No such address, no answer, or one that is no success.
pub async fn fetch(address: &str, token: Option<&str>, talk: &Talk) -> Result<Fetched, Failure> {
    let is_of_bucket = s3::is_of_bucket(address);
    let url = if is_of_bucket {
        s3::signed(address, |name| std::env::var(name).ok(), jiff::Timestamp::now())?
    } else {
        address_of(address)?
    };
    // What a bucket needs is in its address.
    let token = token.filter(|_| !is_of_bucket);
    if token.is_some() && url.scheme() == "http" {
        talk.say("warning: the token goes over http, where everybody on the way can read it");
    }
    let http = tls::client(&TlsSettings::default())
        .map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
    let mut response = opened(&http, url.clone(), token, is_of_bucket).await?;
    let fetched = Fetched(file_for(&url)?);
    let done = AtomicU64::new(0);
    let whole = response.content_length();
    let copying = async {
        let mut file = tokio::fs::File::create_new(fetched.path()).await?;
        loop {
            let piece = tokio::time::timeout(limits::DOWNLOAD_SILENCE, response.chunk()).await;
            let piece = piece.map_err(|_| lost(&url, "it sends nothing any more"))?;
            let Some(piece) = piece.map_err(|error| lost(&url, &error.without_url().to_string()))? else {
                break;
            };
            file.write_all(&piece).await?;
            done.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        file.flush().await?;
        Ok::<_, Failure>(())
    };
    said_meanwhile(talk, "downloading", &done, whole, copying).await?;
    Ok(fetched)
}

fn address_of(address: &str) -> Result<Url, Failure> {
    let wrong = |why: String| {
        Failure::new(Kind::Usage, format!("`{address}` is no http://, https:// or s3:// address: {why}"))
            .hint("fetch the jar first and name it with `--file-name`")
    };
    let url: Url = address.parse().map_err(|error| wrong(format!("{error}")))?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(wrong(format!("`{}`", url.scheme()))) }
}

/// The answer at the end of all redirects.
async fn opened(
    http: &reqwest::Client,
    first: Url,
    token: Option<&str>,
    is_of_bucket: bool,
) -> Result<reqwest::Response, Failure> {
    let mut url = first.clone();
    for _ in 0..=limits::REDIRECTS_MAX {
        let mut request = http.get(url.clone());
        if let Some(token) = token.filter(|_| url.origin() == first.origin()) {
            request = request.header("PRIVATE-TOKEN", token);
        }
        let response = tokio::time::timeout(limits::DOWNLOAD_SILENCE, request.send()).await;
        let response = response.map_err(|_| lost(&url, "no answer"))?;
        let response = response.map_err(|error| lost(&url, &root(&error.without_url())))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let next = response.headers().get(LOCATION).and_then(|next| next.to_str().ok());
        let Some(next) = next.filter(|_| status.is_redirection()) else {
            let message =
                format!("retrieving remote JAR returned unexpected response code: {}", status.as_u16());
            let failure = Failure::new(Kind::Failed, message).on(without_secrets(&url));
            let region =
                response.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
            let hint = if is_of_bucket { s3::hint(status.as_u16(), region) } else { None };
            return Err(hint.into_iter().fold(failure, Failure::hint));
        };
        url = url.join(next).map_err(|error| lost(&url, &error.to_string()))?;
    }
    Err(lost(&first, "it redirects without end"))
}

fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn lost(url: &Url, why: &str) -> Failure {
    Failure::new(Kind::Unreachable, format!("the jar cannot be fetched: {why}")).on(without_secrets(url))
}

/// The address without password and query, where tokens may be.
fn without_secrets(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or("?"), url.path())
}

/// A file in a directory of its own, under the name that the jar has there.
fn file_for(url: &Url) -> Result<PathBuf, Failure> {
    let name = url.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
    let name: String =
        name.unwrap_or("job.jar").chars().filter(|c| !matches!(c, '/' | '\0')).take(100).collect();
    let unique = super::identity::unique(jiff::Timestamp::now()).replace(' ', "-");
    let directory = std::env::temp_dir().join(format!("drey-job-{unique}"));
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&directory)?;
    Ok(directory.join(if name == ".." { "job.jar".to_owned() } else { name }))
}
