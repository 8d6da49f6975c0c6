//! Who signs in, as the API server knows them. Each person has a client that speaks for them alone: what they may read and
//! change is the API server's to say. Refuses to know HTTP.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drey_api::kinds::GROUP;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Client, Config};
use tokio::time::Instant;

use crate::key::FleetKind;

/// How long an answer of the API server about a person counts.
const FRESH: Duration = Duration::from_secs(30);
/// How long it counts while the API server does not answer.
const KEPT: Duration = Duration::from_secs(600);
/// How many persons are remembered.
const PERSONS_MAX: usize = 1_000;
/// How many answers are remembered of each.
const ANSWERS_MAX: usize = 10_000;
/// What Kubernetes calls its own: nobody becomes one of these by a header.
const RESERVED: &str = "system:";

/// How people show who they are.
#[derive(Clone)]
pub struct Persons {
    config: Arc<Config>,
    known: Arc<Remembered<Proof, Arc<Person>>>,
}

/// What somebody shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    /// A bearer token of the cluster.
    Token(String),
    /// What a trusted proxy says of them. The process needs the right to impersonate them.
    Named {
        /// Name of the user.
        user: String,
        /// Groups of the user.
        groups: Vec<String>,
    },
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKnown {
    /// The API server does not know the token.
    #[error("the API server does not accept this token")]
    Refused,
    /// It is no name of a person.
    #[error("`{0}` is a name that Kubernetes keeps for itself")]
    Reserved(String),
    /// Nobody can tell now.
    #[error("the API server cannot be asked who this is: {0}")]
    Failed(String),
}

impl Persons {
    /// Persons of the cluster that `config` leads to. What it says of credentials counts for those only whom a trusted proxy
    /// names.
    #[must_use]
    pub fn of(config: Config) -> Persons {
        Persons { config: Arc::new(config), known: Arc::new(Remembered::new(PERSONS_MAX)) }
    }

    /// The person who shows `proof`.
    pub(crate) async fn who(&self, proof: &Proof) -> Result<Arc<Person>, NotKnown> {
        let looked = async {
            let config = self.speaking_for(proof)?;
            let client = Client::try_from(config)
                .map_err(|error| Looked::Failed(NotKnown::Failed(error.to_string())))?;
            match reviewed(&client).await {
                Ok(name) => Ok(Arc::new(Person { name, client, answers: Remembered::new(ANSWERS_MAX) })),
                Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
                    Err(Looked::Final(NotKnown::Refused))
                }
                Err(error) => Err(Looked::Failed(NotKnown::Failed(error.to_string()))),
            }
        };
        self.known.get(proof, looked).await
    }

    fn speaking_for(&self, proof: &Proof) -> Result<Config, Looked<NotKnown>> {
        let mut config = (*self.config).clone();
        match proof {
            Proof::Token(token) => {
                let credentials = serde_json::from_value(serde_json::json!({ "token": token }));
                config.auth_info = credentials.map_err(|_| Looked::Final(NotKnown::Refused))?;
            }
            Proof::Named { user, groups } => {
                let reserved = [user].into_iter().chain(groups).find(|name| name.starts_with(RESERVED));
                if let Some(name) = reserved {
                    return Err(Looked::Final(NotKnown::Reserved(name.clone())));
                }
                config.auth_info = AuthInfo {
                    impersonate: Some(user.clone()),
                    impersonate_groups: Some(groups.clone()),
                    ..config.auth_info
                };
            }
        }
        Ok(config)
    }
}

impl fmt::Debug for Persons {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Persons")
    }
}

/// The name that the API server knows whoever `client` speaks for by.
async fn reviewed(client: &Client) -> Result<String, kube::Error> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await?;
    let name = review.status.and_then(|status| status.user_info?.username);
    Ok(name.unwrap_or_default())
}

/// Somebody who has signed in.
pub(crate) struct Person {
    /// The name that the API server knows them by.
    pub(crate) name: String,
    /// Speaks for them.
    pub(crate) client: Client,
    answers: Remembered<Question, bool>,
}

/// Something that somebody may do to resources of Flink's or not.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Question {
    /// Such as `list`.
    pub(crate) verb: &'static str,
    /// With resources of this kind.
    pub(crate) kind: FleetKind,
    /// Where; everywhere when `None`.
    pub(crate) namespace: Option<Arc<str>>,
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.kind.plural())?;
        match &self.namespace {
            Some(namespace) => write!(formatter, " in namespace {namespace}"),
            None => formatter.write_str(" in all namespaces"),
        }
    }
}

