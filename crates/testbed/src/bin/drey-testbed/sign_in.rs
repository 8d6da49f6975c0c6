//! Who sees what and may do what on the dashboard of a cluster: a real API server, people with rights of their own, by
//! tokens and by a proxy's word; by HTTP and in a real Chromium. There is no node and no operator: resources are enough.

mod people;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use drey_cli::command::crds;
use drey_cli::connection::ConnectionArgs;
use drey_testbed::kube::{Controllers, Kube, Options, Programs};
use futures::StreamExt;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::DeleteParams;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::front_end::{Dashboard, walk};
use crate::tally::Tally;

/// How long anything may take. What the API server said of a person counts for 30 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// Directory with the programs of the control plane
    #[arg(long)]
    programs: PathBuf,
    /// The front end's directory, with its packages installed
    #[arg(long, default_value = "ui")]
    ui: PathBuf,
}

/// Runs the story.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = Runtime::new().context("no runtime")?;
    let temporary = tempfile::tempdir()?;
    let world = runtime.block_on(World::start(args, temporary.path()))?;
    let mut tally = Tally::default();
    let mut step = |name: &str, act: &mut dyn FnMut() -> Result<()>| tally.step(name, act);
    step("sign-in: nobody comes in without a token of the cluster", &mut || {
        runtime.block_on(strangers(&world))
    });
    step("sign-in: a viewer sees one namespace and changes nothing", &mut || {
        runtime.block_on(viewer(&world))
    });
    step("sign-in: an editor changes and does not delete", &mut || runtime.block_on(editor(&world)));
    step("sign-in: an admin sees all and deletes", &mut || runtime.block_on(admin(&world)));
    step("sign-in: whom the proxy names has their own rights", &mut || runtime.block_on(by_proxy(&world)));
    step("sign-in: the pages of viewer and editor", &mut || browse(&runtime, &world, &args.ui));
    step("sign-in: rights that end are seen to end", &mut || runtime.block_on(rights_end(&world)));
    let World { kube, dashboards, .. } = world;
    drop(dashboards);
    kube.stop()?;
    tally.conclude(temporary, false)
}

/// What runs.
struct World {
    kube: Kube,
    http: reqwest::Client,
    /// People sign in with tokens of the cluster.
    by_token: String,
    /// A proxy at loopback names them.
    by_proxy: String,
    dashboards: Vec<Dashboard>,
}

impl World {
    async fn start(args: &Args, directory: &Path) -> Result<World> {
        let options = Options {
            name: format!("sign-in-{}", std::process::id()),
            programs: Programs::in_directory(&args.programs)?,
            controllers: Controllers::None,
        };
        let kube = Kube::start(options).await?;
        let kubeconfig = Some(kube.kubeconfig().to_owned());
        let connection = ConnectionArgs { kubeconfig, ..ConnectionArgs::default() };
        let install = crds::Command::Apply(crds::ApplyArgs { force: false, timeout: PATIENCE });
        crds::run(&install, &connection).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        people::make(&kube.client()).await?;
        for (namespace, name) in [("team-a", "orders"), ("team-a", "clicks"), ("team-b", "payments")] {
            let spec = json!({ "spec": { "flinkVersion": "v1_20", "image": "flink:1.20", "serviceAccount": "flink",
                "flinkConfiguration": { "s3.secret-key": "very-hidden" },
                "job": { "jarURI": "local:///a.jar", "parallelism": 1, "state": "running", "upgradeMode": "stateless" },
                "jobManager": { "resource": { "cpu": 1, "memory": "1g" } },
                "taskManager": { "resource": { "cpu": 1, "memory": "1g" } } } });
            let version = "flink.apache.org/v1beta1";
            people::put(&kube.client(), Some(namespace), version, "FlinkDeployment", name, spec).await?;
        }
        let kubeconfig = people::kubeconfig(&kube, "dashboard", directory).await?;
        let drey = std::fs::canonicalize(&args.drey).with_context(|| args.drey.display().to_string())?;
        let dashboards = vec![
            Dashboard::start(&drey, &kubeconfig, &["--port", "0", "--login", "token"])?,
            Dashboard::start(
                &drey,
                &kubeconfig,
                &[
                    "--port",
                    "0",
                    "--login",
                    "proxy",
                    "--trusted-proxies",
                    "127.0.0.1",
                    "--base-path",
                    "/flink/",
                ],
            )?,
        ];
        let http = reqwest::Client::builder().no_proxy().build()?;
        let (by_token, by_proxy) = (dashboards[0].address.clone(), dashboards[1].address.clone());
        Ok(World { kube, http, by_token, by_proxy, dashboards })
    }

