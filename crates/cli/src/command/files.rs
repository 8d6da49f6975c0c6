//! Which files a command reads: those after `-f`, as kubectl takes them, and those without it.

use std::path::PathBuf;

/// Files or directories of YAML or JSON
#[derive(Clone, Debug, clap::Args)]
#[group(id = "files", required = true, multiple = true)]
pub struct Files {
    /// Files or directories of YAML or JSON; `-` is standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE", num_args = 1..)]
    named: Vec<PathBuf>,
    /// The same, without `-f`
    #[arg(value_name = "FILE")]
    bare: Vec<PathBuf>,
}

impl Files {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<PathBuf> {
        self.named.iter().chain(&self.bare).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        files: Files,
    }

    #[test]
    fn files_are_taken_with_and_without_the_flag_and_at_least_one_is_needed() {
        let read = |line: &[&str]| {
            let line = Line::try_parse_from(std::iter::once(&"drey").chain(line));
            line.ok().map(|line| line.files.all())
        };
        let files = |names: &[&str]| Some(names.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(read(&["a.yaml"]), files(&["a.yaml"]));
        assert_eq!(read(&["-f", "a.yaml", "-f", "-"]), files(&["a.yaml", "-"]));
        assert_eq!(read(&["c.yaml", "-f", "a.yaml", "b.yaml"]), files(&["a.yaml", "b.yaml", "c.yaml"]));
        assert_eq!(read(&[]), None);
    }
}
