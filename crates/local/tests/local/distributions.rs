//! Getting Flink from servers of our own that cut off, lie or do not answer, and from a `pip` of our own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use drey_flink::FlinkVersion;
use drey_local::distribution::{DistributionConfig, DistributionError, Distributions, Progress, Report};
use sha2::{Digest, Sha512};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const V1_20: FlinkVersion = FlinkVersion::new(1, 20);
const ARCHIVE: &str = "/flink-1.20.7/flink-1.20.7-bin-scala_2.12.tgz";

/// Files by path, and what is wrong with the server.
pub(crate) struct Server {
    files: BTreeMap<String, Vec<u8>>,
    /// The connection breaks after so many bytes of a body, this often.
    cuts: Mutex<Vec<usize>>,
    /// What was asked for, with the range.
    log: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) fn new(files: BTreeMap<String, Vec<u8>>, cuts: &[usize]) -> Arc<Server> {
        Arc::new(Server { files, cuts: Mutex::new(cuts.to_vec()), log: Mutex::default() })
    }

    pub(crate) async fn start(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.answer(stream).await;
            }
        });
        base
    }

    async fn answer(&self, mut stream: tokio::net::TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap() > 0 {}
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let from = request
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned))
            .map_or(0, |range| range.trim_end_matches('-').parse::<usize>().unwrap());
        self.log.lock().unwrap().push(format!("{path} from {from}"));
        let Some(file) = self.files.get(&path) else {
            let _ = stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
            return;
        };
        let body = &file[from.min(file.len())..];
        let status = if from > 0 {
            format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", file.len() - 1, file.len())
        } else {
            "200 OK".to_owned()
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let cut = if path.ends_with(".tgz") { self.cuts.lock().unwrap().pop() } else { None };
        // A client that has seen enough may be gone.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body[..cut.unwrap_or(body.len()).min(body.len())]).await;
    }
}

/// A distribution with nothing in it but what makes it one.
fn archive() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    fill_distribution(&directory.path().join("flink-1.20.7"), "1.20.7");
    let output = Command::new("tar")
        .args(["-czf", "-", "-C"])
        .arg(directory.path())
        .arg("flink-1.20.7")
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

fn fill_distribution(home: &Path, version: &str) {
    for script in ["standalone-job.sh", "taskmanager.sh", "flink-console.sh", "config.sh"] {
        write(&home.join("bin").join(script), b"");
    }
    write(&home.join(format!("lib/flink-dist-{version}.jar")), &[7; 4_000]);
}

fn write(path: &Path, contents: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

fn checksum(bytes: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    for byte in Sha512::digest(bytes) {
        write!(line, "{byte:02x}").unwrap();
    }
    line.extend(b"  flink-1.20.7-bin-scala_2.12.tgz\n");
    line
}

fn files(archive: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(format!("{ARCHIVE}.sha512"), checksum(&archive)), (ARCHIVE.to_owned(), archive)])
}

fn config(cache: &Path, archive: String) -> DistributionConfig {
    DistributionConfig {
        cache: cache.to_owned(),
        flink_home: None,
        archive,
        python: None,
        pinned: BTreeMap::from([(V1_20, "1.20.7".to_owned())]),
    }
}

fn distributions(config: DistributionConfig) -> Distributions {
    // The provider may be installed already, by another test of this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Distributions::new(config, reqwest::Client::new())
}

fn quiet() -> Report {
    Arc::new(|_| {})
}

/// What the cache has, without locks.
fn cached(cache: &Path) -> Vec<String> {
    let entries = fs::read_dir(cache.join("flink")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with(".lock-"));
    names.sort();
    names
}

