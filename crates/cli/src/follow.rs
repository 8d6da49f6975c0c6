//! Waiting for a deployment to reach a state, with every change on the way told. Refuses to decide what the state is: that is the caller's judgement.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::core::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher};

use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::kinds::FlinkKind;
use crate::progress::Steps;

/// What the caller makes of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// The state is reached.
    Reached(T),
    /// Not yet; the line says where it stands.
    Waiting(String),
    /// It cannot be reached any more.
    Failed(Failure),
}

/// Whom to follow, and how long.
#[derive(Clone, Debug)]
pub struct Followed<'a> {
    /// The API.
    pub api: Api<DynamicObject>,
    /// Name of the deployment.
    pub name: &'a str,
    /// How long to wait.
    pub timeout: Duration,
    /// What is waited for, for the message of a timeout: `the job to be RUNNING`.
    pub what: String,
}

/// The deployments of a connection's namespace.
#[must_use]
pub fn deployments(connection: &Connection) -> Api<DynamicObject> {
    connection.api(&FlinkKind::Deployment.resource(), false)
}

/// Looks at every change of a deployment until the judgement is final.
///
/// # Errors
/// The judgement's own failure, a timeout, or Ctrl-C.
pub async fn follow<T>(
    followed: Followed<'_>,
    mut judge: impl FnMut(Option<&View>) -> Verdict<T>,
) -> Result<T, Failure> {
    let object = FlinkKind::Deployment.object(followed.name);
    let mut steps = Steps::of(&object);
    let looking = async {
        let mut changes =
            watcher::watch_object(followed.api.clone(), followed.name).default_backoff().boxed();
        let mut was_there = false;
        loop {
            let verdict = match changes.try_next().await {
                Ok(Some(found)) => {
                    let view = found.map(View::from_object).transpose()?;
                    was_there |= view.is_some();
                    judge(view.as_ref())
                }
                Ok(None) => return Err(Failure::new(Kind::Internal, "the watch ended").on(&object)),
                Err(error) => unanswered(&error, &object),
            };
            match verdict {
                Verdict::Reached(reached) => return Ok(reached),
                Verdict::Failed(failure) if failure.kind() == Kind::NotFound && !was_there => {
                    return Err(Failure::new(Kind::NotFound, "it does not exist")
                        .on(&object)
                        .hint("see what exists: `drey get -A`"));
                }
                Verdict::Failed(failure) => return Err(failure),
                Verdict::Waiting(line) => steps.now(line),
            }
        }
    };
    // In this order: whoever sees the first line may interrupt.
    let outcome = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => return Err(interrupted(&object)),
        outcome = tokio::time::timeout(followed.timeout, looking) => outcome,
    };
    outcome.unwrap_or_else(|_| Err(too_late(&followed, &object, steps.current())))
}

/// A refusal stays one; everything else may pass.
fn unanswered<T>(error: &watcher::Error, object: &str) -> Verdict<T> {
    if let watcher::Error::InitialListFailed(error @ kube::Error::Api(status)) = error
        && matches!(status.code, 401 | 403 | 404)
    {
        return Verdict::Failed(Failure::from_kube(error, object));
    }
    Verdict::Waiting(format!("the API does not answer: {error}"))
}

fn interrupted(object: &str) -> Failure {
    Failure::new(Kind::Interrupted, "stopped waiting; what was asked for goes on")
        .on(object)
        .hint("see how it goes with `drey get -w`")
}

fn too_late(followed: &Followed<'_>, object: &str, last_said: &str) -> Failure {
    let seconds = followed.timeout.as_secs();
    let failure = Failure::new(Kind::Timeout, format!("waited {seconds} s for {}", followed.what)).on(object);
    let failure = if last_said.is_empty() { failure } else { failure.detail(last_said) };
    failure.hint(format!("see why with `drey describe {}`", followed.name))
}

/// The line that tells where a deployment stands.
#[must_use]
pub fn progress(view: &View) -> String {
    let lifecycle = view.status.lifecycle_state.map_or("", |state| state.as_str());
    let job = view.job_state().map_or("", |state| state.as_str());
    let sentence = view.sentence();
    let words = [lifecycle, job, sentence.as_str()];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" · ")
}

/// A timeout on the command line: `90s`, `5m`, `1h`, or a number of seconds.
///
/// # Errors
/// What is no such time.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| "expected a time such as `90s`, `5m` or `1h`".to_owned())?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| (1..=7 * 86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "expected 1s to 7 days: `90s`, `5m`, `1h`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_the_command_line() {
        let expected = [("90s", 90), ("90", 90), ("5m", 300), ("1h", 3600)];
        for (text, seconds) in expected {
            assert_eq!(parse_timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0s", "5x", "-1s", "99999999999999999999h", "169h"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }
}
