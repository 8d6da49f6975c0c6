//! What can go wrong with a call, sorted by what is then known about its effect.
//!
//! This module refuses to know which reaction is right: repeating, waiting and giving up are decided by
//! the caller, who needs only to know whether the request may have been applied.

use super::endpoint::Endpoint;
use super::tls::TlsFault;

/// A call that did not give its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The request was certainly not applied.
    #[error("{endpoint} was refused: {refusal}")]
    Refused {
        /// The call.
        endpoint: Endpoint,
        /// Why.
        refusal: Refusal,
    },
    /// Flink itself says that the thing asked for does not exist **in this JobManager now**. A JobManager
    /// that is still recovering its jobs says so too, hence this alone is no proof that a job is gone.
    #[error("{endpoint} found nothing: {message}")]
    NotFound {
        /// The call.
        endpoint: Endpoint,
        /// Flink's words.
        message: String,
    },
    /// The request may or may not have been applied. Only looking tells.
    #[error("{endpoint} has an unknown outcome: {doubt}")]
    UnknownOutcome {
        /// The call.
        endpoint: Endpoint,
        /// What happened.
        doubt: Doubt,
    },
}

impl RestError {
    /// The call that failed.
    #[must_use]
    pub const fn endpoint(&self) -> Endpoint {
        match self {
            Self::Refused { endpoint, .. }
            | Self::NotFound { endpoint, .. }
            | Self::UnknownOutcome { endpoint, .. } => *endpoint,
        }
    }

    /// Whether no connection was made, so that there may be no JobManager at the address.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal::NotConnected { .. }, .. })
    }
}

/// Why a request was certainly not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No connection was made (refused, no such host, no TLS agreement, connecting took too long).
    #[error("no connection to {address}: {reason}")]
    NotConnected {
        /// The address asked, without credentials.
        address: String,
        /// The reason as the network stack gives it.
        reason: String,
        /// What is wrong with TLS, if that is why.
        tls: Option<TlsFault>,
    },
    /// The request could not be built, for instance because the address is no http address.
    #[error("the request cannot be made: {reason}")]
    NotSendable {
        /// The reason.
        reason: String,
    },
    /// The JobManager has no such call; its Flink is too old, or it is switched off there.
    #[error("this Flink does not have the call: {message}")]
    NoSuchCall {
        /// Flink's words.
        message: String,
    },
    /// Flink, or a proxy before it, answered with a 4xx status.
    #[error("status {status}: {message}")]
    Rejected {
        /// The HTTP status, 400–499.
        status: u16,
        /// The words of the answer, shortened.
        message: String,
    },
}

/// Why the outcome of a request is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The deadline passed after the connection was made.
    #[error("no answer within {after_ms} ms")]
    TimedOut {
        /// The deadline, in milliseconds.
        after_ms: u64,
    },
    /// The connection broke after the request may have been sent.
    #[error("the connection was lost: {reason}")]
    ConnectionLost {
        /// The reason as the network stack gives it.
        reason: String,
    },
    /// Flink, or a proxy before it, answered with a 5xx status.
    #[error("status {status}: {message}")]
    ServerError {
        /// The HTTP status, 500–599.
        status: u16,
        /// The words of the answer, shortened.
        message: String,
    },
    /// Something answered that is not Flink: a redirect, a login page, a proxy's own error.
    #[error("status {status} from something that is not Flink: {message}")]
    NotFlink {
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer.
        message: String,
    },
    /// The answer is longer than [`crate::limits::ANSWER_BYTES_MAX`].
    #[error("the answer is longer than {bytes_max} bytes")]
    TooLong {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// The answer is not the JSON that this call gives.
    #[error("the answer is not as expected: {reason}; it begins with `{beginning}`")]
    Unreadable {
        /// What the parser expected, with line and column.
        reason: String,
        /// The beginning of the answer.
        beginning: String,
    },
}
