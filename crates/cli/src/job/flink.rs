//! Where Flink is, and how its refusals read. The address and the password come from flags or from the variables that
//! flink-deployer reads. Refuses to know what is asked.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drey_flink::FlinkRest;
use drey_flink::rest::tls::{self, TlsFault, TlsSettings};
use drey_flink::rest::{Doubt, Refusal, RestError};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::limits;
use super::talk::Talk;
use crate::failure::{Failure, Kind};

/// Which Flink, and who asks.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Flink")]
pub struct FlinkArgs {
    /// Address of Flink's REST interface, such as `http://jobmanager:8081`
    #[arg(long, env = "FLINK_BASE_URL", global = true, value_name = "URL", hide_env_values = true)]
    pub flink_url: Option<String>,
    /// User name for basic authentication; counts only with `FLINK_BASIC_AUTH_PASSWORD`
    #[arg(
        long,
        env = "FLINK_BASIC_AUTH_USERNAME",
        global = true,
        value_name = "NAME",
        hide_env_values = true
    )]
    pub flink_user: Option<String>,
    /// How long one answer may take, in seconds
    #[arg(
        long,
        env = "FLINK_API_TIMEOUT_SECONDS",
        global = true,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub flink_timeout: u64,
    /// PEM file with the authorities to trust instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub flink_ca_file: Option<PathBuf>,
    /// PEM file with a certificate and its key to show to Flink
    #[arg(long, global = true, value_name = "FILE")]
    pub flink_identity_file: Option<PathBuf>,
}

/// Without the address, which may hold a password.
impl std::fmt::Debug for FlinkArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlinkArgs").field("flink_timeout", &self.flink_timeout).finish_non_exhaustive()
    }
}

/// A Flink that can be asked, and somebody to talk to meanwhile.
#[derive(Clone, Debug)]
pub struct Session {
    /// The client.
    pub rest: FlinkRest,
    /// What is said.
    pub talk: Talk,
    /// How long is waited between two looks.
    pub pace: limits::Pace,
}

impl FlinkArgs {
    /// Makes the client. Nothing is requested yet. `password` is that of [`PASSWORD`].
    ///
    /// # Errors
    /// No address, one that is none, or files for TLS that cannot be used.
    pub fn session(&self, password: Option<&str>, talk: Talk) -> Result<Session, Failure> {
        let base = self.base()?;
        let settings = TlsSettings {
            certificate_authority_file: self.flink_ca_file.clone(),
            client_identity_file: self.flink_identity_file.clone(),
        };
        let credentials = self.flink_user.as_deref().filter(|user| !user.is_empty());
        let credentials = credentials.zip(password.filter(|password| !password.is_empty()));
        let http = tls::client_with_headers(&settings, headers(credentials)?)
            .map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
        let deadline = Duration::from_secs(self.flink_timeout);
        Ok(Session {
            rest: FlinkRest::new(http, base).with_deadline(deadline),
            talk,
            pace: limits::Pace::default(),
        })
    }

    fn base(&self) -> Result<Url, Failure> {
        let text =
            self.flink_url.as_deref().map(str::trim).filter(|text| !text.is_empty()).ok_or_else(|| {
                Failure::new(Kind::Usage, "the address of Flink is not given")
                    .hint("set FLINK_BASE_URL, or give `--flink-url http://jobmanager:8081`")
            })?;
        let wrong = |why: &str| {
            Failure::new(
                Kind::Usage,
                format!("the address of Flink is no http:// or https:// address: {why}"),
            )
            .hint("it looks like `http://jobmanager:8081`")
        };
        let url: Url = text.parse().map_err(|error| wrong(&format!("{error}")))?;
        if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(wrong(url.scheme())) }
    }
}

/// The variable with the password of basic authentication. There is no flag: everybody sees those.
pub const PASSWORD: &str = "FLINK_BASIC_AUTH_PASSWORD";

/// The password that the environment gives.
#[must_use]
pub fn password() -> Option<String> {
    std::env::var(PASSWORD).ok()
}

