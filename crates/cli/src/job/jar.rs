//! A jar on this machine: whether it is one, what is in it, and how it gets into Flink's store, piece by piece.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use drey_flink::JobId;
use drey_flink::rest::RestError;
use futures::Stream;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::flink::{Session, failure};
use super::limits;
use super::talk::Talk;
use super::version::{EMPTY_JAR, Record, Store, hex, jar_name};
use crate::failure::{Failure, Kind};

/// A jar that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jar {
    /// Where it lies.
    pub path: PathBuf,
    /// The last part of its name.
    pub file_name: String,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub content: String,
}

impl Jar {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// It cannot be read, or is no jar.
    pub async fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let wrong = |error: &std::io::Error| {
            let kind =
                if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Failed };
            Failure::new(kind, format!("the jar cannot be read: {error}")).on(name.clone())
        };
        let mut file = tokio::fs::File::open(path).await.map_err(|error| wrong(&error))?;
        let bytes = file.metadata().await.map_err(|error| wrong(&error))?.len();
        let no_jar =
            |why: &str| Err(Failure::new(Kind::Invalid, format!("this is no jar: {why}")).on(name.clone()));
        let (mut hash, mut start, mut piece) = (Sha256::new(), Vec::new(), vec![0; limits::PIECE_BYTES]);
        loop {
            let read = file.read(&mut piece).await.map_err(|error| wrong(&error))?;
            if read == 0 {
                break;
            }
            if start.len() < 4 {
                start.extend_from_slice(&piece[..read.min(4)]);
            }
            hash.update(&piece[..read]);
        }
        if !has_directory(&mut file, bytes).await.map_err(|error| wrong(&error))? {
            return no_jar(if start.starts_with(b"PK") {
                "its end is missing; it may have been copied by half"
            } else {
                "it is no ZIP archive"
            });
        }
        let file_name =
            path.file_name().map_or_else(|| "job.jar".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { path: path.to_owned(), file_name, bytes, content: hex(&hash.finalize()) })
    }

    /// The name that it is kept under in Flink's store.
    #[must_use]
    pub fn stored_name(&self) -> String {
        jar_name(&self.content, &self.file_name)
    }
}

/// Whether the end of a ZIP archive is there: the record that says where its directory is.
async fn has_directory(file: &mut tokio::fs::File, bytes: u64) -> std::io::Result<bool> {
    // The record has 22 bytes and a comment of at most 65,535.
    file.seek(SeekFrom::Start(bytes.saturating_sub(22 + 65_535))).await?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).await?;
    Ok(end.windows(4).any(|window| window == b"PK\x05\x06"))
}

/// Has the jar in Flink's store, and returns its id there. One that is there already is not sent again.
///
/// # Errors
/// Flink does not take it.
pub async fn place(session: &Session, store: &Store, jar: &Jar) -> Result<String, Failure> {
    let name = jar.stored_name();
    if let Some(id) = store.id_of(&name) {
        session.talk.say(format!("Flink has this jar already: {id}"));
        return Ok(id.to_owned());
    }
    put(session, &name, Source::File(jar)).await
}

/// Has a record in Flink's store. Returns whether it is short enough to be kept there.
///
/// # Errors
/// Flink does not take it.
pub async fn keep(session: &Session, store: &Store, record: &Record) -> Result<bool, Failure> {
    let Some(names) = record.names() else { return Ok(false) };
    for name in names {
        if store.id_of(&name).is_none() {
            put(session, &name, Source::Empty).await?;
        }
    }
    Ok(true)
}

