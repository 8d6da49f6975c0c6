//! The logs of a resource's processes: their end, all of it, and what is added. Text, whatever stands in it. Refuses to
//! know where logs are kept.

use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query as Parameters};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Kind, Refusal};
use super::resource::{Address, fetch};
use super::visit::Visit;
use crate::cluster::{ClusterError, ClusterName, Log, LogWanted, Role};

/// How much of the end is shown when nobody says.
const TAIL_BYTES: u64 = 256 * 1024;
/// The most that is shown at once; more is for a download.
const TAIL_BYTES_MAX: u64 = 8 * 1024 * 1024;

type LogAddress = Path<(String, String, String, String)>;

/// What stands in the address.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Wanted {
    /// How much of its end.
    bytes: Option<u64>,
    /// That of the process before this one.
    previous: bool,
    /// All of it, as a file.
    download: bool,
}

impl From<ClusterError> for Refusal {
    fn from(error: ClusterError) -> Refusal {
        let kind = match &error {
            ClusterError::NotFound(_) => Kind::NotFound,
            ClusterError::Forbidden(_) => Kind::Forbidden,
            ClusterError::Failed(_) => Kind::Unreachable,
        };
        Refusal::new(kind, error.to_string())
    }
}

/// The processes of a resource.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Processes {
    items: Vec<Listed>,
}

/// One process.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Process")]
struct Listed {
    id: String,
    role: Role,
    /// What it is called on the page.
    name: String,
}

pub(super) async fn processes(visit: Visit, address: Address) -> Result<Json<Processes>, Refusal> {
    let (_, object) = fetch(&visit, address).await?;
    let processes = visit.clusters.processes(&visit.client(), &ClusterName::of(&object)).await?;
    let items = processes.into_iter().map(|process| {
        let is_only = process.role == Role::JobManager && process.id == "jobmanager";
        let name = if is_only { "JobManager".to_owned() } else { process.id.clone() };
        Listed { id: process.id, role: process.role, name }
    });
    Ok(Json(Processes { items: items.collect() }))
}

pub(super) async fn log(
    visit: Visit,
    Path((namespace, kind, name, process)): LogAddress,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Refusal> {
    let (_, object) = fetch(&visit, Path((namespace, kind, name.clone()))).await?;
    let tail_bytes = wanted.bytes.unwrap_or(TAIL_BYTES).min(TAIL_BYTES_MAX);
    let part = LogWanted {
        tail_bytes: (!wanted.download).then_some(tail_bytes),
        previous: wanted.previous,
        follow: false,
    };
    let cluster = ClusterName::of(&object);
    let Log { truncated, pieces } = visit.clusters.log(&visit.client(), &cluster, &process, part).await?;
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if truncated {
        headers.insert(HeaderName::from_static("x-log-truncated"), HeaderValue::from_static("true"));
    }
    if wanted.download {
        let place = HeaderValue::from_str(&format!("attachment; filename=\"{name}-{process}.log\""));
        let place = place.map_err(|_| Refusal::new(Kind::NotFound, "no process is called that"))?;
        headers.insert(header::CONTENT_DISPOSITION, place);
    }
    Ok(response)
}

pub(super) async fn stream(
    visit: Visit,
    Path((namespace, kind, name, process)): LogAddress,
) -> Result<Response, Refusal> {
    let (_, object) = fetch(&visit, Path((namespace, kind, name))).await?;
    let wanted = LogWanted { tail_bytes: Some(0), previous: false, follow: true };
    let log = visit.clusters.log(&visit.client(), &ClusterName::of(&object), &process, wanted).await?;
    let stop = visit.stop.clone();
    let lines = texts(log.pieces).take_until(stop.cancelled_owned()).map(|text| {
        Ok::<_, Infallible>(Event::default().event("lines").data(json!({ "text": text }).to_string()))
    });
    let mut response = Sse::new(lines).keep_alive(KeepAlive::default()).into_response();
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Bytes as text, with a character that two pieces share in one of them.
fn texts(pieces: BoxStream<'static, std::io::Result<Vec<u8>>>) -> impl futures::Stream<Item = String> + Send {
    let pieces =
        pieces.take_while(|piece| futures::future::ready(piece.is_ok())).filter_map(async |piece| piece.ok());
    pieces
        .scan(Vec::new(), |rest: &mut Vec<u8>, piece| {
            rest.extend_from_slice(&piece);
            let whole = whole_characters(rest);
            let text = String::from_utf8_lossy(&rest[..whole]).into_owned();
            rest.drain(..whole);
            futures::future::ready(Some(text))
        })
        .filter(|text| futures::future::ready(!text.is_empty()))
}

/// How many of the bytes are before a character that is not complete yet.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        // What is no text at all is shown as such; only an open end waits.
        Err(_) => {
            let tail = bytes.len().saturating_sub(3);
            let open = (tail..bytes.len()).rev().find(|at| bytes[*at] >= 0xC0);
            open.filter(|at| {
                std::str::from_utf8(&bytes[*at..]).is_err_and(|error| error.error_len().is_none())
            })
            .unwrap_or(bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_in_two_pieces_is_one_and_noise_does_not_wait() {
        let euro = "€".as_bytes();
        assert_eq!(whole_characters(euro), 3);
        assert_eq!(whole_characters(&[b'a', euro[0], euro[1]]), 1);
        assert_eq!(whole_characters(&[0xFF, b'a']), 2);
        assert_eq!(whole_characters(&[0xFF, b'a', euro[0]]), 2);
    }

    #[tokio::test]
    async fn pieces_become_texts() {
        let euro = "€".as_bytes();
        let pieces = vec![
            Ok(vec![b'a', euro[0]]),
            Ok(euro[1..].to_vec()),
            Ok(vec![0xFF]),
            Err(std::io::Error::other("gone")),
        ];
        let read: Vec<String> = texts(futures::stream::iter(pieces).boxed()).collect().await;
        assert_eq!(read, ["a", "€", "\u{FFFD}"]);
    }
}
