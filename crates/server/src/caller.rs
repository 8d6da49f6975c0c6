//! Who asks, and what they see and may do. Refuses to know how they came in.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use kube::Client;

use crate::key::{FleetKind, Key};
use crate::persons::{Person, Question};

/// How many questions about one person are on their way at once.
const ASKED_AT_ONCE: usize = 16;

/// Whoever asks.
#[derive(Clone)]
pub(crate) enum Caller {
    /// The one who started drey: the process acts for them.
    Owner,
    /// Anybody, who may only look; and why.
    Anybody(Arc<str>),
    /// Somebody whom the API server knows.
    Person(Arc<Person>),
}

impl Caller {
    /// What they are called, when that is known.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Owner | Self::Anybody(_) => None,
            Self::Person(person) => Some(&person.name),
        }
    }

    /// Why nothing may be changed by them at all, if that is so.
    pub(crate) fn read_only(&self) -> Option<&str> {
        match self {
            Self::Anybody(reason) => Some(reason),
            Self::Owner | Self::Person(_) => None,
        }
    }

    /// The client that speaks for them; `own` is that of the process.
    pub(crate) fn client(&self, own: &Client) -> Client {
        match self {
            Self::Owner | Self::Anybody(_) => own.clone(),
            Self::Person(person) => person.client.clone(),
        }
    }

    /// Why they may not change what is asked; `None` when they may, as far as anybody can tell before it is tried.
    pub(crate) async fn why_not(&self, question: Question) -> Result<Option<String>, kube::Error> {
        match self {
            Self::Owner => Ok(None),
            Self::Anybody(reason) => Ok(Some(reason.to_string())),
            Self::Person(person) => {
                let allowed = person.may(&question).await?;
                Ok((!allowed).then(|| format!("{} may not {question}", person.name)))
            }
        }
    }

    /// What they see of what is in `places`.
    pub(crate) async fn sight(&self, places: impl Iterator<Item = &Key>) -> Result<Sight, kube::Error> {
        let Self::Person(person) = self else { return Ok(Sight::Everything) };
        let mut seen = HashSet::new();
        let mut kinds = HashSet::new();
        for kind in FleetKind::ALL {
            if person.may(&Question { verb: "list", kind, namespace: None }).await? {
                kinds.insert(kind);
            }
        }
        let open: HashSet<(FleetKind, Arc<str>)> = places
            .filter(|key| !kinds.contains(&key.kind))
            .map(|key| (key.kind, key.namespace.clone()))
            .collect();
        let mut answers = futures::stream::iter(open)
            .map(async |(kind, namespace)| {
                let may =
                    person.may(&Question { verb: "list", kind, namespace: Some(namespace.clone()) }).await;
                may.map(|may| may.then_some((kind, namespace)))
            })
            .buffer_unordered(ASKED_AT_ONCE);
        while let Some(answer) = answers.next().await {
            seen.extend(answer?);
        }
        Ok(Sight::Places { kinds, places: seen })
    }
}

/// What somebody sees.
pub(crate) enum Sight {
    /// All of it.
    Everything,
    /// These kinds everywhere, and those in their namespaces.
    Places {
        /// Kinds that are seen everywhere.
        kinds: HashSet<FleetKind>,
        /// And kinds that are seen in one namespace.
        places: HashSet<(FleetKind, Arc<str>)>,
    },
}

impl Sight {
    /// Whether `key` is seen.
    pub(crate) fn shows(&self, key: &Key) -> bool {
        match self {
            Self::Everything => true,
            Self::Places { kinds, places } => {
                kinds.contains(&key.kind) || places.contains(&(key.kind, key.namespace.clone()))
            }
        }
    }
}
