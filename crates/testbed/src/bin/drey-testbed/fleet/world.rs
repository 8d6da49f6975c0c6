//! A real control plane without a node, fake JobManagers behind the names of their Services, and the account of the
//! operators: all that an operator meets, and nothing of any operator.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use drey_testbed::fake_jobmanager::FakeJobManagers;
use drey_testbed::kube::{Controllers, Kube, Options, Programs};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::kubelet::{Kubelet, NAMESPACE};
use super::names;
use super::operators::Site;

/// Flink's port for REST.
const REST_PORT: u16 = 8_081;
/// The port of name servers.
const NAMES_PORT: u16 = 53;
/// Name of the operators' account.
const ACCOUNT: &str = "flink-operator";
/// How long its token is good, in seconds.
const TOKEN_SECONDS: i64 = 86_400;

/// What an operator meets.
pub(super) struct World {
    /// The control plane.
    pub(super) kube: Kube,
    /// The JobManagers.
    pub(super) fake: FakeJobManagers,
    /// Who brings Deployments up.
    pub(super) kubelet: Arc<Kubelet>,
    /// Where operators are started.
    pub(super) site: Site,
    _tasks: JoinSet<()>,
}

impl World {
    /// Starts everything but an operator, with files in `directory`.
    pub(super) async fn start(programs: &Path, drey: &Path, directory: &Path) -> Result<World> {
        let options = Options {
            name: format!("fleet-{}", std::process::id()),
            programs: Programs::in_directory(programs)?,
            controllers: Controllers::Garbage,
        };
        let kube = Kube::start(options).await?;
        let gateway = kube.network().gateway;
        let (fake, serving) = FakeJobManagers::start().await?;
        let kubelet = Kubelet::new(kube.client(), fake.clone())?;
        let mut tasks = JoinSet::new();
        // It serves by number as well, which nobody needs here.
        serving.abort();
        let listener = TcpListener::bind((gateway, REST_PORT)).await.context("Flink's REST port")?;
        tasks.spawn(fake.clone().serve_by_name(listener));
        let socket = UdpSocket::bind((gateway, NAMES_PORT)).await.context("the port of name servers")?;
        tasks.spawn(names::serve(socket, gateway));
        tasks.spawn(kubelet.clone().run());
        let site = Site { directory: directory.to_owned(), api_server: kube.api_server() };
        let world = World { kube, fake, kubelet, site, _tasks: tasks };
        world.install(drey).await?;
        Ok(world)
    }

    async fn install(&self, drey: &Path) -> Result<()> {
        let mut definitions = tokio::process::Command::new(drey);
        definitions.args(["crds", "apply"]).env("KUBECONFIG", self.kube.kubeconfig());
        let output = definitions.output().await.context("drey cannot be started")?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let account = self.site.directory.join("account");
        std::fs::create_dir_all(&account)?;
        std::fs::write(account.join("token"), self.token().await?)?;
        std::fs::write(account.join("namespace"), NAMESPACE)?;
        std::fs::copy(self.kube.certificate_authority(), account.join("ca.crt"))?;
        let resolver = format!("nameserver {}\noptions timeout:1 attempts:2\n", self.kube.network().gateway);
        Ok(std::fs::write(self.site.directory.join("resolv.conf"), resolver)?)
    }

    /// Rights are no part of what is measured: the account may do everything.
    async fn token(&self) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.kube.client(), NAMESPACE);
        let account = serde_json::from_value(json!({ "metadata": { "name": ACCOUNT } }))?;
        accounts.create(&PostParams::default(), &account).await?;
        let bindings: Api<ClusterRoleBinding> = Api::all(self.kube.client());
        let binding = serde_json::from_value(json!({
            "metadata": { "name": ACCOUNT },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE }],
        }))?;
        bindings.create(&PostParams::default(), &binding).await?;
        let request: TokenRequest = serde_json::from_value(
            json!({ "spec": { "audiences": [], "expirationSeconds": TOKEN_SECONDS } }),
        )?;
        let answer = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await?;
        answer.status.and_then(|status| status.token).context("the API server answers with a token")
    }
}
