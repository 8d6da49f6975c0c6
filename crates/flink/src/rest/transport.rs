//! One request and its answer: deadline, body limit, and what a failure says about the request's effect.
//!
//! This module refuses to know what the calls mean.

use std::error::Error;
use std::time::Duration;

use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::error::{Doubt, Refusal, RestError};
use super::tls::TlsFault;
use super::words::messages;
use crate::limits;

/// A call with the values for its path, its query and its body.
#[derive(Debug)]
pub(super) struct Request {
    endpoint: Endpoint,
    segments: Vec<String>,
    query: Option<(&'static str, String)>,
    body: Option<Value>,
}

impl Request {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, segments: Vec::new(), query: None, body: None }
    }

    /// Fills the next `:variable` of the path.
    pub(super) fn with(mut self, segment: &impl ToString) -> Self {
        self.segments.push(segment.to_string());
        self
    }

    pub(super) fn query(mut self, name: &'static str, value: String) -> Self {
        self.query = Some((name, value));
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    fn url(&self, base: &Url) -> Result<Url, Refusal> {
        let refuse = |what: &str| Refusal::NotSendable { reason: format!("`{base}` {what}") };
        if !matches!(base.scheme(), "http" | "https") {
            return Err(refuse("is not an http:// or https:// address"));
        }
        let mut url = base.clone();
        let mut values = self.segments.iter();
        {
            let mut path = url.path_segments_mut().map_err(|()| refuse("cannot have a path"))?;
            path.pop_if_empty();
            for segment in self.endpoint.method_and_path().1.split('/').skip(1) {
                match segment.strip_prefix(':') {
                    Some(variable) => path.push(values.next().ok_or_else(|| refuse(variable))?),
                    None => path.push(segment),
                };
            }
        }
        if let Some((name, value)) = &self.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url)
    }
}

/// What arrived, whatever its status.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

pub(super) async fn call<T: DeserializeOwned>(
    http: &reqwest::Client,
    base: &Url,
    deadline: Duration,
    request: Request,
) -> Result<T, RestError> {
    let endpoint = request.endpoint;
    let refused = |refusal| RestError::Refused { endpoint, refusal };
    let url = request.url(base).map_err(refused)?;
    let mut builder = http.request(endpoint.method_and_path().0, url);
    if let Some(body) = &request.body {
        builder = builder.json(body);
    }
    answered(http, base, deadline, endpoint, builder).await
}

/// Sends a form, whose parts may be read while it is sent.
pub(super) async fn upload<T: DeserializeOwned>(
    http: &reqwest::Client,
    base: &Url,
    deadline: Duration,
    form: reqwest::multipart::Form,
) -> Result<T, RestError> {
    let endpoint = Endpoint::JarUpload;
    let url = Request::new(endpoint).url(base).map_err(|refusal| RestError::Refused { endpoint, refusal })?;
    answered(http, base, deadline, endpoint, http.post(url).multipart(form)).await
}

async fn answered<T: DeserializeOwned>(
    http: &reqwest::Client,
    base: &Url,
    deadline: Duration,
    endpoint: Endpoint,
    builder: reqwest::RequestBuilder,
) -> Result<T, RestError> {
    let built = builder.build().map_err(|error| RestError::Refused {
        endpoint,
        refusal: Refusal::NotSendable { reason: chain(&error.without_url()) },
    })?;
    let answer = match tokio::time::timeout(deadline, exchange(http, built)).await {
        Ok(result) => result.map_err(|failure| failure.into_error(endpoint, base, deadline))?,
        Err(_elapsed) => return Err(unknown(endpoint, timed_out(deadline))),
    };
    tracing::trace!(%endpoint, status = answer.status.as_u16(), bytes = answer.body.len(), "answer");
    judge(endpoint, &answer)
}

