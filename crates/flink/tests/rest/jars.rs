//! Jars: handed over piece by piece, run under the client's own job id, removed.

use std::time::Duration;

use drey_flink::JobId;
use drey_flink::rest::{JarRun, RestError};

use crate::support::Server;

fn run() -> JarRun {
    JarRun {
        job_id: JobId::from_bytes([1; 16]),
        entry_class: Some("a.Main".to_owned()),
        program_args: vec!["--name".to_owned(), "two words".to_owned()],
        parallelism: Some(2),
        savepoint_path: Some("/s/1".to_owned()),
        allow_non_restored_state: true,
    }
}

#[tokio::test]
async fn a_jar_is_uploaded_run_and_removed() {
    let server = Server::start().await;
    server.answer(200, r#"{"filename":"/tmp/flink-web/ab_job.jar","status":"success"}"#);
    let content = b"PK the jar".to_vec();
    let (length, deadline) = (content.len() as u64, Duration::from_secs(5));
    let id = server.rest.upload_jar("job.jar", content.into(), length, deadline).await.unwrap();
    assert_eq!(id, "ab_job.jar");
    let asked = server.asked();
    assert!(asked.starts_with("POST /jars/upload"), "{asked}");
    assert!(
        asked.contains(r#"name="jarfile"; filename="job.jar""#) && asked.contains("PK the jar"),
        "{asked}"
    );

    server.answer(200, r#"{"jobid":"01010101010101010101010101010101"}"#);
    assert_eq!(server.rest.run_jar(&id, &run()).await.unwrap(), run().job_id);
    let asked = server.asked();
    assert!(asked.starts_with("POST /jars/ab_job.jar/run"), "{asked}");
    for part in
        [r#""programArgsList":["--name","two words"]"#, r#""jobId":"01010101010101010101010101010101""#]
    {
        assert!(asked.contains(part), "{asked}");
    }

    server.answer(200, "{}");
    server.rest.delete_jar(&id).await.unwrap();
    assert!(server.asked().starts_with("DELETE /jars/ab_job.jar"), "{}", server.asked());
}

#[tokio::test]
async fn a_job_that_was_submitted_already_is_refused() {
    let server = Server::start().await;
    server.answer(500, r#"{"errors":["Internal server error.","DuplicateJobSubmissionException: Job has already been submitted."]}"#);
    let error = server.rest.run_jar("ab_job.jar", &run()).await.unwrap_err();
    assert!(error.to_string().contains("already been submitted"), "{error}");
    assert!(!matches!(error, RestError::NotFound { .. }));
}
