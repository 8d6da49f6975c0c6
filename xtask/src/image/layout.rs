//! The image as an OCI layout: blobs by digest, configuration, manifests, an index of machines. Refuses to know where a
//! program comes from.
//!
//! ```text
//!   index.json ─► index of machines ─► manifest ─► configuration
//!                                              └─► layers: base, drey
//! ```

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::binary::{Architecture, Binary};
use super::files::{Files, PROGRAM, USER};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What an image tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Version of drey, and the tag.
    pub(super) version: String,
    /// The commit that it was made from, when that is known.
    pub(super) revision: Option<String>,
    /// When that was, as RFC 3339 has it.
    pub(super) created: String,
}

/// Content under its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Blob {
    media_type: &'static str,
    content: Vec<u8>,
    digest: String,
}

impl Blob {
    fn new(media_type: &'static str, content: Vec<u8>) -> Blob {
        Blob { media_type, digest: digest(&content), content }
    }

    fn json(media_type: &'static str, content: &Value) -> Blob {
        Blob::new(media_type, content.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.content.len() })
    }

    /// Below the root of a layout.
    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }
}

/// `sha256:` and 64 hexadecimal digits.
fn digest(content: &[u8]) -> String {
    let digits = Sha256::digest(content);
    digits.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The image for one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// The machine.
    pub(super) architecture: Architecture,
    manifest: Blob,
    configuration: Blob,
    layers: Vec<Blob>,
}

impl Image {
    /// Puts an image together.
    pub(super) fn assemble(binary: &Binary, about: &About) -> Result<Image> {
        let mut layers = Vec::new();
        let mut plain = Vec::new();
        for files in [Files::base(binary)?, Files::program(binary)] {
            let archive = files.archive()?;
            plain.push(digest(&archive));
            layers.push(Blob::new(LAYER, compressed(&archive)?));
        }
        let configuration = Blob::json(CONFIGURATION, &configuration(binary.architecture, about, &plain));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": configuration.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
            "annotations": annotations(about),
        });
        let manifest = Blob::json(MANIFEST, &manifest);
        Ok(Image { architecture: binary.architecture, manifest, configuration, layers })
    }

    /// What identifies it.
    pub(super) fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// What is fetched of it.
    pub(super) fn compressed_bytes(&self) -> usize {
        self.blobs().map(|blob| blob.content.len()).sum()
    }

    fn blobs(&self) -> impl Iterator<Item = &Blob> {
        [&self.manifest, &self.configuration].into_iter().chain(&self.layers)
    }

    fn descriptor(&self) -> Value {
        let mut descriptor = self.manifest.descriptor();
        descriptor["platform"] = json!({ "architecture": self.architecture.of_images(), "os": "linux" });
        descriptor
    }
}

/// The files of a layout that holds these images under the tag of their version, in the order in which they are written.
pub(super) fn layout(images: &[Image], about: &About) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> =
        vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let mut named = match images {
        [one] => one.descriptor(),
        several => {
            let manifests: Vec<Value> = several.iter().map(Image::descriptor).collect();
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
            let index = Blob::json(INDEX, &index);
            files.push((index.path(), index.content.clone()));
            index.descriptor()
        }
    };
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": about.version });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [named] });
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    for image in images {
        files.extend(image.blobs().map(|blob| (blob.path(), blob.content.clone())));
    }
    files.sort();
    files.dedup();
    files
}

/// The layout of one image as one file. It has beside the index what older Dockers look for.
pub(super) fn archive(image: &Image, about: &About) -> Result<Vec<u8>> {
    let docker = json!([{
        "Config": image.configuration.path(),
        "RepoTags": [format!("drey:{}", about.version)],
        "Layers": image.layers.iter().map(Blob::path).collect::<Vec<_>>(),
    }]);
    let mut files = layout(std::slice::from_ref(image), about);
    files.push(("manifest.json".to_owned(), docker.to_string().into_bytes()));
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    Ok(archive.into_inner()?)
}

/// Writes a layout in the place of the one that is there.
pub(super) fn write(directory: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let staging = directory.with_extension(format!("staged-{}", std::process::id()));
    for (path, content) in files {
        let path = staging.join(path);
        std::fs::create_dir_all(path.parent().context("blobs lie in directories")?)?;
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    if directory.exists() {
        std::fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    std::fs::rename(&staging, directory).with_context(|| directory.display().to_string())
}

fn compressed(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

fn configuration(architecture: Architecture, about: &About, layers: &[String]) -> Value {
    let history = ["user, authorities, libraries", "drey"];
    let history: Vec<Value> =
        history.iter().map(|what| json!({ "created": about.created, "created_by": what })).collect();
    json!({
        "created": about.created,
        "architecture": architecture.of_images(),
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            // The operator's ports: probes, metrics, webhook.
            "ExposedPorts": { "8085/tcp": {}, "9999/tcp": {}, "9443/tcp": {} },
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "Entrypoint": [PROGRAM],
            "Cmd": ["operator"],
            "WorkingDir": "/",
            "Labels": annotations(about),
        },
        "rootfs": { "type": "layers", "diff_ids": layers },
        "history": history,
    })
}

fn annotations(about: &About) -> Value {
    let mut annotations = json!({
        "org.opencontainers.image.title": "drey",
        "org.opencontainers.image.description": "The control plane for Apache Flink",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": about.version,
        "org.opencontainers.image.created": about.created,
    });
    if let Some(revision) = &about.revision {
        annotations["org.opencontainers.image.revision"] = json!(revision);
    }
    annotations
}

#[cfg(test)]
mod tests;
