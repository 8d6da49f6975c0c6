//! A certificate that somebody else makes, such as cert-manager: `tls.crt` and `tls.key` in a directory.

use std::path::{Path, PathBuf};

use rustls::sign::CertifiedKey;

use super::papers::{PapersError, certified_key};

/// File of the certificate.
pub(super) const CERTIFICATE_FILE: &str = "tls.crt";
const KEY_FILE: &str = "tls.key";

/// Why a certificate that is mounted is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum MountedError {
    /// A file cannot be read.
    #[error("{}: {error}; mount the Secret of the certificate there", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The files are no certificate and its key.
    #[error("{}: {error}", directory.display())]
    Papers {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        error: PapersError,
    },
}

/// The files as they were read last.
pub(super) struct Mounted {
    directory: PathBuf,
    read: Option<[Vec<u8>; 2]>,
}

impl Mounted {
    /// Files that were not read yet.
    pub(super) fn at(directory: &Path) -> Mounted {
        Mounted { directory: directory.to_owned(), read: None }
    }

    /// The certificate, if it is another one than at the last call that gave one.
    pub(super) fn changed(&mut self) -> Result<Option<CertifiedKey>, MountedError> {
        let files = [self.file(CERTIFICATE_FILE)?, self.file(KEY_FILE)?];
        if self.read.as_ref() == Some(&files) {
            return Ok(None);
        }
        let key = certified_key(&files[0], &files[1])
            .map_err(|error| MountedError::Papers { directory: self.directory.clone(), error })?;
        self.read = Some(files);
        Ok(Some(key))
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, MountedError> {
        let path = self.directory.join(name);
        std::fs::read(&path).map_err(|error| MountedError::Io { path, error })
    }
}

#[cfg(test)]
mod tests {
    use super::super::papers::Papers;
    use super::*;

    #[test]
    fn a_certificate_is_taken_when_it_changes_and_never_half() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut mounted = Mounted::at(directory.path());
        let error = mounted.changed().expect_err("nothing").to_string();
        assert!(error.contains("tls.crt") && error.contains("mount the Secret"), "{error}");
        let names = ["hook.flink.svc".to_owned()];
        let papers = [(); 2].map(|()| Papers::make(&names, 1_800_000_000).expect("made"));
        let write =
            |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
        write("tls.crt", &papers[0].certificate);
        write("tls.key", &papers[0].key);
        assert!(mounted.changed().expect("read").is_some());
        assert!(mounted.changed().expect("read").is_none(), "unchanged");
        write("tls.crt", &papers[1].certificate);
        assert!(mounted.changed().is_err(), "the key is still the old one");
        write("tls.key", &papers[1].key);
        assert!(mounted.changed().expect("read").is_some());
    }
}
