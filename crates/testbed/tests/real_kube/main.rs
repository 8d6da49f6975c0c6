//! The real control plane, and what is held to it. `DREY_TEST_KUBE` names the directory of its programs;
//! `cargo xtask kube build` makes them. It takes root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod admission;
mod doctor;
mod front;
mod lifetime;
mod network;
mod node;

use std::time::{Duration, Instant};

/// How long anything may take that a controller does.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Looks again and again until there is something.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s for {what}", TIMEOUT.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
