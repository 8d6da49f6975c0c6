//! What a person reads when a command does not succeed: what failed, on which object, why, and the next
//! command. Every error of a library is classified once, here, where the user meets it.

use std::fmt;

use serde_json::json;

use crate::exit::Exit;
use crate::read_only::ReadOnly;

/// What a store says that has no room; those of SQLite and of etcd.
const STORE_FULL: [&str; 2] = ["database or disk is full", "database space exceeded"];

/// Why a command did not succeed. The word is stable: scripts may match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The state that was asked for cannot be reached, or an operation failed.
    Failed,
    /// The command line asks for something that makes no sense.
    Usage,
    /// An object, file or namespace does not exist.
    NotFound,
    /// The API server refuses this user.
    Forbidden,
    /// The input breaks a rule.
    Invalid,
    /// Something else exists or happens already.
    Conflict,
    /// A question whose answer may be the exit code 1 could not be answered.
    Unanswered,
    /// The API or Flink cannot be reached.
    Unreachable,
    /// The time is over.
    Timeout,
    /// The reader of our output went away, which is success.
    BrokenPipe,
    /// Ctrl-C.
    Interrupted,
    /// A defect of drey, or an answer that nobody foresaw.
    Internal,
}

impl Kind {
    /// What a command ended for whose exit code is known and nothing else.
    #[must_use]
    pub fn of_code(code: i32) -> Self {
        let kinds = [
            Self::Failed,
            Self::Usage,
            Self::NotFound,
            Self::Forbidden,
            Self::Conflict,
            Self::Unanswered,
            Self::Unreachable,
            Self::Timeout,
            Self::Interrupted,
        ];
        let same = kinds.into_iter().find(|kind| i32::from(kind.exit().code()) == code);
        same.unwrap_or(Self::Failed)
    }

    /// The stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Unanswered => "unanswered",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::BrokenPipe => "broken-pipe",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        }
    }

    /// How the process ends.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Failed | Self::Internal => Exit::Failed,
            Self::Usage => Exit::Usage,
            Self::NotFound => Exit::NotFound,
            Self::Forbidden => Exit::Forbidden,
            Self::Invalid | Self::Conflict => Exit::Refused,
            Self::Unanswered => Exit::Unanswered,
            Self::Unreachable => Exit::Unreachable,
            Self::Timeout => Exit::Timeout,
            Self::BrokenPipe => Exit::Success,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// One failure, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    message: String,
    object: Option<String>,
    details: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// A failure that says what failed and why, in one sentence without a full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), object: None, details: Vec::new(), hints: Vec::new() }
    }

    /// Names the object, as `kind/name` or a file.
    #[must_use]
    pub fn on(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Adds a line of detail, such as one of several problems.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds what the reader can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same failure where the exit code 1 is an answer.
    #[must_use]
    pub fn without_answer(mut self) -> Self {
        if self.kind.exit() == Exit::Failed {
            self.kind = Kind::Unanswered;
        }
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The first sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure as one JSON object, for `-o json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "apiVersion": "drey.dev/v1",
            "kind": "Failure",
            "code": self.kind.word(),
            "exitCode": self.kind.exit().code(),
            "message": self.message,
            "object": self.object,
            "details": self.details,
            "hint": self.hints.join("\n"),
        })
    }

    /// Classifies an answer of the Kubernetes API about `object`.
    #[must_use]
    pub fn from_kube(error: &kube::Error, object: &str) -> Self {
        match error {
            kube::Error::Api(status) => Self::from_status(status, object),
            kube::Error::Service(error) if error.is::<ReadOnly>() => Self::read_only().on(object),
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                Self::new(Kind::Unreachable, format!("the Kubernetes API cannot be reached: {}", root(error)))
                    .on(object)
                    .hint("check the address in the kubeconfig, or start the local API with `drey up`")
            }
            other => Self::new(Kind::Internal, format!("the request failed: {}", root(other))).on(object),
        }
    }

    /// Nothing may be changed.
    #[must_use]
    pub fn read_only() -> Self {
        Self::new(Kind::Forbidden, ReadOnly.to_string())
            .hint("`drey config view --show-origin` says where it is set")
    }

    /// There is no room, for whatever was to be written.
    #[must_use]
    pub fn disk_full() -> Self {
        Self::new(Kind::Failed, "the disk is full").hint("free some space and run the command again")
    }

    fn from_status(status: &kube::core::Status, object: &str) -> Self {
        let message = if status.message.is_empty() { status.reason.clone() } else { status.message.clone() };
        if STORE_FULL.iter().any(|words| message.contains(words)) {
            return Self::disk_full().detail(message).on(object);
        }
        let kind = match status.code {
            401 | 403 => Kind::Forbidden,
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            400 | 405 | 406 | 413 | 415 | 422 => Kind::Invalid,
            408 | 504 => Kind::Timeout,
            429 | 500..=503 => Kind::Unreachable,
            _ => Kind::Failed,
        };
        let failure = Self::new(kind, message).on(object);
        match kind {
            Kind::Forbidden => failure.hint("check the user of the kubeconfig: `kubectl auth whoami`"),
            Kind::NotFound if status.message.starts_with("the server could not find") => {
                failure.hint("the Flink kinds are not installed: `drey crds apply`")
            }
            Kind::NotFound => failure.hint("see what exists: `drey get -A`"),
            _ => failure,
        }
    }
}

/// The innermost cause, which is the one that helps.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "error: {object}: {}", self.message)?,
            None => write!(f, "error: {}", self.message)?,
        }
        for detail in &self.details {
            write!(f, "\n  {detail}")?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Kind::BrokenPipe, "the output was closed"),
            std::io::ErrorKind::StorageFull => Self::disk_full(),
            _ => Self::new(Kind::Failed, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(kube::core::Status::failure(message, "Reason").with_code(code).boxed())
    }

    #[test]
    fn each_answer_of_the_api_has_its_exit_code() {
        let expected = [
            (401, Exit::Forbidden),
            (403, Exit::Forbidden),
            (404, Exit::NotFound),
            (409, Exit::Refused),
            (422, Exit::Refused),
            (503, Exit::Unreachable),
            (504, Exit::Timeout),
            (418, Exit::Failed),
        ];
        for (code, exit) in expected {
            let failure = Failure::from_kube(&status(code, "m"), "flinkdeployment/a");
            assert_eq!(failure.kind().exit(), exit, "{code}");
        }
    }

    #[test]
    fn a_full_store_is_a_full_disk_and_not_an_api_that_cannot_be_reached() {
        let error =
            status(500, "Internal error occurred: the change could not be stored: database or disk is full");
        let failure = Failure::from_kube(&error, "flinkdeployment/a");
        assert_eq!(failure.kind(), Kind::Failed);
        assert!(failure.to_string().starts_with("error: flinkdeployment/a: the disk is full"), "{failure}");
        assert!(failure.to_string().contains("hint: free some space"), "{failure}");
    }

    #[test]
    fn text_names_object_cause_and_next_command() {
        let failure = Failure::new(Kind::Failed, "the job did not start")
            .on("flinkdeployment/a")
            .detail("main class missing")
            .hint("see `drey logs a`");
        let expected = "error: flinkdeployment/a: the job did not start\n  main class missing\n\
                        hint: see `drey logs a`";
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.to_json()["code"], "failed");
    }

    #[test]
    fn a_broken_pipe_is_success() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(failure.kind().exit(), Exit::Success);
    }
}
