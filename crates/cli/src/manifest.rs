//! Files of YAML or JSON into objects, with the line of every field, so that a complaint can point at it.
//! YAML is read into plain JSON values first and never straight into types, so that a quoted number stays
//! a text as it does for `kubectl`. Refuses to know what an object means.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::failure::{Failure, Kind};

/// Largest file that is read, in bytes; the API server takes objects up to about half of it.
const FILE_BYTES_MAX: u64 = 3 * 1024 * 1024;
/// Most files that a directory may hold.
const FILES_MAX: usize = 1_000;

/// One object of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file, `-` for standard input.
    pub file: PathBuf,
    /// Line at which the object begins, counted from 1.
    pub line: u64,
    /// The object.
    pub value: Value,
    located: Located,
}

impl Document {
    /// `kind/name` with a lower-case kind, as other commands take it.
    #[must_use]
    pub fn object_name(&self) -> String {
        let kind = self.kind().unwrap_or("object").to_lowercase();
        format!("{kind}/{}", self.name().unwrap_or("?"))
    }

    /// `kind` of the object.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.value.get("kind")?.as_str()
    }

    /// `metadata.name` of the object.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.value.get("metadata")?.get("name")?.as_str()
    }

    /// `metadata.namespace` of the object.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.value.get("metadata")?.get("namespace")?.as_str()
    }

    /// The line of a field given as `spec.job.args[0]`; of the nearest parent when it does not exist.
    #[must_use]
    pub fn line_of(&self, field: &str) -> u64 {
        self.located.line_of(field).unwrap_or(self.line)
    }

    /// `file:line` of a field.
    #[must_use]
    pub fn place_of(&self, field: &str) -> String {
        format!("{}:{}", self.file.display(), self.line_of(field))
    }

    /// Directory against which relative paths of this file are resolved.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        let parent = if self.file == Path::new("-") { None } else { self.file.parent() };
        let directory = parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned())
    }
}

/// Reads every object of these files; `-` is standard input, a directory stands for its `.yaml`, `.yml`
/// and `.json` files in order of name.
///
/// # Errors
/// The first file that cannot be read or is not YAML, with its line.
pub fn read_files(paths: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    for path in paths {
        for file in expand(path)? {
            documents.extend(parse(&file, &read_text(&file)?)?);
        }
    }
    Ok(documents)
}

/// Reads every object of a text. Empty documents are left out, the items of a `List` stand for themselves.
///
/// # Errors
/// What is not YAML, or no Kubernetes object, with its line.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Document>, Failure> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    let documents: Vec<Spanned<Located>> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| not_yaml(file, &error))?;
    let mut objects = Vec::new();
    for document in documents {
        let located = Located { line: document.defined.line(), tree: document.value.tree };
        if located.tree != Tree::Scalar(Value::Null) {
            push_object(file, located, &mut objects)?;
        }
    }
    Ok(objects)
}

fn push_object(file: &Path, located: Located, objects: &mut Vec<Document>) -> Result<(), Failure> {
    let value = located.to_value();
    if value.get("kind").and_then(Value::as_str) == Some("List") {
        if let Some(items) = located.into_field("items") {
            for item in items.into_items() {
                push_object(file, item, objects)?;
            }
        }
        return Ok(());
    }
    let document = Document { file: file.to_owned(), line: located.line, value, located };
    for field in ["apiVersion", "kind", "metadata.name"] {
        let found = field.split('.').try_fold(&document.value, |value, key| value.get(key));
        let found = found.filter(|value| !value.is_null() && value.as_str() != Some(""));
        if found.is_some_and(|value| !value.is_string()) {
            let failure = Failure::new(Kind::Invalid, format!("`{field}` is not a text"));
            return Err(failure.on(document.place_of(field)).hint("put it into quotes"));
        }
        if found.is_none() {
            let message = format!("`{field}` is missing: this is not a Kubernetes object");
            return Err(Failure::new(Kind::Invalid, message).on(document.place_of(field)).hint(format!(
                "begin with `apiVersion: {}` and `kind: FlinkDeployment`",
                drey_api::kinds::API_VERSION
            )));
        }
    }
    objects.push(document);
    Ok(())
}

fn not_yaml(file: &Path, error: &serde_saphyr::Error) -> Failure {
    let place = match error.location() {
        Some(location) => format!("{}:{}:{}", file.display(), location.line(), location.column()),
        None => file.display().to_string(),
    };
    let said = error.to_string();
    let said = first_line(&said);
    // The place is named already.
    let message = format!("not valid YAML: {}", said.split_once(" at line ").map_or(said, |(what, _)| what));
    let failure = Failure::new(Kind::Invalid, message).on(place);
    if failure.message().to_lowercase().contains("tab") {
        return failure.hint("indent with spaces; YAML takes no tabs");
    }
    failure.hint("look at the indentation, the quotes and the brackets there and in the line before")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn expand(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        file.is_file() && matches!(extension, Some("yaml" | "yml" | "json"))
    });
    files.sort();
    if files.is_empty() || files.len() > FILES_MAX {
        let message = format!("the directory holds {} files of YAML or JSON", files.len());
        return Err(Failure::new(Kind::NotFound, message)
            .on(path.display().to_string())
            .hint(format!("name a directory with 1 to {FILES_MAX} of them, or the files")));
    }
    Ok(files)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|error| unreadable(path, &error))?)
    };
    reader.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::new(Kind::Invalid, format!("larger than {FILE_BYTES_MAX} bytes"))
            .on(path.display().to_string())
            .hint("split the file; one object of Kubernetes has at most about 1.5 MiB"));
    }
    Ok(text)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let object = path.display().to_string();
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(Kind::NotFound, "no such file").on(object),
        std::io::ErrorKind::InvalidData => Failure::new(Kind::Invalid, "not a text in UTF-8").on(object),
        _ => Failure::new(Kind::Failed, format!("cannot be read: {error}")).on(object),
    }
}