/// The header of basic authentication, if both halves are there.
fn headers(credentials: Option<(&str, &str)>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    if let Some((user, password)) = credentials {
        let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| Failure::new(Kind::Internal, "the user name cannot be sent"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Reads something, again when the answer is lost: reading changes nothing.
///
/// # Errors
/// The last of several answers was lost, or Flink refuses.
pub async fn read<T, Asked>(session: &Session, ask: impl Fn() -> Asked) -> Result<T, Failure>
where
    Asked: Future<Output = Result<T, RestError>>,
{
    let mut asked = 1;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if may_pass(&error) && asked < limits::READS_MAX => {
                session.talk.say(format!("asked again: {error}"));
            }
            Err(error) => return Err(failure(&error)),
        }
        asked += 1;
        tokio::time::sleep(session.pace.look).await;
    }
}

/// For how long nothing was heard of Flink.
#[derive(Debug)]
pub struct Silence {
    since: Option<Instant>,
    max: Duration,
}

impl Silence {
    /// Nothing was asked yet.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        Self { since: None, max: session.pace.away }
    }

    /// There was an answer.
    pub fn ends(&mut self) {
        self.since = None;
    }

    /// There was none.
    ///
    /// # Errors
    /// There was none for too long.
    pub fn goes_on(&mut self, error: &RestError) -> Result<(), Failure> {
        let now = Instant::now();
        let silent = now.duration_since(*self.since.get_or_insert(now));
        if silent < self.max {
            return Ok(());
        }
        let why = failure(error);
        let message = format!("Flink has not answered for {} s: {}", silent.as_secs(), why.message());
        Err(Failure::new(Kind::Unreachable, message))
    }
}

/// Whether the same question may have an answer the next time. With 500 Flink says what is wrong with it.
fn may_pass(error: &RestError) -> bool {
    match error {
        RestError::UnknownOutcome { doubt: Doubt::ServerError { status, .. }, .. } => *status != 500,
        RestError::UnknownOutcome { .. } => true,
        RestError::Refused { .. } | RestError::NotFound { .. } => false,
    }
}

/// What a person reads when Flink did not do what it was asked.
#[must_use]
pub fn failure(error: &RestError) -> Failure {
    let call = error.endpoint();
    match error {
        RestError::Refused { refusal, .. } => refused(refusal).detail(format!("asked: {call}")),
        RestError::NotFound { message, .. } => Failure::new(Kind::NotFound, message.clone()),
        RestError::UnknownOutcome { doubt, .. } => doubtful(doubt).detail(format!("asked: {call}")),
    }
}

fn refused(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::NotConnected { address, reason, tls: None } => {
            Failure::new(Kind::Unreachable, format!("Flink cannot be reached at {address}: {reason}"))
                .hint("check FLINK_BASE_URL or `--flink-url`")
        }
        Refusal::NotConnected { address, reason, tls: Some(fault) } => {
            let (why, next) = of_tls(*fault);
            Failure::new(Kind::Unreachable, format!("Flink cannot be reached at {address}: {why}"))
                .detail(reason.clone())
                .hint(next)
        }
        Refusal::NotSendable { reason } => {
            Failure::new(Kind::Usage, format!("the request cannot be made: {reason}"))
        }
        Refusal::NoSuchCall { message } => Failure::new(Kind::Failed, message.clone()).hint(
            "jars are taken by session clusters with `web.submit.enable: true`, not by application clusters",
        ),
        Refusal::Rejected { status: status @ (401 | 403), message } => {
            Failure::new(Kind::Forbidden, unexpected_status(*status, message))
                .hint("set FLINK_BASIC_AUTH_USERNAME and FLINK_BASIC_AUTH_PASSWORD")
        }
        Refusal::Rejected { status, message } => {
            Failure::new(Kind::Failed, unexpected_status(*status, message))
        }
    }
}

/// What is wrong, and what helps.
fn of_tls(fault: TlsFault) -> (&'static str, &'static str) {
    match fault {
        TlsFault::UnknownAuthority => (
            "nobody who is trusted has signed its certificate",
            "give the authority that has, or a certificate that signs itself, as a PEM file: `--flink-ca-file FILE`",
        ),
        TlsFault::OtherHost => (
            "its certificate is that of another host",
            "give an address with a name that the certificate has: FLINK_BASE_URL or `--flink-url`",
        ),
        TlsFault::NotValidNow => (
            "its certificate is not valid yet, or not any more",
            "Flink needs a new certificate; check the clock of this machine too",
        ),
        TlsFault::NoTls => (
            "what answers there does not speak TLS",
            "for plain HTTP the address begins with `http://`: FLINK_BASE_URL or `--flink-url`",
        ),
        TlsFault::TurnedAway => (
            "it does not go on with TLS",
            "if it asks for a certificate, give one with its key as a PEM file: `--flink-identity-file FILE`",
        ),
        TlsFault::Other => (
            "TLS fails",
            "check FLINK_BASE_URL or `--flink-url`, `--flink-ca-file` and `--flink-identity-file`",
        ),
    }
}