    async fn token(&self, account: &str) -> Result<Person<'_>> {
        let token = people::token(&self.kube.client(), account).await?;
        Ok(Person {
            world: self,
            base: &self.by_token,
            headers: vec![("authorization", format!("Bearer {token}"))],
        })
    }

    fn named(&self, user: &str, groups: &str) -> Person<'_> {
        let headers = vec![("x-forwarded-user", user.to_owned()), ("x-forwarded-groups", groups.to_owned())];
        Person { world: self, base: &self.by_proxy, headers }
    }
}

/// Somebody who asks.
struct Person<'a> {
    world: &'a World,
    base: &'a str,
    headers: Vec<(&'static str, String)>,
}

impl Person<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let mut request = self.world.http.request(method, format!("{}api/v1/{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.header("x-drey", "1").json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or_default()))
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        self.ask(Method::GET, path, None).await
    }

    /// Asks to act on a resource.
    async fn act(&self, resource: &str, action: &str) -> Result<(StatusCode, Value)> {
        let name = resource.rsplit('/').next().unwrap_or_default();
        let path = format!("ns/{resource}/actions/{action}");
        self.ask(Method::POST, &path, Some(&json!({ "confirm": name }))).await
    }

    /// Names of the rows.
    async fn sees(&self) -> Result<Vec<String>> {
        let (status, fleet) = self.get("fleet").await?;
        ensure!(status == StatusCode::OK, "the fleet answered {status}: {fleet}");
        ensure!(
            fleet["matched"] == fleet["rows"].as_array().map_or(0, Vec::len),
            "the sums tell of more: {fleet}"
        );
        let rows = fleet["rows"].as_array().into_iter().flatten();
        let mut names: Vec<String> =
            rows.map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect();
        names.sort();
        Ok(names)
    }

    async fn must_see(&self, names: &[&str]) -> Result<()> {
        until(&format!("the fleet to be {names:?}"), async || Ok((self.sees().await? == names).then_some(())))
            .await
    }
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(began.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

const ORDERS: &str = "team-a/flinkdeployments/orders";
const PAYMENTS: &str = "team-b/flinkdeployments/payments";

/// Refused with this status; the refusal says why.
fn refused(answer: &(StatusCode, Value), status: StatusCode, words: &str) -> Result<()> {
    let message = answer.1["error"]["message"].as_str().unwrap_or_default();
    ensure!(
        answer.0 == status && message.contains(words),
        "expected {status} `{words}`: {} {}",
        answer.0,
        answer.1
    );
    Ok(())
}

async fn strangers(world: &World) -> Result<()> {
    let deleted = people::token(&world.kube.client(), "editor").await?;
    let cut = deleted.rsplit_once('.').map(|(head, _)| format!("{head}.c2lnbmF0dXJl")).unwrap_or_default();
    for token in ["", "guess", &cut] {
        let headers = vec![("authorization", format!("Bearer {token}"))];
        let stranger = Person { world, base: &world.by_token, headers };
        for path in ["fleet", "session", "stream", &format!("ns/{ORDERS}"), &format!("ns/{ORDERS}/yaml")] {
            refused(&stranger.get(path).await?, StatusCode::UNAUTHORIZED, "")?;
        }
        refused(&stranger.act(ORDERS, "suspend").await?, StatusCode::UNAUTHORIZED, "")?;
        let shown = json!({ "token": token });
        let sign_in = stranger.ask(Method::POST, "sign-in", Some(&shown)).await?;
        refused(&sign_in, StatusCode::UNAUTHORIZED, "does not accept this token")?;
    }
    Ok(())
}

async fn viewer(world: &World) -> Result<()> {
    let viewer = world.token("viewer").await?;
    viewer.must_see(&["clicks", "orders"]).await?;
    let (_, session) = viewer.get("session").await?;
    ensure!(session["user"] == "system:serviceaccount:people:viewer", "{session}");
    let (status, detail) = viewer.get(&format!("ns/{ORDERS}")).await?;
    ensure!(status == StatusCode::OK, "{detail}");
    let reason = detail["may"]["patch"]["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("viewer may not patch flinkdeployments in namespace team-a"),
        "{}",
        detail["may"]
    );
    let allowed = detail["actions"].as_array().into_iter().flatten().any(|action| action["allowed"] == true);
    ensure!(!allowed, "{}", detail["actions"]);
    let (_, yaml) = viewer.get(&format!("ns/{ORDERS}/yaml")).await?;
    ensure!(!yaml.to_string().contains("very-hidden"), "a secret came through");
    for action in ["suspend", "restart", "delete"] {
        refused(&viewer.act(ORDERS, action).await?, StatusCode::FORBIDDEN, "may not")?;
    }
    let edit = json!({ "yaml": yaml["yaml"].as_str().unwrap_or_default().replace("parallelism: 1", "parallelism: 2") });
    let edited = viewer.ask(Method::POST, &format!("ns/{ORDERS}/edit"), Some(&edit)).await?;
    refused(&edited, StatusCode::FORBIDDEN, "cannot update resource")?;
    for path in ["", "/yaml", "/timeline", "/processes", "/checkpoints", "/logs/x"] {
        let answer = viewer.get(&format!("ns/{PAYMENTS}{path}")).await?;
        refused(&answer, StatusCode::FORBIDDEN, "cannot get resource")?;
    }
    // A change of the other team is no news for them.
    let news = news(&viewer).await?;
    let admin = world.token("admin").await?;
    ensure!(admin.act(PAYMENTS, "restart").await?.0 == StatusCode::OK);
    ensure!(admin.act("team-a/flinkdeployments/clicks", "restart").await?.0 == StatusCode::OK);
    let heard = tokio::time::timeout(PATIENCE, news).await.context("no news came")??;
    ensure!(heard.contains("team-a/flinkdeployments/clicks"), "{heard}");
    ensure!(!heard.contains("payments") && !heard.contains("team-b"), "{heard}");
    Ok(())
}

/// What the stream tells until rows come, from now on.
async fn news(person: &Person<'_>) -> Result<impl Future<Output = Result<String>> + use<>> {
    let mut request = person.world.http.get(format!("{}api/v1/stream", person.base));
    for (name, value) in &person.headers {
        request = request.header(*name, value);
    }
    let mut pieces = request.send().await?.error_for_status()?.bytes_stream();
    let mut heard = String::new();
    while !heard.contains("event: hello") {
        let piece = pieces.next().await.context("the stream ended")??;
        heard.push_str(&String::from_utf8_lossy(&piece));
    }
    Ok(async move {
        while !heard.contains("event: rows") || !heard.ends_with("\n\n") {
            let piece = pieces.next().await.context("the stream ended")??;
            heard.push_str(&String::from_utf8_lossy(&piece));
        }
        Ok(heard)
    })
}

async fn editor(world: &World) -> Result<()> {
    let editor = world.token("editor").await?;
    editor.must_see(&["clicks", "orders"]).await?;
    let (status, answer) = editor.act(ORDERS, "suspend").await?;
    ensure!(status == StatusCode::OK && answer["applied"] == true, "{answer}");
    let (_, yaml) = editor.get(&format!("ns/{ORDERS}/yaml")).await?;
    let text = yaml["yaml"].as_str().unwrap_or_default();
    ensure!(text.contains("state: suspended"), "{text}");
    let edit =
        json!({ "yaml": text.replace("parallelism: 1", "parallelism: 2"), "version": yaml["version"] });
    let (status, answer) = editor.ask(Method::POST, &format!("ns/{ORDERS}/edit"), Some(&edit)).await?;
    ensure!(status == StatusCode::OK && answer["applied"] == true, "{answer}");
    refused(&editor.act(ORDERS, "delete").await?, StatusCode::FORBIDDEN, "may not delete")?;
    refused(&editor.act(PAYMENTS, "suspend").await?, StatusCode::FORBIDDEN, "cannot get resource")?;
    // Its own page only, whoever it is.
    let path = format!("{}api/v1/ns/{ORDERS}/actions/resume", world.by_token);
    let foreign = world.http.post(path).header("authorization", &editor.headers[0].1).json(&json!({}));
    ensure!(foreign.send().await?.status() == StatusCode::FORBIDDEN, "a foreign page could act");
    Ok(())
}

async fn admin(world: &World) -> Result<()> {
    let admin = world.token("admin").await?;
    admin.must_see(&["clicks", "orders", "payments"]).await?;
    let (status, answer) = admin.act(PAYMENTS, "delete").await?;
    ensure!(status == StatusCode::OK, "{answer}");
    admin.must_see(&["clicks", "orders"]).await
}

async fn by_proxy(world: &World) -> Result<()> {
    let nobody = Person { world, base: &world.by_proxy, headers: Vec::new() };
    refused(&nobody.get("fleet").await?, StatusCode::UNAUTHORIZED, "does not say who asks")?;
    for (user, groups) in [("system:admin", ""), ("ann", "system:masters"), ("ann", "a, system:masters")] {
        let answer = world.named(user, groups).get("fleet").await?;
        refused(&answer, StatusCode::FORBIDDEN, "keeps for itself")?;
    }
    world.named("ann", "").must_see(&[]).await?;
    let ann = world.named("ann", people::GROUP);
    ann.must_see(&["clicks", "orders"]).await?;
    let (_, session) = ann.get("session").await?;
    ensure!(session["user"] == "ann" && session["maySignOut"] == false, "{session}");
    let (status, answer) = ann.act(ORDERS, "restart").await?;
    ensure!(status == StatusCode::OK && answer["applied"] == true, "{answer}");
    refused(&ann.act(ORDERS, "delete").await?, StatusCode::FORBIDDEN, "ann may not delete")
}

/// What ends on the API server ends here, without a new sign-in.
async fn rights_end(world: &World) -> Result<()> {
    let viewer = world.token("viewer").await?;
    viewer.must_see(&["clicks", "orders"]).await?;
    let client = world.kube.client();
    let bindings = Api::<RoleBinding>::namespaced(client.clone(), "team-a");
    bindings.delete("viewer", &DeleteParams::default()).await?;
    viewer.must_see(&[]).await?;
    let accounts = Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(client, people::HOME);
    accounts.delete("viewer", &DeleteParams::default()).await?;
    until("the token of a deleted account to be refused", async || {
        Ok((viewer.get("session").await?.0 == StatusCode::UNAUTHORIZED).then_some(()))
    })
    .await
}

/// The walk of the front end, as two people.
fn browse(runtime: &Runtime, world: &World, ui: &Path) -> Result<()> {
    let token = |account| runtime.block_on(people::token(&world.kube.client(), account));
    let (viewer, editor) = (token("viewer")?, token("editor")?);
    walk(ui, "sign-in", &world.by_token, &[("VIEWER", &viewer), ("EDITOR", &editor)])
}
