//! What the name of an image stands for on this machine: files laid over its root, or a root of its own (`oci`), an entry
//! point and an environment. It refuses to know registries: a name without an entry is an image that cannot be pulled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Content of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file or directory of this machine. A directory can be written to by the container: what it writes is
    /// its own and goes with it.
    Path(PathBuf),
    /// A program, as text.
    Script(String),
}

/// One thing laid over the machine's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What.
    pub content: Content,
    /// Where a container sees it.
    pub target: String,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// A directory with all files of the image; the machine's root when there is none.
    pub root: Option<PathBuf>,
    /// Laid over the root in this order: a later one can lie within an earlier one.
    pub layers: Vec<Layer>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `ENV`.
    pub environment: BTreeMap<String, String>,
    /// `WORKDIR`; `/` when it is empty.
    pub working_directory: String,
    /// `USER`, as numbers of a user and a group; root when there is none.
    pub user: Option<(i64, i64)>,
}

/// `PATH` of an image that sets none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Image {
    /// This machine's programs, and nothing else: its shell, its `sleep`.
    pub fn machine() -> Image {
        let environment = [("PATH".to_owned(), PATH.to_owned())];
        Image { environment: environment.into(), command: vec!["sh".to_owned()], ..Image::default() }
    }

    /// One program of this machine as the entry point, at `/usr/local/bin/<its name>`.
    pub fn program(path: &Path) -> Image {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = format!("/usr/local/bin/{name}");
        let mut image = Image::machine().with_path(path, &target);
        image.entrypoint = vec![target];
        image.command.clear();
        image
    }

    /// What the official image of Flink is: a distribution at `/opt/flink`, its entry point, and Java.
    pub fn flink(flink_home: &Path, java_home: &Path) -> Image {
        let java = java_home.display();
        let environment = [
            ("FLINK_HOME", "/opt/flink".to_owned()),
            ("JAVA_HOME", java.to_string()),
            ("PATH", format!("/opt/flink/bin:{java}/bin:{PATH}")),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        let entry_point = Layer {
            content: Content::Script(include_str!("flink-entrypoint.sh").to_owned()),
            target: "/docker-entrypoint.sh".to_owned(),
        };
        let image = Image {
            root: None,
            layers: vec![entry_point],
            entrypoint: vec!["/docker-entrypoint.sh".to_owned()],
            command: vec!["help".to_owned()],
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            working_directory: "/opt/flink".to_owned(),
            user: None,
        };
        image.with_path(flink_home, "/opt/flink")
    }

    /// The image with a file or directory of this machine laid over it. Two directories with one target are
    /// seen as one, the later one above.
    #[must_use]
    pub fn with_path(mut self, source: &Path, target: &str) -> Image {
        self.layers.push(Layer { content: Content::Path(source.to_owned()), target: target.to_owned() });
        self
    }
}

/// Names of images and what they stand for.
#[derive(Clone, Debug, Default)]
pub struct ImageTable {
    entries: Vec<(String, Image)>,
}

impl ImageTable {
    /// Adds an entry. The pattern is a whole name, or the beginning of one followed by `*`.
    #[must_use]
    pub fn with(mut self, pattern: &str, image: Image) -> ImageTable {
        self.add(pattern, image);
        self
    }

    /// Adds an entry, which comes before those that are there.
    pub fn add(&mut self, pattern: &str, image: Image) {
        self.entries.push((pattern.to_owned(), image));
    }

    /// The image of a name: the entry that was added last among those that fit.
    pub fn find(&self, name: &str) -> Option<&Image> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        self.entries.iter().rev().find(|(pattern, _)| fits(pattern)).map(|(_, image)| image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_entry_comes_before_an_earlier_one() {
        let other = Image { working_directory: "/other".to_owned(), ..Image::machine() };
        let table = ImageTable::default().with("flink:1.20*", Image::machine()).with("flink:1.20.9", other);
        assert_eq!(table.find("flink:1.20.3"), Some(&Image::machine()));
        assert_eq!(table.find("flink:1.20.9").unwrap().working_directory, "/other");
        assert_eq!(table.find("flink:1.2"), None);
        assert_eq!(table.find("my/flink:1.20"), None);
    }
}
