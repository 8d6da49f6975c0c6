//! One log file, piece by piece: its end, all of it, and what is added. Refuses to know whose it is.

use std::io::{self, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use drey_server::{Log, LogWanted};
use futures::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;

struct Reader {
    path: PathBuf,
    file: File,
    at: u64,
    /// Where it ends, when it is not followed.
    end: Option<u64>,
}

/// Reads what is wanted of `path`.
pub(crate) async fn read(path: PathBuf, wanted: LogWanted) -> io::Result<Log> {
    let mut file = File::open(&path).await?;
    let length = file.metadata().await?.len();
    let at = wanted.tail_bytes.map_or(0, |bytes| length.saturating_sub(bytes));
    file.seek(SeekFrom::Start(at)).await?;
    let reader = Reader { path, file, at, end: (!wanted.follow).then_some(length) };
    let pieces = stream::unfold(Some(reader), async |reader| {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Log { truncated: at > 0, pieces: Box::pin(pieces) })
}

impl Reader {
    /// The next piece; waits for one when the file is followed.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.at));
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let mut piece = vec![0; most];
            let read = self.file.read(&mut piece).await?;
            if read > 0 {
                piece.truncate(read);
                self.at += u64::try_from(read).unwrap_or(0);
                return Ok(Some(piece));
            }
            if self.end.is_some() {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
            self.begin_anew_if_rotated().await?;
        }
    }

    /// A file that was rotated is another one of the same name, or a shorter one.
    async fn begin_anew_if_rotated(&mut self) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let Ok(now) = tokio::fs::metadata(&self.path).await else { return Ok(()) };
        let open = self.file.metadata().await?;
        if now.ino() != open.ino() {
            self.file = File::open(&self.path).await?;
            self.at = 0;
        } else if now.len() < self.at {
            self.file.seek(SeekFrom::Start(0)).await?;
            self.at = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    async fn next(log: &mut Log) -> Option<String> {
        let piece =
            tokio::time::timeout(Duration::from_secs(10), log.pieces.next()).await.expect("in time")?;
        Some(String::from_utf8(piece.expect("read")).expect("text"))
    }

    #[tokio::test]
    async fn the_end_is_shown_and_what_is_added_follows_also_when_the_file_is_another_one() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("jobmanager.log");
        std::fs::write(&path, "one two").expect("written");
        let wanted = |tail_bytes, follow| LogWanted { tail_bytes, previous: false, follow };
        let mut end = read(path.clone(), wanted(Some(3), false)).await.expect("read");
        assert!(end.truncated);
        assert_eq!((next(&mut end).await.as_deref(), next(&mut end).await), (Some("two"), None));
        let mut all = read(path.clone(), wanted(None, false)).await.expect("read");
        assert_eq!((all.truncated, next(&mut all).await.as_deref()), (false, Some("one two")));
        let mut followed = read(path.clone(), wanted(Some(0), true)).await.expect("read");
        std::fs::write(&path, "one two three").expect("written");
        assert_eq!(next(&mut followed).await.as_deref(), Some(" three"));
        std::fs::rename(&path, directory.path().join("jobmanager.log.1")).expect("rotated");
        std::fs::write(&path, "anew").expect("written");
        assert_eq!(next(&mut followed).await.as_deref(), Some("anew"));
    }
}
