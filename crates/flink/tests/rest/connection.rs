//! What the client makes of connections that fail, hang, break and talk nonsense.

use std::time::Duration;

use crate::support::{Server, rest};
use drey_flink::rest::{AsyncResult, Doubt, Refusal, RestError};
use drey_flink::{FlinkRest, JobId, TriggerId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn job() -> JobId {
    JobId::from_bytes([1; 16])
}

/// A server that reads a request and then sends `bytes`; it closes then if `close`, else it keeps silent.
async fn raw(bytes: Vec<u8>, close: bool) -> (FlinkRest, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            // The client may hang up as soon as it has read enough.
            let _ = stream.write_all(&bytes).await;
            if !close {
                kept.push(stream);
            }
        }
    });
    (rest(&format!("http://{address}")), task)
}

async fn doubt(bytes: &str, close: bool) -> Doubt {
    let (rest, task) = raw(bytes.as_bytes().to_vec(), close).await;
    let error = rest.with_deadline(Duration::from_millis(300)).cancel(job()).await.unwrap_err();
    task.abort();
    match error {
        RestError::UnknownOutcome { doubt, .. } => doubt,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let error = rest(&format!("http://user:secret@{address}/")).shut_down().await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("DELETE /cluster was refused: no connection to 127.0.0.1:"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn an_address_that_is_none_cannot_be_sent_to() {
    for base in ["ftp://host/", "mailto:flink"] {
        let error = rest(base).overview().await.unwrap_err();
        assert!(matches!(error, RestError::Refused { refusal: Refusal::NotSendable { .. }, .. }), "{error}");
    }
}

#[tokio::test]
async fn after_sending_nothing_is_certain() {
    assert!(matches!(doubt("", true).await, Doubt::ConnectionLost { .. }));
    assert_eq!(doubt("", false).await, Doubt::TimedOut { after_ms: 300 });
    let halted = "HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\n{";
    assert_eq!(doubt(halted, false).await, Doubt::TimedOut { after_ms: 300 });
    assert!(matches!(doubt(halted, true).await, Doubt::ConnectionLost { .. }));
    assert!(matches!(doubt("SSH-2.0-OpenSSH\r\n", true).await, Doubt::ConnectionLost { .. }));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let mut bytes = b"HTTP/1.1 200 OK\r\n\r\n[\"".to_vec();
    bytes.resize(drey_flink::limits::ANSWER_BYTES_MAX + 100_000, b'a');
    let (rest, task) = raw(bytes, true).await;
    let error = rest.overview().await.unwrap_err();
    task.abort();
    assert!(matches!(error, RestError::UnknownOutcome { doubt: Doubt::TooLong { .. }, .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_flinks_answer_names_the_call() {
    let server = Server::start().await;
    for (status, body) in [
        (200, "<!DOCTYPE html><html>Sign in</html>"),
        (200, "{\"jobs\": [{\"jid\": \"00"),
        (200, "{\"jobs\": [{\"jid\": \"zz\", \"name\": \"n\", \"state\": \"RUNNING\"}]}"),
        (200, "[]"),
        (200, ""),
        (302, "<a href=\"/login\">Found</a>"),
        (404, "404 page not found"),
        (502, "<html>Bad Gateway</html>"),
    ] {
        server.answer(status, body);
        let error = server.rest.jobs().await.unwrap_err();
        assert!(matches!(error, RestError::UnknownOutcome { .. }), "{status} {body}: {error}");
        assert!(error.to_string().starts_with("GET /jobs/overview has an unknown outcome: "), "{error}");
    }
}

#[tokio::test]
async fn completed_with_nothing_is_not_success() {
    let server = Server::start().await;
    server.answer(200, "{\"status\":{\"id\":\"COMPLETED\"},\"operation\":{}}");
    let trigger = TriggerId::from_bytes([2; 16]);
    let error = server.rest.savepoint_result(job(), trigger).await.unwrap_err();
    assert!(error.to_string().contains("neither `location` nor `failure-cause`"), "{error}");
    server.answer(200, "{\"status\":{\"id\":\"COMPLETED\"}}");
    assert!(server.rest.checkpoint_result(job(), trigger).await.is_err());
    server.answer(200, "{\"status\":{\"id\":\"PAUSED\"}}");
    assert!(server.rest.savepoint_result(job(), trigger).await.is_err());
    server.answer(200, "{\"status\":{\"id\":\"COMPLETED\"},\"operation\":{}}");
    assert_eq!(server.rest.disposal_result(trigger).await, Ok(AsyncResult::Completed(())));
}
