//! `drey proxy`: the REST interface and the pages of a deployment's JobManager on a port of this machine, for as long as
//! the command runs. Refuses to know where JobManagers of laptop mode are; whoever calls it says so.

use clap_complete::engine::ArgValueCandidates;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use drey_flink::rest::only_read::is_only_read;
use http::header::{CONNECTION, HOST, HeaderMap, ORIGIN, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::Body;
use tokio::net::TcpListener;
use tower::BoxError;

use super::deployment_name;
use super::restart::fetch;
use crate::complete;
use crate::connection::Connection;
use crate::failure::{Failure, Kind, root};
use crate::output::{line, say};

/// The largest body that is passed on through the API server, which takes it as a whole.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bring Flink's REST interface and pages to this machine
///
/// Opens a port of 127.0.0.1 that leads to the JobManager of a deployment, through the API server and with your rights
/// (`services/proxy`), for as long as the command runs; also to the JobManager that follows the present one. Only to
/// look at, unless `--allow-writes` is given: what is cancelled behind drey's back, drey starts again.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// Port of 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 8081)]
    pub port: u16,
    /// Also pass on what changes something, such as cancelling a job
    #[arg(long)]
    pub allow_writes: bool,
}

/// Where the JobManager is.
pub enum Target {
    /// Behind the Service of its cluster, by way of the API server.
    Service {
        /// The API.
        client: kube::Client,
        /// `/api/v1/namespaces/…/services/…/proxy`.
        base: String,
    },
    /// On this machine; looked up for each request, because the next JobManager has another port.
    Address(Box<dyn Fn() -> Option<SocketAddr> + Send + Sync>),
}

/// Runs the command for a deployment of a cluster.
///
/// # Errors
/// When there is no such deployment, or the port is taken.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    fetch(connection, name).await?;
    let base = format!("/api/v1/namespaces/{}/services/{name}-rest:rest/proxy", connection.namespace);
    serve(args, Target::Service { client: connection.client.clone(), base }).await
}

/// Passes requests on until it is interrupted.
///
/// # Errors
/// When the port is taken, and [`Kind::Interrupted`] in the end.
pub async fn serve(args: &Args, target: Target) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(|error| {
        Failure::new(Kind::Conflict, format!("port {} of 127.0.0.1 cannot be used: {error}", args.port))
            .hint("choose another one with `--port`, or any with `--port 0`")
    })?;
    let port = listener.local_addr()?.port();
    line(&format!("http://127.0.0.1:{port}/"))?;
    say(if args.allow_writes {
        "passing on everything; Ctrl-C ends it"
    } else {
        "only to look at; Ctrl-C ends it"
    });
    let proxy = Arc::new(Proxy {
        hosts: ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}")),
        allow_writes: args.allow_writes,
        target,
        direct: Client::builder(TokioExecutor::new()).build_http(),
    });
    tokio::select! {
        ended = accept(listener, proxy) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Kind::Interrupted, "the port is closed")),
    }
}

async fn accept(listener: TcpListener, proxy: Arc<Proxy>) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        let proxy = proxy.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(proxy.answer(request).await) }
            });
            // A browser that goes away in the middle is no news.
            let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

struct Proxy {
    hosts: [String; 2],
    allow_writes: bool,
    target: Target,
    direct: Client<HttpConnector, Incoming>,
}

