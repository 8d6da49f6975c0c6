//! The language of the search field, and the order of rows. Refuses to know where rows come from.
//!
//! ```text
//!   query := term*        term := ['-'] [prefix ':'] value (',' value)*        value := word | '"' text '"'
//! ```
//! Terms must all hold; of the values of one term, one. Words without a prefix are looked for in name, namespace,
//! labels, image and sentence, without regard to case.

use std::cmp::{Ordering, Reverse};

use schemars::JsonSchema;
use serde::Serialize;

use crate::row::{Health, Row, RowType};

/// A query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    terms: Vec<Term>,
}

/// One term of a query.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Term {
    /// As it was typed.
    pub(crate) text: String,
    /// Whether it excludes.
    pub(crate) negative: bool,
    /// Why it is left out of account.
    pub(crate) error: Option<String>,
    #[serde(skip)]
    field: Field,
    #[serde(skip)]
    values: Vec<String>,
}

/// What a term is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Any,
    Name,
    Namespace,
    JobState,
    Health,
    Lifecycle,
    Type,
    Version,
    Image,
    Label,
}

impl Field {
    const PREFIXES: [(&'static str, Field); 12] = [
        ("name", Field::Name),
        ("ns", Field::Namespace),
        ("namespace", Field::Namespace),
        ("state", Field::JobState),
        ("health", Field::Health),
        ("is", Field::Health),
        ("lifecycle", Field::Lifecycle),
        ("type", Field::Type),
        ("kind", Field::Type),
        ("version", Field::Version),
        ("image", Field::Image),
        ("label", Field::Label),
    ];
}

impl Query {
    /// Reads a query. Whatever is typed is one: a term that makes no sense says so and excludes nothing.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Query {
        Query { terms: split(text).into_iter().filter_map(|word| term(&word)).collect() }
    }

    /// The terms, in their order.
    #[must_use]
    pub(crate) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether `row` holds for every term but those about `except`.
    pub(crate) fn holds_except(&self, row: &Row, except: Option<Field>) -> bool {
        let counts = |term: &&Term| Some(term.field) != except || term.field == Field::Any;
        self.shows(row) && self.terms.iter().filter(counts).all(|term| term.holds(row))
    }

    /// Whether `row` holds.
    #[must_use]
    pub(crate) fn holds(&self, row: &Row) -> bool {
        self.holds_except(row, None)
    }

    /// Snapshots are many, and shown to those who ask for them.
    fn shows(&self, row: &Row) -> bool {
        row.row_type != RowType::Snapshot
            || self.terms.iter().any(|term| {
                !term.negative
                    && term.field == Field::Type
                    && term.values.iter().any(|value| is_type(RowType::Snapshot, value))
            })
    }
}

impl Term {
    fn holds(&self, row: &Row) -> bool {
        if self.error.is_some() {
            return true;
        }
        self.values.iter().any(|value| self.field.holds(row, value)) != self.negative
    }
}

impl Field {
    /// `value` is in lower case.
    fn holds(self, row: &Row, value: &str) -> bool {
        let is = |text: Option<&str>| text.is_some_and(|text| text.eq_ignore_ascii_case(value));
        let has = |text: Option<&str>| text.is_some_and(|text| text.to_lowercase().contains(value));
        match self {
            Field::Any => row.haystack.contains(value),
            Field::Name => has(Some(&row.name)),
            Field::Namespace => is(Some(&row.namespace)),
            Field::JobState => is(row.job_state.as_deref().or(Some("none"))),
            Field::Health => is(Some(row.health.as_str())),
            Field::Lifecycle => is(row.lifecycle.as_deref().or(Some("none"))),
            Field::Type => is_type(row.row_type, value),
            Field::Version => is(row.flink_version.as_deref().or(Some("none"))),
            Field::Image => has(row.image.as_deref()),
            Field::Label => row.labels.iter().any(|(key, held)| match value.split_once('=') {
                Some((name, wanted)) => key.eq_ignore_ascii_case(name) && held.eq_ignore_ascii_case(wanted),
                None => key.eq_ignore_ascii_case(value),
            }),
        }
    }
}

fn is_type(row_type: RowType, value: &str) -> bool {
    row_type.as_str().eq_ignore_ascii_case(value) || (value == "app" && row_type == RowType::Application)
}

