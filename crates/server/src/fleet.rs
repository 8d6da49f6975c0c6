//! The fleet page's answer: a window of the rows that a query finds, how many there are of each kind, and the sums.
//! Pure. Refuses to know how rows come in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::key::Key;
use crate::query::{Field, Query, Sort, Term};
use crate::row::{Health, Row, RowType};
use crate::store::{News, Stale};

/// The most rows of one answer.
const LIMIT_MAX: usize = 1_000;

/// What the page asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Which rows.
    pub(crate) query: Query,
    /// In which order.
    pub(crate) sort: Sort,
    /// How many are left out at the beginning.
    pub(crate) offset: usize,
    /// How many are wanted at most.
    pub(crate) limit: usize,
}

/// The answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fleet {
    /// Number of the newest change that is in it.
    pub(crate) revision: u64,
    /// The server's clock, milliseconds since the epoch.
    pub(crate) now: i64,
    /// Every list has been read once.
    pub(crate) complete: bool,
    /// The rows may be out of date.
    pub(crate) stale: Option<Stale>,
    /// How many there are, snapshots not counted.
    pub(crate) total: usize,
    /// How many the query finds.
    pub(crate) matched: usize,
    /// How many of those are before the first row.
    pub(crate) offset: usize,
    /// The window.
    pub(crate) rows: Vec<Arc<Row>>,
    /// How many there are of each value, under the query without its terms about that.
    pub(crate) facets: BTreeMap<&'static str, Vec<Count>>,
    /// Sums over all, snapshots not counted.
    pub(crate) summary: Summary,
    /// The terms of the query.
    pub(crate) terms: Vec<Term>,
}

/// How many rows have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "FacetCount")]
pub(crate) struct Count {
    /// The value.
    pub(crate) value: String,
    /// How many.
    pub(crate) count: usize,
}

/// Sums over the fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetSummary")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) total: usize,
    pub(crate) namespaces: usize,
    pub(crate) failing: usize,
    pub(crate) degraded: usize,
    pub(crate) changing: usize,
    pub(crate) healthy: usize,
    pub(crate) suspended: usize,
    pub(crate) finished: usize,
    pub(crate) unknown: usize,
    pub(crate) oldest_failing_since: Option<i64>,
    pub(crate) task_managers: i64,
    pub(crate) cpu: f64,
    pub(crate) memory_bytes: i64,
}

/// The facets: name, field and value of a row.
type Facet = (&'static str, Field, fn(&Row) -> Option<String>);

const FACETS: [Facet; 5] = [
    ("health", Field::Health, |row| Some(row.health.as_str().to_owned())),
    ("type", Field::Type, |row| Some(row.row_type.as_str().to_owned())),
    ("namespace", Field::Namespace, |row| Some(row.namespace.to_string())),
    ("flinkVersion", Field::Version, |row| row.flink_version.clone()),
    ("jobState", Field::JobState, |row| row.job_state.clone()),
];

/// Answers `asked` from `rows`, which are those of `revision`.
#[must_use]
pub(crate) fn answer(rows: &[Arc<Row>], revision: u64, news: &News, asked: &Asked, now: i64) -> Fleet {
    let found = find(rows, asked);
    let limit = asked.limit.clamp(1, LIMIT_MAX);
    let summary = summary(rows);
    Fleet {
        revision,
        now,
        complete: news.complete,
        stale: news.stale.clone(),
        total: summary.total,
        matched: found.len(),
        offset: asked.offset.min(found.len()),
        rows: found.into_iter().skip(asked.offset).take(limit).cloned().collect(),
        facets: FACETS.iter().map(|facet| (facet.0, counts(rows, &asked.query, facet))).collect(),
        summary,
        terms: asked.query.terms().to_vec(),
    }
}

/// All rows that are asked for, in their order.
pub(crate) fn find<'r>(rows: &'r [Arc<Row>], asked: &Asked) -> Vec<&'r Arc<Row>> {
    let mut found: Vec<&Arc<Row>> = rows.iter().filter(|row| asked.query.holds(row)).collect();
    found.sort_by(|a, b| asked.sort.compare(a, b));
    nested(found)
}

/// Puts children right below their parents, where those are found too.
fn nested(rows: Vec<&Arc<Row>>) -> Vec<&Arc<Row>> {
    let there: BTreeSet<&Key> = rows.iter().map(|row| &row.id).collect();
    let mut children: HashMap<&Key, Vec<&Arc<Row>>> = HashMap::new();
    let mut tops = Vec::with_capacity(rows.len());
    for row in rows {
        match row.parent.as_ref().filter(|parent| there.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(row),
            None => tops.push(row),
        }
    }
    if children.is_empty() {
        return tops;
    }
    let mut ordered = Vec::new();
    let mut stack: Vec<&Arc<Row>> = tops.into_iter().rev().collect();
    while let Some(row) = stack.pop() {
        ordered.push(row);
        stack.extend(children.remove(&row.id).into_iter().flatten().rev());
    }
    // Whoever names himself or his own child as parent is still shown.
    ordered.extend(children.into_values().flatten());
    ordered
}

