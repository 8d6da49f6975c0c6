//! Whether the JobManager of a cluster answers on its REST port.
//!
//! Its own configuration is asked for, which names the cluster's directory, so that a stranger who has got the port
//! is not mistaken for it. It refuses to know anything else of Flink's interface.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::limits;

/// The most that is read of an answer, bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Whether a JobManager whose configuration contains `mark` answers on this port of the loopback interface.
pub(crate) async fn answers(port: u16, mark: &str) -> bool {
    let asked = tokio::time::timeout(limits::PROBE_DEADLINE, ask(port, mark.as_bytes())).await;
    matches!(asked, Ok(Ok(true)))
}

async fn ask(port: u16, mark: &[u8]) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream
        .write_all(b"GET /jobmanager/config HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    loop {
        let read = stream.read_buf(&mut answer).await?;
        // Until a leader is elected, the answer is 503.
        if answer.len() > 12 && !answer.starts_with(b"HTTP/1.1 200") {
            return Ok(false);
        }
        if answer.windows(mark.len()).any(|window| window == mark) {
            return Ok(true);
        }
        if read == 0 || answer.len() > ANSWER_BYTES_MAX {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn check(answer: &'static str, expected: bool) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /jobmanager/config"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        assert_eq!(answers(port, "0b1c").await, expected, "{answer}");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn only_an_answer_that_names_the_cluster_counts() {
        check("HTTP/1.1 200 OK\r\n\r\n[{\"key\":\"web.tmpdir\",\"value\":\"/c/0b1c/tmp\"}]", true).await;
        check("HTTP/1.1 200 OK\r\n\r\n[{\"key\":\"web.tmpdir\",\"value\":\"/c/other/tmp\"}]", false).await;
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n0b1c", false).await;
    }

    #[tokio::test]
    async fn nobody_listening_is_no_answer() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
        assert!(!answers(free, "x").await);
    }
}
