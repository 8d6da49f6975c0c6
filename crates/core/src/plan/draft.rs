//! The step that is being written: a copy of the journal that the planning files change, and what goes with it.
//! It knows how to open and close an intent, and nothing of when to.

use std::sync::Arc;

use drey_api::kinds::{FlinkJobState, JobState, ReconciliationState, UpgradeMode};

use crate::decision::{Action, Event, EventKind, Waiting, WaitingFor};
use crate::intent::{Intent, IntentKind};
use crate::journal::{Journal, Stable};
use crate::observed::Observed;
use crate::resource::{Policy, Resource};
use crate::{Now, TriggerId};

/// A step under construction.
pub(crate) struct Draft<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) observed: &'a Observed,
    pub(crate) policy: &'a Policy,
    pub(crate) now: Now,
    pub(crate) journal: Journal,
    pub(crate) action: Option<Action>,
    pub(crate) events: Vec<Event>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) problem: Option<(&'static str, &'static str, Arc<str>)>,
    pub(crate) look_closer: bool,
    pub(crate) at_rest: bool,
    pub(crate) wake_after_ms: Option<i64>,
}

/// Whether planning may go on in this step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Nothing is in the way.
    GoOn,
    /// The step is complete.
    Done,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(
        resource: &'a Resource,
        observed: &'a Observed,
        journal: &Journal,
        policy: &'a Policy,
        now: Now,
    ) -> Draft<'a> {
        Draft {
            resource,
            observed,
            policy,
            now,
            journal: journal.clone(),
            action: None,
            events: Vec::new(),
            waiting: None,
            problem: None,
            look_closer: false,
            at_rest: false,
            wake_after_ms: None,
        }
    }

    /// Whether the cluster is ours and says which job it was made for.
    pub(crate) fn names_its_job(&self) -> bool {
        let cluster = self.observed.cluster.present();
        cluster.is_some_and(|cluster| cluster.owned && cluster.job_id.is_some())
    }

    /// Ends the step waiting for something.
    pub(crate) fn wait(&mut self, what: WaitingFor, message: impl Into<String>) -> Flow {
        self.waiting = Some(Waiting { what, message: message.into() });
        Flow::Done
    }

    /// Whether the evidence was read live; when it was not, the step asks for that and ends.
    pub(crate) fn is_live(&mut self) -> bool {
        self.look_closer = !self.observed.live;
        self.observed.live
    }

    pub(crate) fn event(
        &mut self,
        reason: &'static str,
        component: &'static str,
        message: impl Into<String>,
    ) {
        let message = message.into();
        self.events.push(Event { reason, kind: EventKind::Normal, component, message });
    }

    pub(crate) fn warning(
        &mut self,
        reason: &'static str,
        component: &'static str,
        message: impl Into<String>,
    ) {
        let message = message.into();
        self.events.push(Event { reason, kind: EventKind::Warning, component, message });
    }

    /// Something is wrong. The last one of a step goes on record, with a warning event when it is a new one.
    pub(crate) fn problem(
        &mut self,
        reason: &'static str,
        component: &'static str,
        message: impl Into<String>,
    ) {
        let message = Arc::from(message.into());
        self.problem = Some((reason, component, message));
    }

    /// The number that the next intent will have.
    pub(crate) fn next_seq(&self) -> i64 {
        self.journal.seq + 1
    }

    /// A trigger id for the next intent.
    pub(crate) fn next_trigger_id(&self) -> TriggerId {
        TriggerId::derive(&self.resource.uid, self.next_seq(), self.now)
    }

    /// Opens an intent and sends its first action, if it has one now.
    pub(crate) fn open(&mut self, kind: IntentKind, action: Option<Action>) {
        self.journal.seq += 1;
        self.journal.intent = Some(Intent {
            seq: self.journal.seq,
            generation: self.resource.generation,
            started_at_ms: self.now.0,
            attempts: 0,
            attempted_at_ms: self.now.0,
            kind,
        });
        if let Some(action) = action {
            self.send(action);
        }
    }

    /// Sends the action of the open intent and counts the attempt.
    pub(crate) fn send(&mut self, action: Action) {
        if let Some(intent) = &mut self.journal.intent {
            intent.attempts = intent.attempts.saturating_add(1);
            intent.attempted_at_ms = self.now.0;
        }
        self.action = Some(action);
    }

    /// Whether the action of the open intent is to be sent (again) now. Otherwise sets when to look again.
    pub(crate) fn is_due(&mut self) -> bool {
        let Some(intent) = &self.journal.intent else { return false };
        if intent.attempts == 0 {
            return true;
        }
        let doublings = intent.attempts.min(20) - 1;
        let delay_ms = (self.policy.retry_delay_ms << doublings.min(16)).min(self.policy.retry_delay_max_ms);
        // A clock that was set back must not silence the intent.
        let waited_ms = (self.now.0 - intent.attempted_at_ms).abs();
        if waited_ms < delay_ms {
            self.wake_within(delay_ms - waited_ms);
        }
        waited_ms >= delay_ms
    }

    /// Closes the open intent, whatever became of it.
    pub(crate) fn close(&mut self) {
        self.journal.intent = None;
    }

    pub(crate) fn wake_within(&mut self, delay_ms: i64) {
        let delay_ms = delay_ms.max(1);
        self.wake_after_ms = Some(self.wake_after_ms.map_or(delay_ms, |earlier| earlier.min(delay_ms)));
    }

    /// Sets the shown job state, with upstream's event when it changes.
    pub(crate) fn set_job_state(&mut self, state: FlinkJobState) {
        let before = self.journal.job.state;
        if before == Some(state) {
            return;
        }
        if let Some(before) = before {
            let message = format!("Job status changed from {} to {}", before.as_str(), state.as_str());
            self.event("JobStatusChanged", "Job", message);
        }
        self.journal.job.state = Some(state);
        self.journal.job.updated_at_ms = Some(self.now.0);
    }

    /// Marks the run as stopped or gone: nothing of it may be started again without a new deploy intent.
    pub(crate) fn mark_stopped(&mut self, how: UpgradeMode) {
        let deployed_is_stable =
            matches!(self.journal.state, ReconciliationState::RollingBack | ReconciliationState::RolledBack);
        if let (true, Stable::Other(stable)) = (deployed_is_stable, &mut self.journal.stable) {
            stable.first_deployment = false;
        }
        if let (Stable::Same, Some(reconciled)) = (&self.journal.stable, &self.journal.reconciled) {
            // What was stable ran: a rollback has to know it as running.
            self.journal.stable = Stable::Other(Box::new(reconciled.clone()));
        }
        if let Some(reconciled) = &mut self.journal.reconciled {
            reconciled.job_state = JobState::Suspended;
            reconciled.upgrade_mode = how;
            reconciled.first_deployment = false;
        }
    }
}
