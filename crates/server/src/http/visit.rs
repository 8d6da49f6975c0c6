//! One request's view of the server: what all share, and who asks. Refuses to decide who that is.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use kube::Client;

use super::answer::{Kind, Refusal};
use crate::caller::Caller;
use crate::persons::Question;
use crate::server::Shared;

/// What every request can see, and who asks.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
}

impl Visit {
    /// The client that speaks for whoever asks.
    pub(super) fn client(&self) -> Client {
        self.caller.client(&self.shared.client)
    }

    /// Refuses what they may not do.
    pub(super) async fn must(&self, question: Question) -> Result<(), Refusal> {
        match self.caller.why_not(question).await? {
            None => Ok(()),
            Some(reason) => Err(Refusal::new(Kind::Forbidden, reason)),
        }
    }
}

impl Deref for Visit {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl FromRequestParts<Arc<Shared>> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Visit, Refusal> {
        // Whoever forgets the guard of a route lets nobody in.
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Refusal::new(Kind::Unauthorized, "nobody knows who asks"))?;
        Ok(Visit { shared: shared.clone(), caller })
    }
}