impl Proxy {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Err(refusal) = self.admit(&request) {
            return text(StatusCode::FORBIDDEN, refusal);
        }
        match self.pass_on(request).await {
            Ok(mut answer) => {
                for name in [CONNECTION, TRANSFER_ENCODING] {
                    answer.headers_mut().remove(name);
                }
                answer
            }
            Err(error) => {
                text(StatusCode::BAD_GATEWAY, &format!("the JobManager cannot be reached: {}", root(&*error)))
            }
        }
    }

    /// Pages of other origins reach ports of this machine too: what they ask for is not passed on.
    fn admit<B>(&self, request: &Request<B>) -> Result<(), &'static str> {
        let header = |headers: &HeaderMap, name| headers.get(name)?.to_str().ok().map(str::to_owned);
        let host = header(request.headers(), HOST).unwrap_or_default();
        if !self.hosts.contains(&host) {
            return Err("this port answers to 127.0.0.1 and localhost alone");
        }
        if header(request.headers(), ORIGIN).is_some_and(|origin| origin != format!("http://{host}")) {
            return Err("a page of another origin asks");
        }
        let only_looks =
            matches!(*request.method(), Method::GET | Method::HEAD) && is_only_read(request.uri().path());
        if self.allow_writes || only_looks {
            Ok(())
        } else {
            Err("this port is only to look at; `drey proxy --allow-writes` passes on what changes something")
        }
    }

    async fn pass_on(&self, mut request: Request<Incoming>) -> Result<Answer, BoxError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        for name in [CONNECTION, HOST, ORIGIN] {
            request.headers_mut().remove(name);
        }
        match &self.target {
            Target::Service { client, base } => {
                *request.uri_mut() = Uri::try_from(format!("{base}{path}"))?;
                let (head, body) = request.into_parts();
                let body = Limited::new(body, BODY_BYTES_MAX).collect().await?.to_bytes();
                let answer = client.send(Request::from_parts(head, Body::from(body))).await?;
                Ok(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
            }
            Target::Address(find) => {
                let address = find().ok_or("its cluster does not run now")?;
                *request.uri_mut() = Uri::try_from(format!("http://{address}{path}"))?;
                let answer = self.direct.request(request).await?;
                Ok(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
            }
        }
    }
}

fn text(status: StatusCode, words: &str) -> Answer {
    let body = Full::new(Bytes::from(format!("{words}\n"))).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A proxy to a JobManager that answers every request with the line it was asked by.
    async fn proxy(allow_writes: bool) -> SocketAddr {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
        let address = echo.local_addr().expect("has one");
        tokio::spawn(async move {
            while let Ok((stream, _)) = echo.accept().await {
                let service = service_fn(|request: Request<Incoming>| async move {
                    let line = format!("{} {}", request.method(), request.uri());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(line))))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
        let own = listener.local_addr().expect("has one");
        let hosts = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{}", own.port()));
        let target = Target::Address(Box::new(move || Some(address)));
        let direct = Client::builder(TokioExecutor::new()).build_http();
        tokio::spawn(accept(listener, Arc::new(Proxy { hosts, allow_writes, target, direct })));
        own
    }

    async fn ask(address: SocketAddr, line: &str, headers: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        let request = format!("{line} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }

    #[tokio::test]
    async fn what_is_only_read_is_passed_on_and_nothing_else() {
        let address = proxy(false).await;
        let host = format!("host: {address}\r\n");
        let answer = ask(address, "GET /jobs/overview?x=1", &host).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("GET /jobs/overview?x=1"), "{answer}");
        for line in ["PATCH /jobs/ab?mode=cancel", "POST /jars/upload", "GET /jobs/ab/yarn-cancel"] {
            let answer = ask(address, line, &host).await;
            assert!(
                answer.starts_with("HTTP/1.1 403") && answer.contains("--allow-writes"),
                "{line}: {answer}"
            );
        }
    }

    #[tokio::test]
    async fn writes_are_passed_on_when_that_was_asked_for_but_not_for_pages_of_others() {
        let address = proxy(true).await;
        let host = format!("host: {address}\r\n");
        let answer = ask(address, "PATCH /jobs/ab", &format!("{host}origin: http://{address}\r\n")).await;
        assert!(answer.ends_with("PATCH /jobs/ab"), "{answer}");
        let hostile = [format!("{host}origin: http://evil.example\r\n"), "host: evil.example\r\n".to_owned()];
        for headers in hostile {
            let answer = ask(address, "PATCH /jobs/ab", &headers).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{headers}: {answer}");
        }
    }
}