impl Person {
    /// Whether the API server lets this person do it.
    pub(crate) async fn may(&self, question: &Question) -> Result<bool, kube::Error> {
        let asked = async { self.ask(question).await.map_err(Looked::Failed) };
        self.answers.get(question, asked).await
    }

    async fn ask(&self, question: &Question) -> Result<bool, kube::Error> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let attributes = ResourceAttributes {
            verb: Some(question.verb.to_owned()),
            group: Some(GROUP.to_owned()),
            resource: Some(question.kind.plural().to_owned()),
            namespace: question.namespace.as_deref().map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

/// Answers that count for a while, and longer while nobody can be asked.
struct Remembered<K, V> {
    answers: Mutex<HashMap<K, (Instant, V)>>,
    max: usize,
}

/// How asking went wrong.
enum Looked<E> {
    /// Nobody answered: what is remembered counts.
    Failed(E),
    /// That is the answer.
    Final(E),
}

impl<K: Clone + Eq + Hash, V: Clone> Remembered<K, V> {
    fn new(max: usize) -> Remembered<K, V> {
        Remembered { answers: Mutex::default(), max }
    }

    async fn get<E>(&self, key: &K, ask: impl Future<Output = Result<V, Looked<E>>>) -> Result<V, E> {
        let known = self.lock().get(key).cloned();
        if let Some((at, value)) = &known
            && at.elapsed() < FRESH
        {
            return Ok(value.clone());
        }
        let error = match ask.await {
            Ok(value) => {
                self.keep(key, &value);
                return Ok(value);
            }
            Err(Looked::Final(error)) => {
                self.lock().remove(key);
                return Err(error);
            }
            Err(Looked::Failed(error)) => error,
        };
        known.filter(|(at, _)| at.elapsed() < KEPT).map(|(_, value)| value).ok_or(error)
    }

    fn keep(&self, key: &K, value: &V) {
        let mut answers = self.lock();
        if answers.len() >= self.max {
            answers.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if answers.len() >= self.max {
            answers.clear();
        }
        answers.insert(key.clone(), (Instant::now(), value.clone()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(
        remembered: &Remembered<&'static str, u32>,
        answer: Result<u32, Looked<&'static str>>,
    ) -> Result<u32, &'static str> {
        remembered.get(&"key", async { answer }).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_while_and_longer_when_nobody_can_be_asked() {
        let remembered = Remembered::new(2);
        assert_eq!(answer(&remembered, Err(Looked::Failed("down"))).await, Err("down"));
        assert_eq!(answer(&remembered, Ok(1)).await, Ok(1));
        assert_eq!(answer(&remembered, Ok(2)).await, Ok(1), "it is fresh");
        tokio::time::advance(FRESH).await;
        assert_eq!(answer(&remembered, Err(Looked::Failed("down"))).await, Ok(1));
        assert_eq!(answer(&remembered, Ok(2)).await, Ok(2));
        tokio::time::advance(KEPT).await;
        assert_eq!(answer(&remembered, Err(Looked::Failed("down"))).await, Err("down"));
        assert_eq!(answer(&remembered, Err(Looked::Final("no"))).await, Err("no"));
        tokio::time::advance(FRESH).await;
        assert_eq!(answer(&remembered, Err(Looked::Failed("down"))).await, Err("down"), "it was taken back");
    }

    #[test]
    fn nobody_becomes_one_of_the_systems_own_by_a_header() {
        let persons = Persons::of(Config::new("https://127.0.0.1:1".parse().expect("an address")));
        for (user, group) in [("system:admin", "a"), ("a", "system:masters")] {
            let proof = Proof::Named { user: user.to_owned(), groups: vec![group.to_owned()] };
            assert!(matches!(persons.speaking_for(&proof), Err(Looked::Final(NotKnown::Reserved(_)))));
        }
        let token = Proof::Token("secret".to_owned());
        let Ok(config) = persons.speaking_for(&token) else { panic!("a token is a proof") };
        assert!(config.auth_info.impersonate.is_none() && config.auth_info.token.is_some());
    }
}
