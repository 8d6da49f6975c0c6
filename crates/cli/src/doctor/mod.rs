//! What keeps jobs from running that no job can say itself: the definitions, the operator, its webhook, rights, accounts,
//! and where state is kept.
//!
//! ```text
//!   definitions, operator, admission, person, jobs (─► storage) ─► Finding (ok, to know, wrong) ─► command/doctor
//!        each asks the API server for what it needs, and judges purely
//! ```
//! It refuses to change anything, and to guess: what it may not look at is said to be unknown.

pub mod admission;
pub mod definitions;
pub mod jobs;
pub mod operator;
pub mod person;
pub mod storage;

use serde::Serialize;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Worth knowing; jobs run.
    Note,
    /// It cannot be told.
    Unknown,
    /// Jobs do not run, or lose what they should keep.
    Wrong,
}

impl Verdict {
    /// The word that is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        }
    }
}

/// What was found in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// The object, if it is about one.
    pub object: Option<String>,
    /// What was found, in one sentence.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    /// A finding that needs nothing done.
    pub fn new(check: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { check, verdict, object: None, message: message.into(), fix: None }
    }

    /// Names the object, as `kind/name`.
    #[must_use]
    pub fn on(self, object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), ..self }
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// What could not be looked at.
    pub fn unknown(check: &'static str, what: &str, error: &kube::Error) -> Self {
        let why = match error {
            kube::Error::Api(status) if status.code == 403 => format!("you may not look at {what}"),
            error => format!("{what} cannot be read: {error}"),
        };
        Self::new(check, Verdict::Unknown, why)
    }
}