/// A YAML node with the line where it stands.
#[derive(Clone, Debug, PartialEq)]
struct Located {
    line: u64,
    tree: Tree,
}

#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Scalar(Value),
    Items(Vec<Located>),
    Fields(Vec<(String, Located)>),
}

impl Located {
    fn to_value(&self) -> Value {
        match &self.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::Items(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Tree::Fields(fields) => {
                let entries = fields.iter().map(|(key, field)| (key.clone(), field.to_value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    fn into_field(self, name: &str) -> Option<Self> {
        match self.tree {
            Tree::Fields(fields) => fields.into_iter().find(|(key, _)| key == name).map(|(_, field)| field),
            Tree::Scalar(_) | Tree::Items(_) => None,
        }
    }

    fn into_items(self) -> Vec<Self> {
        match self.tree {
            Tree::Items(items) => items,
            Tree::Scalar(_) | Tree::Fields(_) => Vec::new(),
        }
    }

    /// Keys may hold dots themselves (`flinkConfiguration`), so the longest key that fits is taken.
    fn line_of(&self, path: &str) -> Option<u64> {
        let path = path.trim_start_matches('.');
        if path.is_empty() {
            return Some(self.line);
        }
        let below = match &self.tree {
            Tree::Scalar(_) => None,
            Tree::Items(items) => {
                let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
                items.get(number.parse::<usize>().ok()?).and_then(|item| item.line_of(rest))
            }
            Tree::Fields(fields) => fields
                .iter()
                .filter_map(|(key, field)| Some((key, field, path.strip_prefix(key.as_str())?)))
                .filter(|(_, _, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
                .max_by_key(|(key, _, _)| key.len())
                .and_then(|(_, field, rest)| field.line_of(rest)),
        };
        below.or(Some(self.line))
    }
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = deserializer.deserialize_any(TreeVisitor)?;
        Ok(Self { line: 0, tree })
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Tree::Scalar(Value::Number(number)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Located>>()? {
            items.push(Located { line: item.defined.line(), tree: item.value.tree });
        }
        Ok(Tree::Items(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let field: Located = access.next_value()?;
            fields.push((key.value, Located { line: key.defined.line(), tree: field.tree }));
        }
        Ok(Tree::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JOB: &str = "apiVersion: flink.apache.org/v1beta1
kind: FlinkDeployment
metadata:
  name: a
spec:
  flinkConfiguration:
    taskmanager.numberOfTaskSlots: \"2\"
    state.backend: rocksdb
  job:
    args: [\"--rate\", \"5\"]
    parallelism: 014
    drain: yes
---
# nothing here
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: b}
";

    fn read(text: &str) -> Result<Vec<Document>, Failure> {
        parse(Path::new("job.yaml"), text)
    }

    #[test]
    fn values_are_those_of_kubectl() {
        let documents = read(JOB).expect("valid");
        let spec = &documents[0].value["spec"];
        assert_eq!(spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"], "2");
        assert_eq!(spec["job"]["parallelism"], 12);
        assert_eq!(spec["job"]["drain"], true);
        assert_eq!(documents[1].object_name(), "configmap/b");
        assert_eq!(documents.len(), 2);
    }

    #[test]
    fn lines_point_at_fields() {
        let documents = read(JOB).expect("valid");
        let expected = [
            ("spec.job.parallelism", 11),
            ("spec.flinkConfiguration.state.backend", 8),
            ("spec.job.args[1]", 10),
            ("spec.job.nothing", 9),
            ("spec.absent.deep", 5),
        ];
        for (field, line) in expected {
            assert_eq!(documents[0].line_of(field), line, "{field}");
        }
        assert_eq!(documents[1].line_of("metadata.name"), 21);
    }

    #[test]
    fn what_is_no_object_is_named_with_its_line() {
        let expected = [
            ("a: [1", "job.yaml:"),
            ("kind: x\nkind: y\n", "job.yaml:2"),
            ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {}\n", "job.yaml:3"),
            ("just text", "job.yaml:1"),
            (
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: 12\n",
                "job.yaml:4: `metadata.name` is not a text",
            ),
        ];
        for (text, place) in expected {
            let failure = read(text).expect_err(text);
            assert!(failure.to_string().contains(place), "{text:?}: {failure}");
            assert_eq!(failure.kind(), Kind::Invalid);
            assert!(failure.to_string().contains("\nhint: "), "{failure}");
        }
    }

    #[test]
    fn files_that_do_not_exist_or_are_too_large_are_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let large = directory.path().join("large.yaml");
        std::fs::write(&large, vec![b'#'; FILE_BYTES_MAX as usize + 1]).expect("written");
        assert_eq!(read_files(&[large]).expect_err("large").kind(), Kind::Invalid);
        let absent = directory.path().join("absent.yaml");
        assert_eq!(read_files(&[absent]).expect_err("absent").kind(), Kind::NotFound);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let of = level - 1;
            let row = vec![format!("*a{of}"); 9].join(",");
            text.push_str(&format!("a{level}: &a{level} [{row}]\n"));
        }
        assert!(read(&text).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a:\\-\\[\\]{}&*!'\"\n #0-9|>]{0,60}") {
            let _outcome = read(&text);
        }
    }
}
