//! The exit codes of `drey`: one list, from which the process ends, the help text and the
//! documentation are made. Refuses to know what went wrong in words; that is [`crate::failure`].

macro_rules! exit_codes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, )+) => {
        /// How a command ended, as the number that the shell sees.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Exit { $( $(#[doc = $doc])+ $name, )+ }

        impl Exit {
            /// Every exit code, in the order of the documentation.
            pub const ALL: &'static [Exit] = &[ $( Exit::$name, )+ ];

            /// The number that the shell sees.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $( Exit::$name => $code, )+ }
            }

            /// The sentence of the documentation.
            #[must_use]
            pub fn meaning(self) -> String {
                match self { $( Exit::$name => [$($doc),+].concat().trim().to_owned(), )+ }
            }
        }
    };
}

exit_codes! {
    /// What was asked is done.
    Success = 0,
    /// The operation failed, or the state that was asked for was not reached.
    Failed = 1,
    /// The command line is not understood.
    Usage = 2,
    /// The object that was named does not exist.
    NotFound = 3,
    /// The API server, or Flink, does not let this user do it.
    Forbidden = 4,
    /// Refused by validation, or in conflict with what exists.
    Refused = 5,
    /// The Kubernetes API or Flink cannot be reached.
    Unreachable = 6,
    /// The question of `drey diff` or `drey status` could not be answered; there 1 is an answer.
    Unanswered = 7,
    /// The time given by `--timeout` is over.
    Timeout = 124,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table of exit codes in Markdown, for the documentation.
#[must_use]
pub fn table_markdown() -> String {
    let rows = Exit::ALL.iter().map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning()));
    std::iter::once("| Code | Meaning |\n|---|---|\n".to_owned()).chain(rows).collect()
}

/// The exit codes as they stand at the end of `drey --help`.
#[must_use]
pub fn help_text() -> String {
    let rows = Exit::ALL.iter().map(|exit| format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    std::iter::once("Exit codes:\n".to_owned()).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_differ_and_each_has_a_sentence() {
        let codes: BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert!(Exit::ALL.iter().all(|exit| exit.meaning().ends_with('.')));
        assert!(table_markdown().contains("| 124 | The time given by `--timeout` is over. |"));
    }
}