/// Words, at white space outside quotes.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for character in text.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                word.push(character);
            }
            character if character.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            character => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn term(word: &str) -> Option<Term> {
    let (negative, rest) = match word.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => (true, rest),
        Some(_) | None => (false, word),
    };
    let (field, values, error) = match rest.split_once(':') {
        Some((prefix, values)) if is_prefix(prefix) => {
            let known = Field::PREFIXES.iter().find(|(name, _)| name.eq_ignore_ascii_case(prefix));
            match known {
                Some((_, field)) => (*field, values, None),
                None => (Field::Any, rest, Some(unknown_prefix(prefix))),
            }
        }
        Some(_) | None => (Field::Any, rest, None),
    };
    let values: Vec<String> = if field == Field::Any { vec![unquoted(values)] } else { listed(values) };
    let values: Vec<String> = values.into_iter().filter(|value| !value.is_empty()).collect();
    let error = error.or_else(|| values.is_empty().then(|| "a value is missing after the colon".to_owned()));
    let error = error.or_else(|| unknown_value(field, &values));
    Some(Term { text: word.to_owned(), negative, error, field, values })
}

/// Images and addresses hold colons too.
fn is_prefix(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn unknown_prefix(prefix: &str) -> String {
    let known = ["name", "ns", "state", "health", "lifecycle", "type", "version", "image", "label"];
    format!("`{prefix}:` is not known; there are {}", known.map(|name| format!("`{name}:`")).join(" "))
}

fn unknown_value(field: Field, values: &[String]) -> Option<String> {
    let known: Vec<&str> = match field {
        Field::Health => Health::ALL.iter().map(|health| health.as_str()).collect(),
        Field::Type => [
            RowType::Application,
            RowType::Session,
            RowType::SessionJob,
            RowType::BlueGreen,
            RowType::Snapshot,
        ]
        .map(RowType::as_str)
        .into_iter()
        .chain(["app"])
        .collect(),
        _ => return None,
    };
    let unknown = values.iter().find(|value| !known.iter().any(|word| word.eq_ignore_ascii_case(value)))?;
    Some(format!("`{unknown}` is not one of {}", known.join(", ")))
}

fn listed(values: &str) -> Vec<String> {
    let mut list = vec![String::new()];
    let mut quoted = false;
    for character in values.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => list.push(String::new()),
            character => list.last_mut().expect("never empty").extend(character.to_lowercase()),
        }
    }
    list
}

fn unquoted(value: &str) -> String {
    value.chars().filter(|character| *character != '"').collect::<String>().to_lowercase()
}

/// How rows are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sort {
    by: By,
    reversed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    #[default]
    Problem,
    Name,
    Namespace,
    JobState,
    LastCheckpoint,
    Restarts,
    Parallelism,
    Resources,
    Version,
    Image,
    Created,
    Start,
}

impl Sort {
    /// Reads `name`, `-restarts` and the like; `None` for a column that cannot be sorted by.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Sort> {
        let (reversed, column) = match text.strip_prefix('-') {
            Some(column) => (true, column),
            None => (false, text),
        };
        let by = match column {
            "" | "problem" | "health" => By::Problem,
            "name" => By::Name,
            "namespace" => By::Namespace,
            "jobState" => By::JobState,
            "lastCheckpoint" => By::LastCheckpoint,
            "restarts" => By::Restarts,
            "parallelism" => By::Parallelism,
            "resources" => By::Resources,
            "version" => By::Version,
            "image" => By::Image,
            "age" => By::Created,
            "start" => By::Start,
            _ => return None,
        };
        Some(Sort { by, reversed })
    }

    /// The order of two rows. What is not known comes last either way; equal ones follow their names.
    #[must_use]
    pub(crate) fn compare(self, a: &Row, b: &Row) -> Ordering {
        let by = match self.by {
            By::Problem => self.turned((a.health, Reverse(a.since)).cmp(&(b.health, Reverse(b.since)))),
            By::Name => self.turned(a.name.cmp(&b.name)),
            By::Namespace => self.turned(a.namespace.cmp(&b.namespace)),
            By::JobState => self.known(a.job_state.as_ref(), b.job_state.as_ref()),
            // Youngest first, as ages are read.
            By::LastCheckpoint => {
                self.known(a.last_checkpoint_at.map(Reverse), b.last_checkpoint_at.map(Reverse))
            }
            By::Restarts => self.known(a.restarts, b.restarts),
            By::Parallelism => self.known(a.parallelism, b.parallelism),
            By::Resources => self.known(a.cpu.map(Finite), b.cpu.map(Finite)),
            By::Version => self.known(version(a), version(b)),
            By::Image => self.known(a.image_tag.as_ref(), b.image_tag.as_ref()),
            By::Created => self.turned(Reverse(a.created_at).cmp(&Reverse(b.created_at))),
            By::Start => self.known(a.started_at.map(Reverse), b.started_at.map(Reverse)),
        };
        by.then_with(|| a.name.cmp(&b.name)).then_with(|| a.id.cmp(&b.id))
    }

    fn turned(self, order: Ordering) -> Ordering {
        if self.reversed { order.reverse() } else { order }
    }

    fn known<T: Ord>(self, a: Option<T>, b: Option<T>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) => self.turned(a.cmp(&b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }
}