/// A GET of whatever is at a path below `base`, whose body is still to come.
pub(super) async fn page(
    http: &reqwest::Client,
    base: &Url,
    deadline: Duration,
    (path, query, accept): (&str, Option<&str>, Option<&str>),
) -> Result<Response, RestError> {
    let endpoint = Endpoint::Page;
    let not_sendable =
        |reason: String| RestError::Refused { endpoint, refusal: Refusal::NotSendable { reason } };
    let mut url = base.join(path).map_err(|error| not_sendable(error.to_string()))?;
    // Whatever is above is not the JobManager's.
    if !url.as_str().starts_with(base.as_str()) {
        return Err(not_sendable(format!("`{path}` leads out of `{base}`")));
    }
    url.set_query(query);
    let mut builder = http.get(url);
    if let Some(accept) = accept {
        builder = builder.header(reqwest::header::ACCEPT, accept);
    }
    let built = builder.build().map_err(|error| not_sendable(chain(&error.without_url())))?;
    match tokio::time::timeout(deadline, http.execute(built)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Failure::Network(error).into_error(endpoint, base, deadline)),
        Err(_elapsed) => Err(unknown(endpoint, timed_out(deadline))),
    }
}

enum Failure {
    Network(reqwest::Error),
    TooLong,
}

impl Failure {
    fn into_error(self, endpoint: Endpoint, base: &Url, deadline: Duration) -> RestError {
        let Self::Network(error) = self else {
            return unknown(endpoint, Doubt::TooLong { bytes_max: limits::ANSWER_BYTES_MAX });
        };
        let error = error.without_url();
        let reason = chain(&error);
        if error.is_connect() {
            let refusal = Refusal::NotConnected { address: address(base), reason, tls: TlsFault::of(&error) };
            return RestError::Refused { endpoint, refusal };
        }
        if error.is_builder() {
            return RestError::Refused { endpoint, refusal: Refusal::NotSendable { reason } };
        }
        let doubt = if error.is_timeout() { timed_out(deadline) } else { Doubt::ConnectionLost { reason } };
        unknown(endpoint, doubt)
    }
}

async fn exchange(http: &reqwest::Client, request: reqwest::Request) -> Result<Answer, Failure> {
    let response = http.execute(request).await.map_err(Failure::Network)?;
    let status = response.status();
    let body = read_bounded(response).await?;
    Ok(Answer { status, body })
}