/// Where plain HTTP is not understood.
const PERHAPS_TLS: &str =
    "if Flink speaks TLS there, the address begins with `https://`: FLINK_BASE_URL or `--flink-url`";

fn doubtful(doubt: &Doubt) -> Failure {
    match doubt {
        Doubt::TimedOut { after_ms } => {
            Failure::new(Kind::Unreachable, format!("Flink did not answer within {} s", after_ms / 1000))
                .hint("`--flink-timeout` or FLINK_API_TIMEOUT_SECONDS gives it more time")
        }
        Doubt::ConnectionLost { reason } => {
            let failure =
                Failure::new(Kind::Unreachable, format!("the connection to Flink was lost: {reason}"));
            // Whoever speaks TLS answers plain HTTP with an alert, which is no HTTP.
            if reason.contains("invalid HTTP") { failure.hint(PERHAPS_TLS) } else { failure }
        }
        // Flink itself sends those who do not speak TLS to the address where they should.
        Doubt::NotFlink { status: status @ (301 | 302 | 307 | 308), message } => {
            Failure::new(Kind::Failed, unexpected_status(*status, message)).hint(PERHAPS_TLS)
        }
        Doubt::ServerError { status, message } => {
            Failure::new(Kind::Failed, unexpected_status(*status, message))
        }
        Doubt::NotFlink { status, message } => {
            Failure::new(Kind::Failed, unexpected_status(*status, message))
                .hint("this is not Flink's REST interface; check FLINK_BASE_URL or `--flink-url`")
        }
        Doubt::TooLong { .. } => Failure::new(Kind::Failed, doubt.to_string()),
        Doubt::Unreadable { reason, beginning } => {
            let message = format!("Unable to parse API response as valid JSON: {beginning}");
            Failure::new(Kind::Failed, message)
                .detail(reason.clone())
                .hint("is this Flink's REST interface? check FLINK_BASE_URL or `--flink-url`")
        }
    }
}

/// The innermost of the exceptions that Flink tells one after the other, which is the one that helps.
#[must_use]
pub fn innermost(message: &str) -> &str {
    const END: &str = "Exception: ";
    let Some(end) = message.rfind(END) else { return message };
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '$' | '_');
    let start = message[..end].rfind(|c| !is_of_name(c)).map_or(0, |at| at + 1);
    &message[start..]
}

/// In flink-deployer's words, which pipelines look for.
fn unexpected_status(status: u16, message: &str) -> String {
    format!("Unexpected response status {status} with body {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_authentication_needs_both_halves() {
        let header = |credentials| headers(credentials).expect("headers").get(AUTHORIZATION).cloned();
        assert_eq!(header(Some(("user", "secret"))).expect("a header"), "Basic dXNlcjpzZWNyZXQ=");
        assert_eq!(header(None), None);
    }

    #[test]
    fn the_innermost_exception_is_told() {
        let told = "Could not execute application.: a.b.OuterException: x: c.d.InnerException: Cannot map: y";
        assert_eq!(innermost(told), "c.d.InnerException: Cannot map: y");
        assert_eq!(innermost("no exception"), "no exception");
        assert_eq!(innermost("AnException: x"), "AnException: x");
    }

    #[test]
    fn an_address_is_http() {
        let base = |url: &str| FlinkArgs { flink_url: Some(url.to_owned()), ..FlinkArgs::default() }.base();
        assert!(base("http://jobmanager:8081/").is_ok());
        for wrong in ["", "jobmanager:8081", "ftp://x", "http://"] {
            assert_eq!(base(wrong).expect_err(wrong).kind(), Kind::Usage, "{wrong}");
        }
    }
}
