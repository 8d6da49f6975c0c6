//! Which namespaces are watched now, what each watch has brought, and whether the engine is blind in one of them.
//! Refuses to watch.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::Namespaces;

/// One namespace, or all of them.
pub(crate) type Scope = Option<String>;

/// All scopes.
pub(crate) struct Scopes {
    states: Mutex<BTreeMap<Scope, State>>,
    changes: watch::Sender<()>,
}

/// What is known of one scope.
#[derive(Clone, Debug)]
struct State {
    /// Everything in it was listed at least once.
    listed: bool,
    /// When the API server last told anything about it.
    heard_at: Instant,
    /// Since when it has told nothing but errors, and the last one.
    failing: Option<(Instant, String)>,
}

impl State {
    fn new() -> State {
        State { listed: false, heard_at: Instant::now(), failing: None }
    }
}

/// A scope in which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) scope: Scope,
    pub(crate) listed: bool,
    /// For how long nothing was heard.
    pub(crate) silent_for: Duration,
    /// For how long there were only errors, and the last one.
    pub(crate) failing: Option<(Duration, String)>,
}

impl Scopes {
    pub(crate) fn new(namespaces: &Namespaces) -> Scopes {
        let states = namespaces.scopes().into_iter().map(|scope| (scope, State::new())).collect();
        Scopes { states: Mutex::new(states), changes: watch::Sender::new(()) }
    }

    /// Tells of every [`Scopes::replace`].
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The scopes of now.
    pub(crate) fn get(&self) -> Vec<Scope> {
        self.lock().keys().cloned().collect()
    }

    /// Watches these instead. What stays is not listed anew.
    pub(crate) fn replace(&self, namespaces: &Namespaces) {
        let mut states = self.lock();
        let mut known = std::mem::take(&mut *states);
        for scope in namespaces.scopes() {
            let state = known.remove(&scope).unwrap_or_else(State::new);
            states.insert(scope, state);
        }
        drop(states);
        self.changes.send_replace(());
    }

    /// Whether a resource of `namespace` is ours.
    pub(crate) fn covers(&self, namespace: &str) -> bool {
        self.lock().keys().any(|scope| scope.as_deref().is_none_or(|own| own == namespace))
    }

    /// Something was heard; false when the scope is watched no more.
    pub(crate) fn heard(&self, scope: &Scope) -> bool {
        self.change(scope, |state| {
            state.heard_at = Instant::now();
            state.failing = None;
        })
        .is_some()
    }

    /// The API server has let a watch begin: it refuses no more. Whether the watch brings anything is another matter.
    pub(crate) fn opened(&self, scope: &Scope) {
        self.change(scope, |state| state.failing = None);
    }

    /// A list or watch failed.
    pub(crate) fn failed(&self, scope: &Scope, message: &str) {
        self.change(scope, |state| {
            let since = state.failing.take().map_or_else(Instant::now, |(since, _)| since);
            state.failing = Some((since, message.to_owned()));
        });
    }

    /// The list of a scope is complete; true when it is the first time that those of all are.
    pub(crate) fn complete(&self, scope: &Scope) -> bool {
        let first = self.change(scope, |state| !std::mem::replace(&mut state.listed, true));
        first == Some(true) && self.all_listed()
    }

    pub(crate) fn is_listed(&self, scope: &Scope) -> bool {
        self.lock().get(scope).is_some_and(|state| state.listed)
    }

    pub(crate) fn all_listed(&self) -> bool {
        self.lock().values().all(|state| state.listed)
    }

    /// Scopes that are not listed, or fail, or were silent for longer than `silence_max`.
    pub(crate) fn troubles(&self, silence_max: Duration) -> Vec<Trouble> {
        let trouble = |(scope, state): (&Scope, &State)| {
            let silent_for = state.heard_at.elapsed();
            let failing = state.failing.as_ref().map(|(since, message)| (since.elapsed(), message.clone()));
            let wrong = !state.listed || failing.is_some() || silent_for > silence_max;
            wrong.then(|| Trouble { scope: scope.clone(), listed: state.listed, silent_for, failing })
        };
        self.lock().iter().filter_map(trouble).collect()
    }

    fn change<T>(&self, scope: &Scope, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.lock().get_mut(scope).map(change)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Scope, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Namespaces {
        Namespaces::List(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn named(name: &str) -> Scope {
        Some(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_is_not_listed_anew() {
        let scopes = Scopes::new(&list(&["a", "b"]));
        assert!(!scopes.complete(&named("a")));
        assert!(scopes.complete(&named("b")), "the last one");
        assert!(!scopes.complete(&named("b")), "not again");
        scopes.replace(&list(&["b", "c"]));
        assert!(scopes.is_listed(&named("b")) && !scopes.is_listed(&named("c")));
        assert!(!scopes.heard(&named("a")), "watched no more");
        assert!(scopes.covers("c") && !scopes.covers("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_errors_are_troubles() {
        let scopes = Scopes::new(&Namespaces::All);
        let max = Duration::from_secs(60);
        assert!(!scopes.troubles(max)[0].listed);
        scopes.complete(&None);
        assert_eq!(scopes.troubles(max), []);
        tokio::time::advance(max * 2).await;
        assert_eq!(scopes.troubles(max)[0].silent_for, max * 2);
        scopes.heard(&None);
        assert_eq!(scopes.troubles(max), []);
        scopes.failed(&None, "first");
        tokio::time::advance(Duration::from_secs(5)).await;
        scopes.failed(&None, "second");
        let failing = scopes.troubles(max)[0].failing.clone();
        assert_eq!(failing, Some((Duration::from_secs(5), "second".to_owned())));
        scopes.heard(&None);
        assert_eq!(scopes.troubles(max), []);
    }
}
