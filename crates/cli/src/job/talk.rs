//! What a command says while it works, and where it stands when it is interrupted.
//!
//! Talk goes to standard error by a thread of its own: a reader that does not read must not hold up an update between
//! the stop of the old version and the start of the new one. This module refuses to decide what is worth saying.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits;
use crate::failure::{Failure, Kind};
use crate::output::say;

/// Where a command stands: what Flink is left with if it ends now, and what to do then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// What is being done.
    pub doing: String,
    /// What there is if it ends now.
    pub left: String,
    /// What to do then.
    pub next: String,
}

/// Says lines, and knows the stage.
#[derive(Clone, Debug)]
pub struct Talk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lines: Mutex<Lines>,
    stage: Mutex<Stage>,
    if_lost: Mutex<String>,
}

#[derive(Debug)]
enum Lines {
    Said { queue: SyncSender<String>, ended: Receiver<()> },
    Kept(Vec<String>),
    Ended,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Talk {
    /// Talk to standard error, each line as `form` makes it.
    #[must_use]
    pub fn aloud(form: fn(&str) -> String) -> Self {
        let (queue, lines) = sync_channel::<String>(limits::TALK_LINES_MAX);
        let (end, ended) = sync_channel(1);
        std::thread::spawn(move || {
            lines.iter().for_each(|line| say(&form(&line)));
            // Whoever waited has gone on.
            let _gone = end.send(());
        });
        Self::of(Lines::Said { queue, ended })
    }

    /// Talk that is kept for whoever asks for it.
    #[must_use]
    pub fn kept() -> Self {
        Self::of(Lines::Kept(Vec::new()))
    }

    fn of(lines: Lines) -> Self {
        Self(Arc::new(Shared {
            lines: Mutex::new(lines),
            stage: Mutex::default(),
            if_lost: Mutex::default(),
        }))
    }

    /// Says a line, or drops it when nobody reads.
    pub fn say(&self, line: impl Into<String>) {
        match &mut *locked(&self.0.lines) {
            Lines::Said { queue, .. } => {
                // A full queue is a reader that does not read.
                let _dropped = queue.try_send(line.into());
            }
            Lines::Kept(lines) => lines.push(line.into()),
            Lines::Ended => {}
        }
    }

    /// What was kept so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match &*locked(&self.0.lines) {
            Lines::Kept(lines) => lines.clone(),
            Lines::Said { .. } | Lines::Ended => Vec::new(),
        }
    }

    /// Gives a reader a moment to take what was said.
    pub fn end(&self) {
        let lines = std::mem::replace(&mut *locked(&self.0.lines), Lines::Ended);
        if let Lines::Said { queue, ended } = lines {
            drop(queue);
            // A reader that has not read until now will not.
            let _late = ended.recv_timeout(limits::TALK_END);
        }
    }

    /// Enters a stage: before the act, not after it.
    pub fn stage(&self, doing: impl Into<String>, left: impl Into<String>, next: impl Into<String>) {
        *locked(&self.0.stage) = Stage { doing: doing.into(), left: left.into(), next: next.into() };
    }

    /// What to do if Flink dies and has forgotten its jobs; it is told to those who cannot reach it any more.
    pub fn if_lost(&self, next: impl Into<String>) {
        *locked(&self.0.if_lost) = next.into();
    }

    /// The stage.
    #[must_use]
    pub fn current(&self) -> Stage {
        locked(&self.0.stage).clone()
    }

    /// Adds to a failure what it leaves, and what to do then.
    #[must_use]
    pub fn explained(&self, failure: Failure) -> Failure {
        let Stage { doing: _, left, next } = self.current();
        let failure = if left.is_empty() { failure } else { failure.detail(left) };
        let if_lost = locked(&self.0.if_lost).clone();
        let is_away = failure.kind() == Kind::Unreachable && !if_lost.is_empty();
        let failure = if next.is_empty() { failure } else { failure.hint(next) };
        if is_away { failure.hint(if_lost) } else { failure }
    }
}

/// Does `work`, unless the process is asked to end before.
///
/// # Errors
/// That of the work, or where it was interrupted.
pub async fn interruptible<T>(
    talk: &Talk,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    // In this order: whoever sees the first line may interrupt.
    let outcome = tokio::select! {
        biased;
        () = asked_to_end() => {
            let doing = talk.current().doing;
            let message = if doing.is_empty() { "interrupted".to_owned() } else { format!("interrupted while {doing}") };
            Err(Failure::new(Kind::Interrupted, message))
        }
        outcome = work => outcome,
    };
    outcome.map_err(|failure| talk.explained(failure))
}

/// Ctrl-C, or what a pipeline sends that gives up.
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        // Without a handler the system ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_says_what_it_leaves() {
        let talk = Talk::kept();
        talk.stage("stopping job 1", "job 1 runs", "run the command again");
        let failed = async { Err::<(), _>(Failure::new(Kind::Failed, "no")) };
        let text = interruptible(&talk, failed).await.expect_err("fails").to_string();
        assert_eq!(text, "error: no\n  job 1 runs\nhint: run the command again");
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nothing_up() {
        fn slow(line: &str) -> String {
            std::thread::park_timeout(std::time::Duration::from_secs(600));
            line.to_owned()
        }
        let talk = Talk::aloud(slow);
        (0..limits::TALK_LINES_MAX * 2).for_each(|_| talk.say("line"));
        let began = std::time::Instant::now();
        talk.end();
        assert!(began.elapsed() < limits::TALK_END * 5);
    }
}