fn counts(rows: &[Arc<Row>], query: &Query, (_, field, value): &Facet) -> Vec<Count> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for row in rows.iter().filter(|row| query.holds_except(row, Some(*field))) {
        if let Some(value) = value(row) {
            *counts.entry(value).or_default() += 1;
        }
    }
    let mut counts: Vec<Count> = counts.into_iter().map(|(value, count)| Count { value, count }).collect();
    match field {
        Field::Health => {
            counts.sort_by_key(|count| Health::ALL.iter().position(|health| health.as_str() == count.value));
        }
        _ => counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value))),
    }
    counts
}

fn summary(rows: &[Arc<Row>]) -> Summary {
    let mut sum = Summary::default();
    let mut namespaces = BTreeSet::new();
    for row in rows.iter().filter(|row| row.row_type != RowType::Snapshot) {
        sum.total += 1;
        namespaces.insert(&row.namespace);
        match row.health {
            Health::Failing => {
                sum.failing += 1;
                sum.oldest_failing_since = [sum.oldest_failing_since, row.since].into_iter().flatten().min();
            }
            Health::Degraded => sum.degraded += 1,
            Health::Changing => sum.changing += 1,
            Health::Unknown => sum.unknown += 1,
            Health::Healthy => sum.healthy += 1,
            Health::Suspended => sum.suspended += 1,
            Health::Finished => sum.finished += 1,
        }
        // A job of a session uses its cluster's, a pair its clusters'.
        if matches!(row.row_type, RowType::Application | RowType::Session) && row.health != Health::Suspended
        {
            sum.task_managers = sum.task_managers.saturating_add(row.task_managers.unwrap_or_default());
            sum.cpu += row.cpu.unwrap_or_default();
            sum.memory_bytes = sum.memory_bytes.saturating_add(row.memory_bytes.unwrap_or_default());
        }
    }
    sum.namespaces = namespaces.len();
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::FleetKind;
    use serde_json::json;

    fn deployment(name: &str, lifecycle: &str) -> Arc<Row> {
        let object = json!({
            "metadata": { "name": name, "namespace": "n", "generation": 1 },
            "spec": { "flinkVersion": "v1_20", "job": { "parallelism": 3 },
                "jobManager": { "resource": { "cpu": 1, "memory": "1g" } },
                "taskManager": { "resource": { "cpu": 0.5, "memory": "2g" } } },
            "status": { "lifecycleState": lifecycle },
        });
        Arc::new(Row::of(&"c".into(), FleetKind::Deployment, &object).expect("it has a name"))
    }

    fn session_job(name: &str, cluster: &str) -> Arc<Row> {
        let object = json!({
            "metadata": { "name": name, "namespace": "n" },
            "spec": { "deploymentName": cluster, "job": { "parallelism": 1 } },
        });
        Arc::new(Row::of(&"c".into(), FleetKind::SessionJob, &object).expect("it has a name"))
    }

    fn ask(rows: &[Arc<Row>], query: &str, sort: &str) -> Fleet {
        let asked = Asked {
            query: Query::parse(query),
            sort: Sort::parse(sort).expect("known"),
            offset: 0,
            limit: 100,
        };
        answer(rows, 1, &News::default(), &asked, 0)
    }

    fn names(fleet: &Fleet) -> Vec<&str> {
        fleet.rows.iter().map(|row| &*row.name).collect()
    }

    #[test]
    fn children_stand_below_their_cluster_in_any_order_and_alone_without_it() {
        let rows = [
            deployment("b", "STABLE"),
            deployment("c", "STABLE"),
            session_job("a", "c"),
            session_job("z", "c"),
        ];
        assert_eq!(names(&ask(&rows, "", "name")), ["b", "c", "a", "z"]);
        assert_eq!(names(&ask(&rows, "", "-name")), ["c", "z", "a", "b"]);
        assert_eq!(names(&ask(&rows, "type:sessionjob", "name")), ["a", "z"]);
    }

    #[test]
    fn a_facet_counts_what_choosing_another_value_of_it_would_find() {
        let rows = [deployment("a", "FAILED"), deployment("b", "STABLE"), deployment("c", "STABLE")];
        let fleet = ask(&rows, "health:failing", "");
        let count = |value: &str, count| Count { value: value.to_owned(), count };
        assert_eq!(fleet.matched, 1);
        assert_eq!(fleet.facets["health"], [count("failing", 1), count("healthy", 2)]);
        assert_eq!(fleet.facets["namespace"], [count("n", 1)]);
    }

    #[test]
    fn sums_count_processes_once() {
        let rows = [deployment("a", "STABLE"), session_job("j", "a")];
        let summary = ask(&rows, "nothing-like-it", "").summary;
        assert_eq!((summary.total, summary.task_managers, summary.memory_bytes), (2, 3, 7 << 30));
        assert!((summary.cpu - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_window_beyond_the_end_is_empty() {
        let rows = [deployment("a", "STABLE")];
        let asked = Asked { offset: 9, limit: 5, ..Asked::default() };
        let fleet = answer(&rows, 1, &News::default(), &asked, 0);
        assert_eq!((fleet.rows.len(), fleet.offset, fleet.matched), (0, 1, 1));
    }
}
