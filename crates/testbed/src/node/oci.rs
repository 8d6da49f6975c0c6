//! Opens an image of the Open Container Initiative: from a layout on disk to a root file system and what is started in
//! it. Every blob is held to its digest on the way. Refuses to know registries and other machines' images.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::image::Image;

/// Media type of an index of machines.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Begins the names of files that stand for the removal of others in layers below.
const WHITEOUT_PREFIX: &str = ".wh.";

/// Why an image cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// A file cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A document is not what the format asks for.
    #[error("`{}` is no document of an OCI layout: {source}", path.display())]
    Document {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A blob is not the one that is meant.
    #[error("the content of `{expected}` has the digest {found}, or another size")]
    Digest {
        /// What refers to it says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The layout lacks something.
    #[error("the layout has no {0}")]
    Lacks(String),
    /// A layer does what this does not do.
    #[error("a layer removes `{0}` of one below it, which is not done here")]
    Removal(String),
    /// A name of a user, in place of numbers.
    #[error("the user `{0}` of the image is no pair of numbers")]
    User(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Configuration {
    config: Execution,
    rootfs: Root,
}

#[derive(Deserialize)]
struct Root {
    diff_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Execution {
    user: String,
    env: Vec<String>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    working_dir: String,
}

/// Opens the image of a layout for this machine; `directory` becomes its root.
///
/// # Errors
/// A file that cannot be read, or content that is not what the layout says.
pub fn open(layout: &Path, directory: &Path) -> Result<Image, OciError> {
    let index: Index = document(&layout.join("index.json"))?;
    let mut named = index.manifests.into_iter().next().ok_or_else(|| lacks("image"))?;
    if named.media_type == INDEX {
        let machines: Index = parsed(layout, &named)?;
        let fits = |descriptor: &Descriptor| descriptor.platform.as_ref().is_some_and(is_this_machine);
        let image = format!("image for {}", this_architecture());
        named = machines.manifests.into_iter().find(fits).ok_or_else(|| lacks(&image))?;
    }
    let manifest: Manifest = parsed(layout, &named)?;
    let Configuration { config, rootfs } = parsed(layout, &manifest.config)?;
    std::fs::create_dir_all(directory).map_err(at(directory))?;
    for (position, layer) in manifest.layers.iter().enumerate() {
        let expected = rootfs.diff_ids.get(position).ok_or_else(|| lacks("digest of a layer's files"))?;
        unpack(layout, layer, expected, directory)?;
    }
    let variables = config.env.iter().filter_map(|variable| variable.split_once('='));
    Ok(Image {
        root: Some(directory.to_owned()),
        layers: Vec::new(),
        entrypoint: config.entrypoint,
        command: config.cmd,
        environment: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        working_directory: config.working_dir,
        user: user(&config.user)?,
    })
}

fn user(text: &str) -> Result<Option<(i64, i64)>, OciError> {
    if text.is_empty() {
        return Ok(None);
    }
    let (user, group) = text.split_once(':').unwrap_or((text, "0"));
    let numbers = user.parse().ok().zip(group.parse().ok());
    numbers.map(Some).ok_or_else(|| OciError::User(text.to_owned()))
}

fn unpack(layout: &Path, layer: &Descriptor, expected: &str, directory: &Path) -> Result<(), OciError> {
    let path = blob_path(layout, &layer.digest);
    let mut plain = Vec::new();
    GzDecoder::new(blob(layout, layer)?.as_slice()).read_to_end(&mut plain).map_err(at(&path))?;
    hold(&plain, expected)?;
    let mut archive = tar::Archive::new(plain.as_slice());
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    for entry in archive.entries().map_err(at(&path))? {
        let mut entry = entry.map_err(at(&path))?;
        let name = entry.path().map_err(at(&path))?.into_owned();
        let last = name.file_name().unwrap_or_default().to_string_lossy();
        if let Some(removed) = last.strip_prefix(WHITEOUT_PREFIX) {
            return Err(OciError::Removal(removed.to_owned()));
        }
        entry.unpack_in(directory).map_err(at(directory))?;
    }
    Ok(())
}

fn document<T: DeserializeOwned>(path: &Path) -> Result<T, OciError> {
    let content = std::fs::read(path).map_err(at(path))?;
    serde_json::from_slice(&content).map_err(|source| OciError::Document { path: path.to_owned(), source })
}

fn parsed<T: DeserializeOwned>(layout: &Path, descriptor: &Descriptor) -> Result<T, OciError> {
    let path = blob_path(layout, &descriptor.digest);
    serde_json::from_slice(&blob(layout, descriptor)?).map_err(|source| OciError::Document { path, source })
}

fn blob(layout: &Path, descriptor: &Descriptor) -> Result<Vec<u8>, OciError> {
    let path = blob_path(layout, &descriptor.digest);
    let content = std::fs::read(&path).map_err(at(&path))?;
    hold(&content, &descriptor.digest)?;
    if content.len() as u64 != descriptor.size {
        return Err(OciError::Digest { expected: descriptor.digest.clone(), found: digest(&content) });
    }
    Ok(content)
}

fn hold(content: &[u8], expected: &str) -> Result<(), OciError> {
    let found = digest(content);
    if found == expected { Ok(()) } else { Err(OciError::Digest { expected: expected.to_owned(), found }) }
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn blob_path(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> OciError {
    move |source| OciError::Io { path: path.to_owned(), source }
}

fn lacks(what: &str) -> OciError {
    OciError::Lacks(what.to_owned())
}

fn is_this_machine(platform: &Platform) -> bool {
    platform.os == "linux" && platform.architecture == this_architecture()
}

fn this_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};

    use super::*;

    /// A layout with one file in its one layer, for these machines.
    fn lay_out(directory: &Path, path: &str, architectures: &[&str]) {
        std::fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        let put = |content: &[u8], media_type: &str| -> Value {
            std::fs::write(blob_path(directory, &digest(content)), content).unwrap();
            json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
        };
        let mut layer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o750);
        header.set_uid(u64::from(rustix::process::getuid().as_raw()));
        header.set_gid(u64::from(rustix::process::getgid().as_raw()));
        layer.append_data(&mut header, path, b"hi".as_slice()).unwrap();
        let plain = layer.into_inner().unwrap();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&plain).unwrap();
        let layer = put(&packed.finish().unwrap(), "layer");
        let configuration = json!({
            "config": {"User": "9999:9998", "Env": ["PATH=/bin", "A=b=c"], "Entrypoint": ["/bin/hi"], "Cmd": ["x"]},
            "rootfs": {"diff_ids": [digest(&plain)]},
        });
        let config = put(configuration.to_string().as_bytes(), "config");
        let manifest = put(json!({"config": config, "layers": [layer]}).to_string().as_bytes(), "manifest");
        let machines: Vec<Value> = architectures
            .iter()
            .map(|architecture| {
                let mut manifest = manifest.clone();
                manifest["platform"] = json!({"os": "linux", "architecture": architecture});
                manifest
            })
            .collect();
        let index = put(json!({"manifests": machines}).to_string().as_bytes(), INDEX);
        std::fs::write(directory.join("index.json"), json!({"manifests": [index]}).to_string()).unwrap();
    }

    #[test]
    fn an_image_is_opened_as_it_says() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let (layout, root) = (place.path().join("oci"), place.path().join("root"));
        lay_out(&layout, "bin/hi", &["s390x", this_architecture()]);
        let image = open(&layout, &root).unwrap();
        assert_eq!(std::fs::read(root.join("bin/hi")).unwrap(), b"hi");
        assert_eq!(std::fs::metadata(root.join("bin/hi")).unwrap().permissions().mode() & 0o777, 0o750);
        assert_eq!((image.root.as_deref(), image.user), (Some(root.as_path()), Some((9999, 9998))));
        assert_eq!((image.entrypoint, image.command), (vec!["/bin/hi".to_owned()], vec!["x".to_owned()]));
        assert_eq!(image.environment["A"], "b=c");
    }

    #[test]
    fn what_is_wrong_with_a_layout_is_said() {
        let check = |path: &str, architecture: &str, spoil: &dyn Fn(&Path), expected: &str| {
            let place = tempfile::tempdir().unwrap();
            let layout = place.path().join("oci");
            lay_out(&layout, path, &[architecture]);
            spoil(&layout);
            let error = open(&layout, &place.path().join("root")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let nothing = |_: &Path| {};
        check("a", "s390x", &nothing, "the layout has no image for");
        check("etc/.wh.passwd", this_architecture(), &nothing, "removes `passwd`");
        let spoil_all = |layout: &Path| {
            for blob in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
                let mut file = std::fs::OpenOptions::new().append(true).open(blob.unwrap().path()).unwrap();
                file.write_all(b" ").unwrap();
            }
        };
        check("a", this_architecture(), &spoil_all, "has the digest");
        check(
            "a",
            this_architecture(),
            &|layout| std::fs::remove_file(layout.join("index.json")).unwrap(),
            "index.json",
        );
    }

    #[test]
    fn users_are_numbers() {
        assert_eq!(user("").unwrap(), None);
        assert_eq!(user("5").unwrap(), Some((5, 0)));
        assert!(user("flink").is_err());
    }
}
