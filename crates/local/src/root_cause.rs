//! One sentence on why a process ended, from the end of its logs.
//!
//! It refuses to know Flink's exit codes and the processes themselves.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use drey_flink::limits::shorten;

use crate::limits;

/// The cause in the end of the first of these files that tells one.
pub(crate) fn of_files(paths: &[&Path]) -> Option<String> {
    paths.iter().find_map(|path| of_text(&tail(path).ok()?))
}

/// What to do about a cause that has one way out. `entry_class` is the one that the resource names.
pub(crate) fn way_out(cause: &str, entry_class: Option<&str>) -> Option<&'static str> {
    let missing_class = cause.rsplit_once("ClassNotFoundException: ").map(|(_, class)| class.trim());
    if missing_class.is_some() && missing_class == entry_class {
        return Some("correct spec.job.entryClass, or build the jar with that class");
    }
    let known = [
        ("Neither a 'Main-Class'", "name the class that has `main` in spec.job.entryClass"),
        ("no main(String[]) method", "name the class that has `main` in spec.job.entryClass"),
        ("UnsupportedClassVersionError", "build the jar for an older Java, or set JAVA_HOME to a newer one"),
        ("BindException", "the port was taken meanwhile, another one is tried"),
    ];
    known.into_iter().find(|(part, _)| cause.contains(part)).map(|(_, way_out)| way_out)
}

/// The end of a file, as text.
pub(crate) fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limits::LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(limits::LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The innermost cause of the last exception; else the last line that reports an error.
pub(crate) fn of_text(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let cause =
        last_exception(&lines).or_else(|| lines.iter().rev().find(|line| reports_error(line)).copied())?;
    Some(shorten(message_of(cause), limits::CAUSE_BYTES_MAX))
}

/// Of the last stack trace its last `Caused by:`, or else the line above its first frame.
fn last_exception<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let last_frame = lines.iter().rposition(|line| is_frame(line))?;
    let trace_line = |line: &&str| is_frame(line) || is_continuation(line);
    let begin = lines[..last_frame].iter().rposition(|line| !trace_line(line)).unwrap_or(0);
    let caused =
        lines[begin..=last_frame].iter().rev().find(|line| line.trim_start().starts_with("Caused by: "));
    Some(caused.unwrap_or(&lines[begin]))
}

fn is_frame(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("at ") && line.ends_with(')')
}

fn is_continuation(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Caused by: ") || line.starts_with("... ") || line.starts_with("Suppressed: ")
}

fn reports_error(line: &str) -> bool {
    ["[ERROR]", " ERROR ", " FATAL ", "Error: ", "Exception: ", "No such file", "command not found"]
        .iter()
        .any(|mark| line.contains(mark))
}

/// Without the words of the logger before it.
fn message_of(line: &str) -> &str {
    let line = line.trim().trim_start_matches("Caused by: ").trim_start_matches("[ERROR] ");
    let logged = line.starts_with(|first: char| first.is_ascii_digit());
    match line.split_once(" - ") {
        Some((_, message)) if logged => message.trim(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(of_text(text).as_deref(), expected);
    }

    #[test]
    fn the_innermost_cause_of_the_last_exception_is_told() {
        check(
            "2026-01-01 10:00:00,000 ERROR o.a.f.X [] - Could not start.\n\
             org.apache.flink.util.FlinkException: Could not load the provided entrypoint class.\n\
             \tat org.apache.flink.A.b(A.java:1)\n\
             Caused by: java.lang.ClassNotFoundException: no.such.Main\n\
             \tat java.base/java.net.URLClassLoader.findClass(Unknown Source)\n\
             \t... 8 more\n\
             2026-01-01 10:00:01,000 INFO  o.a.f.X [] - Shutting down.\n",
            Some("java.lang.ClassNotFoundException: no.such.Main"),
        );
    }

    #[test]
    fn an_exception_without_a_cause_is_told_by_its_first_line() {
        check(
            "noise\njava.lang.IllegalStateException: bad\n\tat a.B.c(B.java:2)\n",
            Some("java.lang.IllegalStateException: bad"),
        );
    }

    #[test]
    fn a_cause_with_one_way_out_names_it() {
        let missing = "java.lang.ClassNotFoundException: a.B";
        assert!(way_out(missing, Some("a.B")).is_some_and(|way_out| way_out.contains("spec.job.entryClass")));
        assert_eq!(way_out(missing, Some("a.C")), None);
        assert_eq!(way_out(missing, None), None);
        assert!(way_out("x: Neither a 'Main-Class', nor a 'program-class' entry", None).is_some());
        assert_eq!(way_out("java.lang.IllegalStateException: bad", Some("a.B")), None);
    }

    #[test]
    fn errors_of_scripts_and_of_the_jvm_are_told() {
        check(
            "[ERROR] Multiple flink-dist*.jar found in /lib. Please resolve.\n",
            Some("Multiple flink-dist*.jar found in /lib. Please resolve."),
        );
        check(
            "Error: Could not find or load main class x\n",
            Some("Error: Could not find or load main class x"),
        );
        check("2026-01-01 10:00:00,000 ERROR o.a.f.X [] - Port 1 is taken\n", Some("Port 1 is taken"));
        check("2026-01-01 10:00:00,000 INFO  o.a.f.X [] - all is well\n", None);
    }
}
