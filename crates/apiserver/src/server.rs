//! What all handlers share.

use std::sync::Arc;

use crate::clock::Clock;
use crate::commit::Shared;

/// The state and the clock. Clones are the same server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
}