/// A number that is no NaN, as rows hold them.
#[derive(PartialEq)]
struct Finite(f64);

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Finite) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Finite) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn version(row: &Row) -> Option<Vec<u32>> {
    let parts = row.flink_version.as_deref()?.split('.');
    Some(parts.map(|part| part.parse().unwrap_or(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::FleetKind;
    use serde_json::json;

    fn row(name: &str, namespace: &str, status: &serde_json::Value) -> Row {
        let object = json!({
            "metadata": { "name": name, "namespace": namespace, "generation": 1, "labels": { "team": "Ads" } },
            "spec": { "image": "registry/acme/app:1.2", "flinkVersion": "v1_20", "job": { "parallelism": 2 } },
            "status": status,
        });
        Row::of(&"c".into(), FleetKind::Deployment, &object).expect("it has a name")
    }

    fn running(name: &str) -> Row {
        row(name, "pay", &json!({ "lifecycleState": "STABLE", "jobStatus": { "state": "RUNNING" } }))
    }

    #[test]
    fn terms_find_what_they_name() {
        let found = |query: &str| Query::parse(query).holds(&running("Card-events"));
        for query in [
            "",
            "card",
            "EVENTS card",
            "ns:pay",
            "ns:other,pay",
            "-ns:other",
            "state:running",
            "health:healthy",
            "type:app",
            "version:1.20",
            "label:team=ads",
            "label:team",
            "ads",
            "image:acme/app:1.2",
            "acme/app:1.2",
            "\"card-events\"",
            "name:card",
            "-state:FAILED",
        ] {
            assert!(found(query), "{query}");
        }
        for query in [
            "cart",
            "ns:pa",
            "-ns:pay",
            "state:FAILED",
            "health:failing",
            "type:session",
            "label:team=x",
            "-card",
        ] {
            assert!(!found(query), "{query}");
        }
    }

    #[test]
    fn a_term_that_makes_no_sense_says_so_and_hides_nothing() {
        for query in ["colour:red", "health:purple", "ns:", "type:x"] {
            let parsed = Query::parse(query);
            assert!(parsed.terms()[0].error.is_some(), "{query}");
            assert!(parsed.holds(&running("a")), "{query}");
        }
    }

    #[test]
    fn failing_ones_come_first_and_what_is_not_known_last() {
        let failing = row("z", "pay", &json!({ "lifecycleState": "FAILED" }));
        let mut rows = [running("b"), failing, running("a")];
        let names = |rows: &[Row]| rows.iter().map(|row| row.name.to_string()).collect::<Vec<_>>();
        rows.sort_by(|a, b| Sort::default().compare(a, b));
        assert_eq!(names(&rows), ["z", "a", "b"]);
        rows[2].restarts = Some(3);
        for sort in ["restarts", "-restarts"] {
            let sort = Sort::parse(sort).expect("known");
            rows.sort_by(|a, b| sort.compare(a, b));
            assert_eq!(&*rows[0].name, "b", "{sort:?}");
        }
        assert_eq!(Sort::parse("colour"), None);
    }
}
