//! All rows as they are now, and what changed since when. Each change has a number; whoever has seen one asks for what
//! came after it. Refuses to know who fills it and who reads it.

use schemars::JsonSchema;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::key::Key;
use crate::row::Row;

/// How many changes are remembered for readers that were away.
const REMEMBERED: usize = 20_000;

/// All rows.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    /// Number of the newest change, and whether the view of the cluster is fresh.
    news: watch::Sender<News>,
}

/// What readers wait for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct News {
    /// Number of the newest change.
    pub(crate) revision: u64,
    /// Since when the rows may be out of date, and why; `None` while they are not.
    pub(crate) stale: Option<Stale>,
    /// Every list has been read once.
    pub(crate) complete: bool,
}

/// Rows that may be out of date.
#[derive(Clone, Debug, PartialEq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stale {
    /// Since when, milliseconds since the epoch.
    pub(crate) since: i64,
    /// Why.
    pub(crate) message: String,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    rows: BTreeMap<Key, Arc<Row>>,
    changed: VecDeque<(u64, Key)>,
}

/// What changed after a revision.
#[derive(Debug, PartialEq)]
pub(crate) enum Changes {
    /// These, up to this revision: rows as they are now, and keys that are gone.
    Some {
        /// Number of the newest of them.
        revision: u64,
        /// Rows that were made or changed.
        upserts: Vec<Arc<Row>>,
        /// Rows that are gone.
        deletes: Vec<Key>,
    },
    /// More than is remembered: everything has to be read anew.
    TooMany,
}

impl Default for Store {
    fn default() -> Store {
        Store { state: Mutex::default(), news: watch::Sender::new(News::default()) }
    }
}

impl Store {
    /// Hears of changes.
    #[must_use]
    pub(crate) fn subscribe(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    /// What readers would hear of now.
    #[must_use]
    pub(crate) fn news(&self) -> News {
        self.news.borrow().clone()
    }

    /// Puts a row in the place of the one with its key.
    pub(crate) fn upsert(&self, row: Row) {
        let mut state = self.lock();
        if state.rows.get(&row.id).is_some_and(|known| **known == row) {
            return;
        }
        state.note(row.id.clone());
        state.rows.insert(row.id.clone(), Arc::new(row));
        self.tell(&state);
    }

    /// Changes the row with this key, when there is one.
    pub(crate) fn amend(&self, key: &Key, amend: impl FnOnce(&mut Row)) {
        let mut state = self.lock();
        let Some(known) = state.rows.get(key) else { return };
        let mut row = (**known).clone();
        amend(&mut row);
        if row == **known {
            return;
        }
        state.note(key.clone());
        state.rows.insert(key.clone(), Arc::new(row));
        self.tell(&state);
    }

    /// Takes a row away.
    pub(crate) fn delete(&self, key: &Key) {
        let mut state = self.lock();
        if state.rows.remove(key).is_some() {
            state.note(key.clone());
            self.tell(&state);
        }
    }

    /// Takes away what `keep` refuses.
    pub(crate) fn retain(&self, keep: impl Fn(&Key) -> bool) {
        let mut state = self.lock();
        let gone: Vec<Key> = state.rows.keys().filter(|key| !keep(key)).cloned().collect();
        for key in gone {
            state.rows.remove(&key);
            state.note(key);
        }
        self.tell(&state);
    }

    /// Says whether the rows are fresh, and whether they are all.
    pub(crate) fn set_health(&self, stale: Option<Stale>, complete: bool) {
        self.news.send_if_modified(|news| {
            let same = news.stale == stale && news.complete == complete;
            news.stale = stale;
            news.complete = complete;
            !same
        });
    }

    /// The row with this key.
    #[must_use]
    pub(crate) fn row(&self, key: &Key) -> Option<Arc<Row>> {
        self.lock().rows.get(key).cloned()
    }

    /// All rows, and the revision that they are of.
    #[must_use]
    pub(crate) fn rows(&self) -> (u64, Vec<Arc<Row>>) {
        let state = self.lock();
        (state.revision, state.rows.values().cloned().collect())
    }

    /// What changed after `revision`.
    #[must_use]
    pub(crate) fn changes_after(&self, revision: u64) -> Changes {
        let state = self.lock();
        let oldest = state.changed.front().map_or(state.revision, |(first, _)| first - 1);
        if revision < oldest || revision > state.revision {
            return Changes::TooMany;
        }
        let keys: std::collections::BTreeSet<&Key> = state
            .changed
            .iter()
            .rev()
            .take_while(|(number, _)| *number > revision)
            .map(|(_, key)| key)
            .collect();
        let (mut upserts, mut deletes) = (Vec::new(), Vec::new());
        for key in keys {
            match state.rows.get(key) {
                Some(row) => upserts.push(row.clone()),
                None => deletes.push(key.clone()),
            }
        }
        Changes::Some { revision: state.revision, upserts, deletes }
    }

    fn tell(&self, state: &State) {
        self.news.send_if_modified(|news| {
            let changed = news.revision != state.revision;
            news.revision = state.revision;
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, key: Key) {
        self.revision += 1;
        self.changed.push_back((self.revision, key));
        if self.changed.len() > REMEMBERED {
            self.changed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::FleetKind;
    use serde_json::json;

    fn row(name: &str, generation: i64) -> Row {
        let object = json!({ "metadata": { "name": name, "namespace": "n", "generation": generation }, "spec": { "job": {} } });
        Row::of(&"c".into(), FleetKind::Deployment, &object).expect("it has a name")
    }

    fn names(changes: Changes) -> (Vec<String>, Vec<String>) {
        let Changes::Some { upserts, deletes, .. } = changes else { panic!("too many") };
        (
            upserts.iter().map(|row| row.name.to_string()).collect(),
            deletes.iter().map(|key| key.name.to_string()).collect(),
        )
    }

    #[test]
    fn a_reader_that_was_away_hears_of_each_row_once_and_of_those_that_are_gone() {
        let store = Store::default();
        store.upsert(row("a", 1));
        let seen = store.news().revision;
        store.upsert(row("a", 2));
        store.upsert(row("a", 2));
        store.upsert(row("b", 1));
        store.upsert(row("c", 1));
        store.delete(&row("c", 1).id);
        assert_eq!(store.news().revision, seen + 4, "an equal row is no change");
        assert_eq!(names(store.changes_after(seen)), (vec!["a".into(), "b".into()], vec!["c".into()]));
        assert_eq!(names(store.changes_after(store.news().revision)), (vec![], vec![]));
    }

    #[test]
    fn a_revision_of_another_life_and_one_that_is_forgotten_ask_for_everything() {
        let store = Store::default();
        assert_eq!(store.changes_after(7), Changes::TooMany);
        for generation in 0..i64::try_from(REMEMBERED).expect("small") + 2 {
            store.upsert(row("a", generation));
        }
        assert_eq!(store.changes_after(0), Changes::TooMany);
        assert_eq!(store.changes_after(1), Changes::TooMany);
        assert_eq!(names(store.changes_after(2)), (vec!["a".into()], vec![]));
    }
}