/// Removes the records that are going, each by its job and version, and the jars that nothing else needs. What cannot be
/// removed does no harm; it is said.
pub async fn remove(session: &Session, is_going: impl Fn(JobId, &str) -> bool) {
    let outcome = async {
        for id in Store::of(session.rest.jars().await?).files_of(is_going) {
            match session.rest.delete_jar(&id).await {
                // Somebody else has removed it.
                Ok(()) | Err(RestError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok::<_, RestError>(())
    };
    if let Err(error) = outcome.await {
        session.talk.say(format!("jars of a former version stay in Flink's store: {error}"));
    }
}

enum Source<'a> {
    File(&'a Jar),
    Empty,
}

async fn put(session: &Session, name: &str, source: Source<'_>) -> Result<String, Failure> {
    let mut sends = 0;
    loop {
        sends += 1;
        let error = match send(session, name, &source).await {
            Ok(id) => return Ok(id),
            Err(error) => error,
        };
        let may_have_arrived = matches!(error, RestError::UnknownOutcome { .. });
        // The answer may be lost and the file there.
        if may_have_arrived
            && let Ok(files) = session.rest.jars().await
            && let Some(id) = Store::of(files).id_of(name)
        {
            return Ok(id.to_owned());
        }
        if !may_have_arrived || sends == limits::SENDS_MAX {
            return Err(failure(&error).on("the jar was not uploaded"));
        }
        session.talk.say(format!("the upload has no answer, it is sent again: {error}"));
        tokio::time::sleep(session.pace.look).await;
    }
}

async fn send(session: &Session, name: &str, source: &Source<'_>) -> Result<String, RestError> {
    let Source::File(jar) = source else {
        let deadline = limits::UPLOAD;
        return session
            .rest
            .upload_jar(name, EMPTY_JAR.to_vec().into(), EMPTY_JAR.len() as u64, deadline)
            .await;
    };
    let megabytes = u32::try_from(jar.bytes >> 20).unwrap_or(u32::MAX);
    let deadline = limits::UPLOAD + limits::UPLOAD_EACH_MEGABYTE.saturating_mul(megabytes);
    let sent = Arc::new(AtomicU64::new(0));
    let body = reqwest::Body::wrap_stream(pieces(jar.path.clone(), sent.clone()));
    let upload = session.rest.upload_jar(name, body, jar.bytes, deadline);
    said_meanwhile(&session.talk, "uploading", &sent, Some(jar.bytes), upload).await
}

/// The file, a piece at a time.
fn pieces(
    path: PathBuf,
    sent: Arc<AtomicU64>,
) -> impl Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static {
    futures::stream::try_unfold((None, path, sent), |(file, path, sent)| async move {
        let mut file = match file {
            Some(file) => file,
            None => tokio::fs::File::open(&path).await?,
        };
        let mut piece = vec![0; limits::PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        sent.fetch_add(read as u64, Ordering::Relaxed);
        Ok((read > 0).then_some((piece, (Some(file), path, sent))))
    })
}

/// Says now and then how far a transfer is.
pub(crate) async fn said_meanwhile<T>(
    talk: &Talk,
    doing: &str,
    done: &AtomicU64,
    whole: Option<u64>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    let mut clock =
        tokio::time::interval_at(tokio::time::Instant::now() + limits::PROGRESS, limits::PROGRESS);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            _ = clock.tick() => {
                let megabytes = done.load(Ordering::Relaxed) >> 20;
                match whole {
                    Some(whole) => talk.say(format!("{doing}: {megabytes} of {} MB", whole >> 20)),
                    None => talk.say(format!("{doing}: {megabytes} MB")),
                }
            }
        }
    }
}

/// How long ago something began, in words.
pub(crate) fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(content: &[u8]) -> Result<Jar, Failure> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("job.jar");
        std::fs::write(&path, content).expect("written");
        Jar::open(&path).await
    }

    #[tokio::test]
    async fn what_is_no_jar_is_refused_before_anything_is_sent() {
        for content in [&b""[..], b"<html>", b"PK\x03\x04 and no end"] {
            assert_eq!(opened(content).await.expect_err("no jar").kind(), Kind::Invalid);
        }
        assert_eq!(opened(&EMPTY_JAR).await.expect("a jar").bytes, 22);
        let missing = Jar::open(Path::new("/nowhere/x.jar")).await.expect_err("missing");
        assert_eq!(missing.kind(), Kind::NotFound);
    }
}