async fn read_bounded(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::Network)? {
        if body.len() + chunk.len() > limits::ANSWER_BYTES_MAX {
            return Err(Failure::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn judge<T: DeserializeOwned>(endpoint: Endpoint, answer: &Answer) -> Result<T, RestError> {
    let status = answer.status.as_u16();
    let words = FlinkErrors::read(&answer.body);
    let message = || match &words {
        Some(errors) => errors.text(),
        None => beginning(&answer.body),
    };
    match status {
        200..=299 => parse(endpoint, &answer.body),
        404 => Err(match &words {
            Some(errors) if errors.is_missing_call() => {
                RestError::Refused { endpoint, refusal: Refusal::NoSuchCall { message: errors.text() } }
            }
            Some(errors) => RestError::NotFound { endpoint, message: errors.text() },
            None => unknown(endpoint, Doubt::NotFlink { status, message: message() }),
        }),
        // A proxy that gave up waiting says 408 after the request went on.
        408 => Err(unknown(endpoint, Doubt::ServerError { status, message: message() })),
        400..=499 => {
            let refusal = Refusal::Rejected { status, message: message() };
            Err(RestError::Refused { endpoint, refusal })
        }
        500..=599 => Err(unknown(endpoint, Doubt::ServerError { status, message: message() })),
        _ => Err(unknown(endpoint, Doubt::NotFlink { status, message: message() })),
    }
}

fn parse<T: DeserializeOwned>(endpoint: Endpoint, body: &[u8]) -> Result<T, RestError> {
    serde_json::from_slice(body).map_err(|error| {
        let doubt = Doubt::Unreadable { reason: error.to_string(), beginning: beginning(body) };
        unknown(endpoint, doubt)
    })
}

/// Flink's form of an error: `{"errors": ["…"]}`.
#[derive(Deserialize)]
struct FlinkErrors {
    errors: Vec<String>,
}

impl FlinkErrors {
    fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Flink's words without the stack traces that it sends along.
    fn text(&self) -> String {
        let texts: Vec<String> =
            self.errors.iter().map(|text| messages(text)).filter(|text| !text.is_empty()).collect();
        limits::shorten(&texts.join("; "), limits::ERROR_TEXT_BYTES_MAX)
    }

    /// Whether Flink's router, not a handler, answered: it names the path that it does not have. With the
    /// dashboard, its server of static files is the last to look.
    fn is_missing_call(&self) -> bool {
        let words = ["Not found: /", "Unable to load requested file /"];
        self.errors.iter().any(|text| words.iter().any(|word| text.starts_with(word)))
    }
}

const fn unknown(endpoint: Endpoint, doubt: Doubt) -> RestError {
    RestError::UnknownOutcome { endpoint, doubt }
}

fn timed_out(deadline: Duration) -> Doubt {
    Doubt::TimedOut { after_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX) }
}

/// The address without user name and password.
fn address(base: &Url) -> String {
    let host = base.host_str().unwrap_or("?");
    base.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    limits::shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), 200)
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    limits::shorten(&text, limits::ERROR_TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Endpoint, Request, judge};
    use reqwest::{StatusCode, Url};
    use serde_json::Value;

    fn url(base: &str, request: &Request) -> String {
        request.url(&Url::parse(base).unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_base_may_have_a_path_of_its_own() {
        let request = Request::new(Endpoint::CheckpointDetail).with(&"00").with(&7);
        assert_eq!(url("http://host:1", &request), "http://host:1/jobs/00/checkpoints/details/7");
        let proxied = url("http://host/services/x:rest/proxy/", &request);
        assert_eq!(proxied, "http://host/services/x:rest/proxy/jobs/00/checkpoints/details/7");
        let cancel = Request::new(Endpoint::Cancel).with(&"00").query("mode", "cancel".into());
        assert_eq!(url("http://h", &cancel), "http://h/jobs/00?mode=cancel");
    }

    fn outcome(status: u16, body: &str) -> String {
        let answer = Answer { status: StatusCode::from_u16(status).unwrap(), body: body.as_bytes().to_vec() };
        match judge::<Value>(Endpoint::Stop, &answer) {
            Ok(value) => value.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_status_says_what_is_known_of_the_effect() {
        let stop = "POST /jobs/:jobid/stop";
        for (status, body, expected) in [
            (202, "{\"a\":1}", "{\"a\":1}".to_owned()),
            (400, "{\"errors\":[\"bad\"]}", format!("{stop} was refused: status 400: bad")),
            (401, "<html>no</html>", format!("{stop} was refused: status 401: <html>no</html>")),
            (404, "{\"errors\":[\"no job\"]}", format!("{stop} found nothing: no job")),
            (
                404,
                "{\"errors\":[\"Not found: /x\"]}",
                format!("{stop} was refused: this Flink does not have the call: Not found: /x"),
            ),
            (
                404,
                "<html>",
                format!("{stop} has an unknown outcome: status 404 from something that is not Flink: <html>"),
            ),
            (503, "{\"errors\":[\"wait\"]}", format!("{stop} has an unknown outcome: status 503: wait")),
            (408, "slow", format!("{stop} has an unknown outcome: status 408: slow")),
            (
                302,
                "",
                format!("{stop} has an unknown outcome: status 302 from something that is not Flink: "),
            ),
        ] {
            assert_eq!(outcome(status, body), expected, "status {status}");
        }
        assert!(outcome(200, "{\"a\":").contains("it begins with `{\"a\":`"));
    }
}
