//! What a person or a project has set once: which cluster and namespace, and whether anything may be changed. A flag
//! counts first, then a variable, then the files: `drey.toml` of this directory or one above it,
//! `$XDG_CONFIG_HOME/drey/config.toml`, `/etc/drey/config.toml`. Refuses to know what is done with them.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Kind};

/// Name of the file of a project.
pub const PROJECT_FILE: &str = "drey.toml";
/// The variable that `kubectl` reads too, and that counts before files.
const KUBECONFIG: &str = "KUBECONFIG";

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In a variable of the environment.
    Variable(&'static str),
    /// In a file.
    File(PathBuf),
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in files.
    pub key: &'static str,
    /// The value as text; `None` when nothing was set.
    pub value: Option<String>,
    /// Where it was found.
    pub origin: Origin,
}

/// The contents of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    namespace: Option<String>,
    read_only: Option<bool>,
}

impl File {
    fn text(&self, key: &str) -> Option<String> {
        match key {
            "kubeconfig" => self.kubeconfig.as_ref().map(|path| path.display().to_string()),
            "context" => self.context.clone(),
            "namespace" => self.namespace.clone(),
            "read-only" => self.read_only.map(|is_so| is_so.to_string()),
            _ => None,
        }
    }
}

/// Everything that can be set, in the order of the manual.
const KEYS: [(&str, &str); 4] = [
    ("kubeconfig", "DREY_KUBECONFIG"),
    ("context", "DREY_CONTEXT"),
    ("namespace", "DREY_NAMESPACE"),
    ("read-only", "DREY_READ_ONLY"),
];

/// What counts for a command line, key by key.
///
/// # Errors
/// A file that cannot be read or holds something else, with its line.
pub fn of(args: &ConnectionArgs) -> Result<Vec<Setting>, Failure> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let files = if args.no_config { Vec::new() } else { read(&paths(environment))? };
    Ok(KEYS.iter().map(|(key, variable)| setting(args, key, variable, environment, &files)).collect())
}

fn setting(
    args: &ConnectionArgs,
    key: &'static str,
    variable: &'static str,
    environment: impl Fn(&str) -> Option<String>,
    files: &[(PathBuf, File)],
) -> Setting {
    let found = |value: String, origin| Setting { key, value: Some(value), origin };
    if let Some(value) = args.given(key) {
        return found(value, Origin::Flag);
    }
    let variables = if key == "kubeconfig" { vec![variable, KUBECONFIG] } else { vec![variable] };
    for variable in variables {
        if let Some(value) = environment(variable) {
            return found(value, Origin::Variable(variable));
        }
    }
    let in_file = files.iter().find_map(|(path, file)| Some((path, file.text(key)?)));
    match in_file {
        Some((path, value)) => found(value, Origin::File(path.clone())),
        None => Setting { key, value: None, origin: Origin::Default },
    }
}

/// The files that may exist, the one that counts first in front.
fn paths(environment: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let project = std::env::current_dir().ok().and_then(|directory| {
        directory.ancestors().map(|above| above.join(PROJECT_FILE)).find(|path| path.is_file())
    });
    let home = || environment("HOME").map(|home| Path::new(&home).join(".config"));
    let of_person = environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let of_person = of_person.map(|directory| directory.join("drey/config.toml"));
    project.into_iter().chain(of_person).chain([PathBuf::from("/etc/drey/config.toml")]).collect()
}

fn read(paths: &[PathBuf]) -> Result<Vec<(PathBuf, File)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |message: String| Failure::new(Kind::Invalid, message).on(path.display().to_string());
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let mut file: File = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
                // A path in a file begins where the file is.
                let directory = path.parent().unwrap_or(Path::new("/"));
                file.kubeconfig = file.kubeconfig.map(|kubeconfig| directory.join(kubeconfig));
                files.push((path.clone(), file));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn a_flag_counts_before_a_variable_before_the_nearest_file() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let near = written(directory.path(), "near.toml", "namespace = \"near\"\n");
        let far = written(
            directory.path(),
            "far.toml",
            "namespace = \"far\"\ncontext = \"far\"\nread-only = true\nkubeconfig = \"config\"\n",
        );
        let files = read(&[near.clone(), directory.path().join("absent.toml"), far.clone()]).expect("read");
        let args = ConnectionArgs { context: Some("flag".to_owned()), ..ConnectionArgs::default() };
        let none = |_: &str| None;
        let of = |key, variable, environment: &dyn Fn(&str) -> Option<String>| {
            let setting = setting(&args, key, variable, environment, &files);
            (setting.value, setting.origin)
        };
        assert_eq!(of("context", "DREY_CONTEXT", &none), (Some("flag".into()), Origin::Flag));
        assert_eq!(of("namespace", "DREY_NAMESPACE", &none), (Some("near".into()), Origin::File(near)));
        let variable = |name: &str| (name == "DREY_NAMESPACE").then(|| "variable".to_owned());
        let found = of("namespace", "DREY_NAMESPACE", &variable);
        assert_eq!(found, (Some("variable".into()), Origin::Variable("DREY_NAMESPACE")));
        assert_eq!(
            of("read-only", "DREY_READ_ONLY", &none),
            (Some("true".into()), Origin::File(far.clone()))
        );
        let beside = directory.path().join("config").display().to_string();
        assert_eq!(of("kubeconfig", "DREY_KUBECONFIG", &none), (Some(beside), Origin::File(far)));
        let kubectl = |name: &str| (name == KUBECONFIG).then(|| "/k".to_owned());
        assert_eq!(
            of("kubeconfig", "DREY_KUBECONFIG", &kubectl),
            (Some("/k".into()), Origin::Variable(KUBECONFIG))
        );
    }

    #[test]
    fn a_file_that_is_not_understood_is_named_with_its_line() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = written(directory.path(), "drey.toml", "namespace = \"a\"\nnamespaec = \"b\"\n");
        let failure = read(std::slice::from_ref(&path)).expect_err("unknown key");
        let text = failure.to_string();
        assert!(
            text.contains("line 2") && text.contains("namespaec") && text.contains("drey.toml"),
            "{text}"
        );
    }
}
