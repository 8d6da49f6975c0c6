//! The fleet: who looks, the window of rows, and all of it as a table. Refuses to filter and sort by itself.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::Query as Parameters;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Links;
use super::answer::{Kind, Refusal};
use super::visit::Visit;
use crate::access::Access;
use crate::fleet::{self, Asked, Fleet};
use crate::query::{Query, Sort};
use crate::row::Row;
use crate::server::{Mode, now_ms};

/// How many rows an answer has when nobody says.
const LIMIT: usize = 200;

/// What stands in the address.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Wanted {
    /// The query: words and `field:value`.
    q: String,
    /// A column; with `-` before it the other way round.
    sort: String,
    /// How many rows are left out at the beginning.
    offset: usize,
    /// How many rows are wanted at most.
    limit: Option<usize>,
}

impl Wanted {
    fn asked(&self) -> Result<Asked, Refusal> {
        let sort = Sort::parse(&self.sort)
            .ok_or_else(|| Refusal::new(Kind::Invalid, format!("nothing is sorted by `{}`", self.sort)))?;
        let limit = self.limit.unwrap_or(LIMIT);
        Ok(Asked { query: Query::parse(&self.q), sort, offset: self.offset, limit })
    }
}

/// Who asks, and what is looked at.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// Version of drey.
    version: &'static str,
    /// The server's clock.
    now: i64,
    mode: Mode,
    /// Name of the Kubernetes cluster.
    cluster: Arc<str>,
    /// What whoever asks is called, when that is known.
    user: Option<String>,
    may_sign_out: bool,
    /// Nothing may be changed.
    read_only: bool,
    /// Why.
    read_only_reason: Option<String>,
    #[serde(flatten)]
    links: Links,
}

pub(super) async fn session(visit: Visit) -> Json<Session> {
    let read_only = visit.caller.read_only().map(str::to_owned);
    Json(Session {
        version: env!("CARGO_PKG_VERSION"),
        now: now_ms(),
        mode: visit.mode,
        cluster: visit.cluster.clone(),
        user: visit.caller.name().map(str::to_owned),
        may_sign_out: matches!(visit.access, Access::ClusterToken(_)),
        read_only: read_only.is_some(),
        read_only_reason: read_only,
        links: visit.links.clone(),
    })
}

pub(super) async fn fleet(
    visit: Visit,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Fleet>, Refusal> {
    let asked = wanted.asked()?;
    let (revision, rows) = seen(&visit).await?;
    let fleet = fleet::answer(&rows, revision, &visit.store.news(), &asked, now_ms());
    visit.looks.note(&fleet.rows);
    Ok(Json(fleet))
}

/// The rows that whoever asks may see.
async fn seen(visit: &Visit) -> Result<(u64, Vec<Arc<Row>>), Refusal> {
    let (revision, mut rows) = visit.store.rows();
    let sight = visit.caller.sight(rows.iter().map(|row| &row.id)).await?;
    rows.retain(|row| sight.shows(&row.id));
    Ok((revision, rows))
}

const COLUMNS: &str = "namespace,kind,name,health,lifecycle,jobState,sentence,parallelism,taskManagers,cpu,memoryBytes,\
                       flinkVersion,image,lastCheckpoint,started,created\r\n";

pub(super) async fn csv(visit: Visit, Parameters(wanted): Parameters<Wanted>) -> Result<Response, Refusal> {
    let asked = wanted.asked()?;
    let (_, rows) = seen(&visit).await?;
    let mut table = COLUMNS.to_owned();
    for row in fleet::find(&rows, &asked) {
        line(&mut table, row);
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"fleet.csv\""),
    ];
    Ok((headers, table).into_response())
}

fn line(table: &mut String, row: &Row) {
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let moment = |at_ms: Option<i64>| {
        let at = at_ms.and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
        at.map(|at| at.to_string()).unwrap_or_default()
    };
    let cells = [
        row.namespace.to_string(),
        row.kind.to_owned(),
        row.name.to_string(),
        row.health.as_str().to_owned(),
        row.lifecycle.clone().unwrap_or_default(),
        row.job_state.clone().unwrap_or_default(),
        row.sentence.clone(),
        number(row.parallelism),
        number(row.task_managers),
        row.cpu.map(|cpu| cpu.to_string()).unwrap_or_default(),
        number(row.memory_bytes),
        row.flink_version.clone().unwrap_or_default(),
        row.image.clone().unwrap_or_default(),
        moment(row.last_checkpoint_at),
        moment(row.started_at),
        moment(Some(row.created_at)),
    ];
    for (index, cell) in cells.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(table, "{separator}{}", quoted(cell)).expect("a text takes everything");
    }
    table.push_str("\r\n");
}

/// As RFC 4180 says; and what a spreadsheet would run as a formula is a text.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn cells_hold_whatever_was_in_them_and_run_nothing() {
        for (cell, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"\n", "\"say \"\"x\"\"\n\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("-1+1", "'-1+1"),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
