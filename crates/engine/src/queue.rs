//! Which key is due next. Keys coalesce: however often one is added, it is handed out once, at the earliest of the
//! moments asked for. A key that was handed out is not handed out again before it is given back, so that nothing is
//! ever worked on twice at the same time. Refuses to know what the keys stand for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A coalescing queue with moments. One task takes; any task adds.
pub(crate) struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    /// Keys that may be handed out, by moment and then by the order in which they were added.
    order: BTreeMap<(Instant, u64), K>,
    /// Every key that is wanted, also those that cannot be handed out yet because they are.
    wanted: HashMap<K, (Instant, u64)>,
    /// Keys that are handed out.
    taken: HashSet<K>,
    added: u64,
    /// When the queue was made: the moment of keys that go before all others.
    origin: Instant,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    pub(crate) fn new() -> Queue<K> {
        Queue {
            state: Mutex::new(State {
                order: BTreeMap::new(),
                wanted: HashMap::new(),
                taken: HashSet::new(),
                added: 0,
                origin: Instant::now(),
            }),
            changed: Notify::new(),
        }
    }

    /// Asks for `key` at once.
    pub(crate) fn add(&self, key: &K) {
        self.add_at(key, Instant::now());
    }

    /// Asks for `key` at once, before all others.
    pub(crate) fn add_first(&self, key: &K) {
        let origin = self.lock().origin;
        self.add_at(key, origin);
    }

    /// Asks for `key` at a moment, unless it is asked for earlier already.
    pub(crate) fn add_at(&self, key: &K, at: Instant) {
        let mut state = self.lock();
        if let Some(place) = state.wanted.get(key).copied() {
            if place.0 <= at {
                return;
            }
            state.order.remove(&place);
        }
        state.added += 1;
        let place = (at, state.added);
        state.wanted.insert(key.clone(), place);
        if !state.taken.contains(key) {
            state.order.insert(place, key.clone());
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Moves `key` to a moment, whether that is earlier or later than the one it was asked for.
    pub(crate) fn move_to(&self, key: &K, at: Instant) {
        self.forget(key);
        self.add_at(key, at);
    }

    /// Drops the wish for `key`.
    pub(crate) fn forget(&self, key: &K) {
        let mut state = self.lock();
        if let Some(place) = state.wanted.remove(key) {
            state.order.remove(&place);
        }
    }

    /// Hands out the next key when its moment has come.
    pub(crate) async fn take(&self) -> K {
        loop {
            let next = match self.take_due(Instant::now()) {
                Ok(key) => return key,
                Err(next) => next,
            };
            match next {
                None => self.changed.notified().await,
                Some(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    /// Gives `key` back, so that it can be handed out again.
    pub(crate) fn give_back(&self, key: &K) {
        let mut state = self.lock();
        state.taken.remove(key);
        if let Some(place) = state.wanted.get(key).copied() {
            state.order.insert(place, key.clone());
            drop(state);
            self.changed.notify_one();
        }
    }

    /// When `key` is next wanted.
    pub(crate) fn wanted_at(&self, key: &K) -> Option<Instant> {
        self.lock().wanted.get(key).map(|place| place.0)
    }

    fn take_due(&self, now: Instant) -> Result<K, Option<Instant>> {
        let mut state = self.lock();
        let Some((&place, _)) = state.order.first_key_value() else {
            return Err(None);
        };
        if place.0 > now {
            return Err(Some(place.0));
        }
        let key = state.order.remove(&place).expect("the first entry was just seen under the same lock");
        state.wanted.remove(&key);
        state.taken.insert(key.clone());
        Ok(key)
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SECOND: Duration = Duration::from_secs(1);

    async fn taken(queue: &Queue<&'static str>) -> Option<&'static str> {
        timeout(Duration::from_millis(1), queue.take()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_added_often_is_handed_out_once() {
        let queue = Queue::new();
        for _ in 0..5 {
            queue.add(&"a");
        }
        assert_eq!(taken(&queue).await, Some("a"));
        assert_eq!(taken(&queue).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_worked_on_waits_until_it_is_given_back() {
        let queue = Queue::new();
        queue.add(&"a");
        assert_eq!(taken(&queue).await, Some("a"));
        queue.add(&"a");
        queue.add(&"b");
        assert_eq!(taken(&queue).await, Some("b"));
        assert_eq!(taken(&queue).await, None);
        queue.give_back(&"a");
        assert_eq!(taken(&queue).await, Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_wish_wins_and_can_be_moved() {
        let queue = Queue::new();
        let start = Instant::now();
        queue.add_at(&"a", start + 10 * SECOND);
        queue.add_at(&"a", start + 60 * SECOND);
        assert_eq!(queue.wanted_at(&"a"), Some(start + 10 * SECOND));
        queue.add_at(&"a", start + 2 * SECOND);
        assert_eq!(queue.take().await, "a");
        assert_eq!(start.elapsed(), 2 * SECOND);
        queue.give_back(&"a");
        queue.add_at(&"a", start + 3 * SECOND);
        queue.move_to(&"a", start + 5 * SECOND);
        assert_eq!(queue.take().await, "a");
        assert_eq!(start.elapsed(), 5 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_come_in_the_order_of_their_moments_and_then_of_their_arrival() {
        let queue = Queue::new();
        tokio::time::advance(SECOND).await;
        let now = Instant::now();
        queue.add_at(&"late", now + SECOND);
        queue.add_at(&"first", now);
        queue.add_at(&"second", now);
        queue.add_first(&"foremost");
        assert_eq!(queue.take().await, "foremost");
        assert_eq!(queue.take().await, "first");
        assert_eq!(queue.take().await, "second");
        assert_eq!(queue.take().await, "late");
    }

    #[tokio::test(start_paused = true)]
    async fn a_taker_that_waits_is_woken_by_an_earlier_wish() {
        let queue = std::sync::Arc::new(Queue::new());
        queue.add_at(&"a", Instant::now() + 60 * SECOND);
        let taker = tokio::spawn({
            let queue = queue.clone();
            async move { queue.take().await }
        });
        tokio::task::yield_now().await;
        queue.add(&"b");
        assert_eq!(taker.await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_forgotten_key_is_not_handed_out() {
        let queue = Queue::new();
        queue.add(&"a");
        queue.forget(&"a");
        assert_eq!(taken(&queue).await, None);
    }
}
