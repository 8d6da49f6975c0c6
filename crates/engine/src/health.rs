//! Whether an engine sees what it has to see. Serving the answer over HTTP is not done here.

use std::fmt::Write;
use std::time::Duration;

use crate::limits::Limits;
use crate::scopes::{Scope, Trouble};

/// What is wrong with an engine; nothing when both are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why it does not do its work at present.
    pub not_ready: Vec<String>,
    /// Why a new process might do better: it does not run, or it has been blind for longer than a watch can take to be
    /// replaced.
    pub not_alive: Vec<String>,
}

/// Judges what is known. `running` is false before the start and after the end.
pub(crate) fn judge(running: bool, troubles: &[Trouble], limits: &Limits) -> Health {
    let mut health = Health::default();
    if !running {
        health.not_ready.push("the engine does not run".to_owned());
        health.not_alive.push("the engine does not run".to_owned());
    }
    for trouble in troubles {
        let words = words(trouble);
        if trouble.silent_for > limits.blind_after {
            health.not_alive.push(words.clone());
        }
        let failing = trouble.failing.as_ref().is_some_and(|(since, _)| *since > limits.refused_after);
        if !trouble.listed || failing || trouble.silent_for > limits.blind_after {
            health.not_ready.push(words);
        }
    }
    health
}

fn words(trouble: &Trouble) -> String {
    let Trouble { scope, listed, silent_for, failing } = trouble;
    let mut text = format!("FlinkDeployments of {}", place(scope));
    let seconds = |time: Duration| time.as_secs();
    if *listed {
        write!(text, ": nothing heard for {} s", seconds(*silent_for)).expect("a string takes everything");
    } else {
        text.push_str(" are not listed yet");
    }
    if let Some((since, message)) = failing {
        write!(text, ", errors for {} s: {message}", seconds(*since)).expect("a string takes everything");
    }
    text
}

fn place(scope: &Scope) -> String {
    scope.as_ref().map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(listed: bool, silent: u64, failing: Option<u64>) -> Trouble {
        let failing = failing.map(|seconds| (Duration::from_secs(seconds), "refused".to_owned()));
        Trouble { scope: None, listed, silent_for: Duration::from_secs(silent), failing }
    }

    fn judged(trouble: Trouble) -> (bool, bool) {
        let health = judge(true, &[trouble], &Limits::default());
        (health.not_ready.is_empty(), health.not_alive.is_empty())
    }

    #[test]
    fn a_moment_without_the_api_server_is_no_illness_and_minutes_are() {
        assert_eq!(judge(true, &[], &Limits::default()), Health::default());
        assert_eq!(judged(trouble(true, 5, Some(5))), (true, true), "a watch is opened anew");
        assert_eq!(judged(trouble(false, 5, None)), (false, true), "listing");
        assert_eq!(judged(trouble(true, 40, Some(40))), (false, true), "the API server refuses");
        assert_eq!(judged(trouble(true, 100, None)), (true, true), "a quiet cluster between two bookmarks");
        assert_eq!(judged(trouble(true, 400, None)), (false, false), "a watch is deaf");
        assert_eq!(judged(trouble(true, 400, Some(400))), (false, false));
        assert!(!judge(false, &[], &Limits::default()).not_alive.is_empty());
    }

    #[test]
    fn the_words_say_where_for_how_long_and_why() {
        let health = judge(true, &[trouble(true, 400, Some(390))], &Limits::default());
        let expected =
            "FlinkDeployments of all namespaces: nothing heard for 400 s, errors for 390 s: refused";
        assert_eq!(health.not_alive, [expected]);
    }
}
