//! An image of a small stand-in for drey, read as a container runtime reads it.

use std::collections::BTreeMap;
use std::io::Read;

use super::super::binary::tests::stand_in;
use super::*;

fn about() -> About {
    About {
        version: "1.2.3".to_owned(),
        revision: Some("abc".to_owned()),
        created: "2020-02-02T00:00:00Z".to_owned(),
    }
}

fn image(architecture: Architecture) -> Image {
    image_of(architecture, &about())
}

fn image_of(architecture: Architecture, about: &About) -> Image {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("drey");
    std::fs::write(&path, stand_in(architecture, 1)).unwrap();
    Image::assemble(&Binary::read(&path).unwrap(), about).unwrap()
}

fn both() -> [Image; 2] {
    [image(Architecture::X86_64), image(Architecture::Aarch64)]
}

/// The files of a layout, each blob held to its name.
fn checked(files: Vec<(String, Vec<u8>)>) -> BTreeMap<String, Vec<u8>> {
    let count = files.len();
    let files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
    assert_eq!(files.len(), count, "a path stands twice");
    for (path, content) in &files {
        if let Some(name) = path.strip_prefix("blobs/sha256/") {
            assert_eq!(digest(content), format!("sha256:{name}"));
        }
    }
    files
}

/// What a descriptor means, held to its size.
fn followed<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let content = &files[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(descriptor["size"], content.len(), "{descriptor}");
    content
}

fn parsed(content: &[u8]) -> Value {
    serde_json::from_slice(content).unwrap()
}

#[test]
fn every_descriptor_leads_to_what_it_says() {
    let files = checked(layout(&both(), &about()));
    assert_eq!(parsed(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = parsed(&files["index.json"]);
    let named = &index["manifests"][0];
    assert_eq!(named["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
    assert_eq!(named["mediaType"], INDEX);
    let machines = parsed(followed(&files, named));
    let mut seen = Vec::new();
    for descriptor in machines["manifests"].as_array().unwrap() {
        let manifest = parsed(followed(&files, descriptor));
        assert_eq!(descriptor["mediaType"], manifest["mediaType"]);
        let configuration = parsed(followed(&files, &manifest["config"]));
        assert_eq!(descriptor["platform"]["architecture"], configuration["architecture"]);
        seen.push(configuration["architecture"].as_str().unwrap().to_owned());
        let layers = manifest["layers"].as_array().unwrap();
        let plain = layers.iter().map(|layer| digest(&unpacked(followed(&files, layer))));
        assert_eq!(configuration["rootfs"]["diff_ids"], json!(plain.collect::<Vec<_>>()));
        assert_eq!(configuration["history"].as_array().unwrap().len(), layers.len());
    }
    assert_eq!(seen, ["amd64", "arm64"]);
}

#[test]
fn a_runtime_finds_drey_as_its_chart_starts_it() {
    let image = image(Architecture::X86_64);
    let configuration = parsed(&image.configuration.content);
    let config = &configuration["config"];
    assert_eq!(config["User"], "9999:9999");
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/drey"]));
    assert_eq!(config["Cmd"], json!(["operator"]));
    // The chart says `drey` and leaves it to the path.
    assert!(config["Env"][0].as_str().unwrap().split([':', '=']).any(|place| place == "/usr/local/bin"));
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], "1.2.3");
    assert_eq!(labels["org.opencontainers.image.revision"], "abc");
}

#[test]
fn files_have_their_modes_and_owners_and_come_after_their_directories() {
    let mut seen: BTreeMap<String, (u32, Vec<u8>)> = BTreeMap::new();
    for layer in &image(Architecture::X86_64).layers {
        let content = unpacked(&layer.content);
        let mut order = Vec::new();
        for entry in tar::Archive::new(content.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let header = entry.header().clone();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
            if let Some((parent, _)) = path.trim_end_matches('/').rsplit_once('/') {
                assert!(order.contains(&format!("{parent}/")), "{path} comes before its directory");
            }
            order.push(path.clone());
            let mut text = Vec::new();
            entry.read_to_end(&mut text).unwrap();
            seen.insert(path, (header.mode().unwrap(), text));
        }
        assert!(order.is_sorted());
    }
    let mode = |path: &str| seen[path].0;
    assert_eq!((mode("usr/local/bin/drey"), mode("tmp/"), mode("etc/")), (0o755, 0o1777, 0o755));
    assert_eq!((mode("etc/passwd"), mode("etc/ssl/certs/ca-certificates.crt")), (0o644, 0o644));
    assert_eq!(seen["usr/local/bin/drey"].1, stand_in(Architecture::X86_64, 1));
    let text = |path: &str| String::from_utf8(seen[path].1.clone()).unwrap();
    assert!(text("etc/passwd").contains("\nflink:x:9999:9999:"));
    let certificates = text("etc/ssl/certs/ca-certificates.crt");
    assert!(certificates.matches("-----BEGIN CERTIFICATE-----\nMII").count() > 100);
    assert!(!seen.contains_key("etc/nsswitch.conf"), "a static program has no use for it");
}

#[test]
fn a_dynamic_program_brings_its_libraries() {
    let own = Binary::read(&std::env::current_exe().unwrap()).unwrap();
    let layer = Files::base(&own).unwrap().archive().unwrap();
    let mut archive = tar::Archive::new(layer.as_slice());
    let paths: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| format!("/{}", entry.unwrap().path().unwrap().display()))
        .collect();
    for library in own.libraries().unwrap() {
        assert!(paths.contains(&library.display().to_string()), "{} is not in {paths:?}", library.display());
    }
}

#[test]
fn the_same_program_makes_the_same_image() {
    let [one, other] = both();
    let again = image(Architecture::X86_64);
    assert_eq!(one, again);
    assert_eq!(archive(&one, &about()).unwrap(), archive(&again, &about()).unwrap());
    assert_ne!(one.digest(), other.digest());
    let about = About { created: "2021-01-01T00:00:00Z".to_owned(), ..about() };
    let later = image_of(Architecture::X86_64, &about);
    assert_ne!(one.digest(), later.digest());
    assert_eq!(one.layers, later.layers, "who has the layers need not fetch them again");
}

#[test]
fn the_archive_is_what_docker_loads() {
    let one = image(Architecture::Aarch64);
    let archive = archive(&one, &about()).unwrap();
    let mut files = Vec::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.push((entry.path().unwrap().to_string_lossy().into_owned(), content));
    }
    let files = checked(files);
    let docker = parsed(&files["manifest.json"]);
    assert_eq!(docker[0]["RepoTags"], json!(["drey:1.2.3"]));
    let named = &parsed(&files["index.json"])["manifests"][0];
    assert_eq!(named["mediaType"], MANIFEST);
    let manifest = parsed(followed(&files, named));
    let path =
        |descriptor: &Value| format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"));
    assert_eq!(docker[0]["Config"], path(&manifest["config"]));
    let layers: Vec<String> = manifest["layers"].as_array().unwrap().iter().map(path).collect();
    assert_eq!(docker[0]["Layers"], json!(layers));
}

#[test]
fn a_layout_takes_the_place_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("oci");
    let old = vec![("blobs/sha256/old".to_owned(), b"old".to_vec())];
    write(&place, &old).unwrap();
    write(&place, &layout(&both(), &about())).unwrap();
    assert!(place.join("index.json").is_file() && !place.join("blobs/sha256/old").exists());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

fn unpacked(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(content).read_to_end(&mut plain).unwrap();
    plain
}
