//! The files of the image, and the archive of a layer. The same files make the same bytes: sorted, owned by root, as old
//! as time. Refuses to know manifests.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::binary::Binary;

/// User and group of drey, those of the user `flink` in images of Flink and of its operator.
pub(super) const USER: u32 = 9999;
/// Where the program is.
pub(super) const PROGRAM: &str = "/usr/local/bin/drey";
/// By this name drey takes flink-deployer's command line.
const DEPLOYER: &str = "usr/local/bin/flink-deployer";
/// Where programs look for the certificates of authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Characters in a line of PEM.
const PEM_LINE: usize = 64;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(Vec<u8>),
    /// A name for what lies beside it.
    Link(&'static str),
}

/// Files by path, without a slash at the beginning; every directory comes before what lies in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files(BTreeMap<String, (Node, u32)>);

impl Files {
    /// What does not change with drey: who it runs as, whom it trusts, a place for temporary files, and the libraries of a
    /// program that is not static.
    pub(super) fn base(binary: &Binary) -> Result<Files> {
        let mut files = Files::default();
        files.directory("tmp", 0o1777);
        let passwd =
            format!("root:x:0:0:root:/:/sbin/nologin\nflink:x:{USER}:{USER}:drey:/tmp:/sbin/nologin\n");
        files.file("etc/passwd", passwd.into_bytes(), 0o644);
        files.file("etc/group", format!("root:x:0:\nflink:x:{USER}:\n").into_bytes(), 0o644);
        files.file(AUTHORITIES, authorities().into_bytes(), 0o644);
        for library in binary.libraries()? {
            let content = std::fs::read(&library).with_context(|| library.display().to_string())?;
            files.file(library.to_string_lossy().trim_start_matches('/'), content, 0o755);
        }
        if binary.is_dynamic {
            // Without it this C library asks name servers before it looks into `/etc/hosts`.
            files.file("etc/nsswitch.conf", b"hosts: files dns\n".to_vec(), 0o644);
        }
        Ok(files)
    }

    /// drey itself.
    pub(super) fn program(binary: &Binary) -> Files {
        let mut files = Files::default();
        files.file(PROGRAM.trim_start_matches('/'), binary.content.clone(), 0o755);
        files.0.insert(DEPLOYER.to_owned(), (Node::Link("drey"), 0o777));
        files
    }

    fn directory(&mut self, path: &str, mode: u32) {
        self.0.insert(path.to_owned(), (Node::Directory, mode));
    }

    fn file(&mut self, path: &str, content: Vec<u8>, mode: u32) {
        for (at, _) in path.match_indices('/') {
            self.0.entry(path[..at].to_owned()).or_insert((Node::Directory, 0o755));
        }
        self.0.insert(path.to_owned(), (Node::File(content), mode));
    }

    /// The archive of these files.
    pub(super) fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, (node, mode)) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            match node {
                Node::Directory => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_size(0);
                    archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
                }
                Node::File(content) => {
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_size(content.len() as u64);
                    archive.append_data(&mut header, path, content.as_slice())?;
                }
                Node::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        Ok(archive.into_inner()?)
    }
}

/// Mozilla's authorities, in PEM. Not this machine's: an image must not trust whom its builder happens to trust.
fn authorities() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}