#[tokio::test]
async fn a_release_is_downloaded_checked_and_put_in_its_place_once() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(files(archive()), &[]);
    let distributions = distributions(config(cache.path(), server.start().await));
    assert_eq!(distributions.find(V1_20), None);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let report: Report = Arc::new({
        let seen = Arc::clone(&seen);
        move |progress| seen.lock().unwrap().push(progress)
    });
    let found = distributions.ensure(V1_20, &report).await.unwrap();
    assert_eq!((found.home, found.version.as_str()), (cache.path().join("flink/1.20.7"), "1.20.7"));
    assert_eq!(cached(cache.path()), ["1.20.7"]);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let total = seen.iter().find_map(|progress| match progress {
        Progress::Downloading { done_bytes, total_bytes } if Some(*done_bytes) == *total_bytes => {
            Some(*done_bytes)
        }
        _ => None,
    });
    assert!(total.is_some(), "{seen:?}");
    assert_eq!(seen.last(), Some(&Progress::Unpacking));
    distributions.ensure(V1_20, &report).await.unwrap();
    assert_eq!(server.log.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_download_that_was_cut_off_goes_on_where_it_stopped() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(files(archive()), &[100, 50]);
    let distributions = distributions(config(cache.path(), server.start().await));
    for _ in 0..2 {
        let error = distributions.ensure(V1_20, &quiet()).await.unwrap_err().to_string();
        assert!(error.contains("goes on from there") && error.contains("FLINK_HOME"), "{error}");
        assert_eq!(distributions.find(V1_20), None);
    }
    distributions.ensure(V1_20, &quiet()).await.unwrap();
    let asked: Vec<String> =
        server.log.lock().unwrap().iter().filter(|line| line.contains(".tgz ")).cloned().collect();
    assert_eq!(asked, ["from 0", "from 50", "from 150"].map(|from| format!("{ARCHIVE} {from}")));
    assert_eq!(cached(cache.path()), ["1.20.7"]);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_forgotten() {
    let cache = tempfile::tempdir().unwrap();
    let mut files = files(archive());
    files.get_mut(ARCHIVE).unwrap()[20] ^= 1;
    let server = Server::new(files, &[]);
    let distributions = distributions(config(cache.path(), server.start().await));
    let error = distributions.ensure(V1_20, &quiet()).await.unwrap_err();
    assert!(matches!(error, DistributionError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("nothing was installed"), "{error}");
    assert_eq!(cached(cache.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_page_instead_of_the_checksum_is_told_as_such() {
    let cache = tempfile::tempdir().unwrap();
    let mut files = files(archive());
    files.insert(format!("{ARCHIVE}.sha512"), b"<html>please log in</html>".to_vec());
    let server = Server::new(files, &[]);
    let distributions = distributions(config(cache.path(), server.start().await));
    let error = distributions.ensure(V1_20, &quiet()).await.unwrap_err().to_string();
    assert!(error.contains("not a SHA-512 but `<html>please log in</html>`"), "{error}");
    assert_eq!(cached(cache.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_to_is_told_with_the_way_out() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(files(archive()), &[]);
    let mut config = config(cache.path(), server.start().await);
    // It would be used if the archive alone had failed.
    config.python = Some(python(cache.path(), false));
    // As on a full disk: the archive is there, and cannot be put down.
    std::fs::create_dir_all(cache.path().join("flink/.fetch-1.20.7/flink-1.20.7-bin-scala_2.12.tgz.part"))
        .unwrap();
    let error = distributions(config).ensure(V1_20, &quiet()).await.unwrap_err();
    assert!(matches!(error, DistributionError::Io { .. }), "{error}");
    assert!(error.to_string().contains("make room there, or set DREY_CACHE"), "{error}");
}

#[tokio::test]
async fn an_archive_that_is_no_distribution_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(files(b"not a compressed file".to_vec()), &[]);
    let distributions = distributions(config(cache.path(), server.start().await));
    let error = distributions.ensure(V1_20, &quiet()).await.unwrap_err();
    assert!(matches!(error, DistributionError::Corrupt(_)), "{error}");
    assert_eq!(cached(cache.path()), Vec::<String>::new());
}

#[tokio::test]
async fn two_at_once_download_once() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(files(archive()), &[]);
    let distributions = distributions(config(cache.path(), server.start().await));
    let report = quiet();
    let (one, other) =
        tokio::join!(distributions.ensure(V1_20, &report), distributions.ensure(V1_20, &report));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(server.log.lock().unwrap().len(), 2);
}

/// A `python3` whose `pip` makes packages of its own, or fails.
fn python(directory: &Path, fails: bool) -> PathBuf {
    let script = if fails {
        "#!/bin/sh\necho 'ERROR: No matching distribution found' >&2\nexit 1\n".to_owned()
    } else {
        let distribution = directory.join("packaged");
        fill_distribution(&distribution.join("pyflink"), "1.20.7");
        format!(
            "#!/bin/sh\nset -e\n\
             for last; do :; done\n\
             case \"$2 $3\" in\n\
             'pip download') while [ \"$1\" != --dest ]; do shift; done; mkdir -p \"$2\"; touch \"$2/x.whl\" ;;\n\
             'zipfile -e') mkdir -p \"$5/pyflink\"; cp -r {0}/pyflink/bin \"$5/pyflink/bin\"; mkdir \"$5/pyflink/conf\" ;;\n\
             'pip install') while [ \"$1\" != --target ]; do shift; done; mkdir -p \"$2/pyflink\"; cp -r {0}/pyflink/lib \"$2/pyflink/lib\" ;;\n\
             *) exit 3 ;;\n\
             esac\n",
            distribution.display()
        )
    };
    let path = directory.join("python3");
    write(&path, script.as_bytes());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
    path
}

#[tokio::test]
async fn without_the_archive_the_packages_are_taken() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(BTreeMap::new(), &[]);
    let mut config = config(cache.path(), server.start().await);
    config.python = Some(python(cache.path(), false));
    let found = distributions(config).ensure(V1_20, &quiet()).await.unwrap();
    let script = found.home.join("bin/standalone-job.sh");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(script).unwrap().permissions());
    assert_eq!(mode & 0o111, 0o111);
    assert_eq!(cached(cache.path()), ["1.20.7"]);
}

#[tokio::test]
async fn without_any_source_both_reasons_are_told() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(BTreeMap::new(), &[]);
    let mut config = config(cache.path(), server.start().await);
    config.python = Some(python(cache.path(), true));
    let error = distributions(config).ensure(V1_20, &quiet()).await.unwrap_err().to_string();
    for part in ["404", "No matching distribution found", "point FLINK_HOME"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(cached(cache.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_on_the_machine_is_used_in_its_order() {
    let cache = tempfile::tempdir().unwrap();
    let mut config = config(cache.path(), "http://127.0.0.1:9".to_owned());
    config.pinned.clear();
    for version in ["1.20.9", "1.20.10", "2.1.3"] {
        fill_distribution(&cache.path().join("flink").join(version), version);
    }
    // Half of a distribution is none.
    write(&cache.path().join("flink/1.20.11/bin/standalone-job.sh"), b"");
    let version = |config: &DistributionConfig, version| {
        distributions(config.clone()).find(version).map(|found| found.version)
    };
    assert_eq!(version(&config, V1_20).as_deref(), Some("1.20.10"));
    assert_eq!(version(&config, FlinkVersion::new(2, 2)), None);
    let home = cache.path().join("mine");
    fill_distribution(&home, "1.20.1");
    config.flink_home = Some(home);
    assert_eq!(version(&config, V1_20).as_deref(), Some("1.20.1"));
    assert_eq!(version(&config, FlinkVersion::new(2, 1)).as_deref(), Some("2.1.3"));
    config.pinned.insert(V1_20, "1.20.9".to_owned());
    assert_eq!(version(&config, V1_20).as_deref(), Some("1.20.9"));
}

#[tokio::test]
async fn versions_that_cannot_be_had_are_told_with_the_way_out() {
    let cache = tempfile::tempdir().unwrap();
    let mut config = config(cache.path(), "http://127.0.0.1:9".to_owned());
    let unknown = distributions(config.clone()).ensure(FlinkVersion::new(1, 13), &quiet()).await;
    assert!(unknown.unwrap_err().to_string().contains("DREY_FLINK_VERSION_1_13"));
    config.pinned.insert(V1_20, "2.1.0".to_owned());
    let wrong = distributions(config).ensure(V1_20, &quiet()).await;
    assert!(wrong.unwrap_err().to_string().contains("is not a release of Flink 1.20"));
}
