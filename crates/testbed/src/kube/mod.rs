//! A real Kubernetes control plane on this machine: etcd, kube-apiserver and kube-controller-manager as processes, with
//! TLS, RBAC and service accounts as in any cluster. Several stand side by side.
//!
//! ```text
//!   Kube ─► record      which clusters there are; a number, and with it a network, for each
//!        ─► guardian    takes everything away when the owner is gone, however it went
//!        ─► certificates, control_plane, process      files, command lines, processes
//!        ─► readiness   what has to be there before anybody uses it
//! ```
//! It takes root, Linux and `iproute2`. It refuses to know nodes and pods: those are for whoever runs them, on the
//! bridge of [`Network`].

mod certificates;
mod control_plane;
mod error;
mod guardian;
mod network;
mod process;
mod programs;
mod readiness;
mod record;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use drey_local::process_table::ProcessIdentity;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

pub use control_plane::Controllers;
pub use error::KubeError;
pub use network::Network;
pub use process::CLUSTER_VARIABLE;
pub use programs::{PROGRAMS_VARIABLE, Programs};
pub use record::{Record, RecordedProcess};

use certificates::Papers;
use control_plane::ControlPlane;
use guardian::Guardian;
use process::{Launch, Process};

/// How a cluster is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name, of which there can be one on a machine at a time.
    pub name: String,
    /// The programs.
    pub programs: Programs,
    /// Which controllers run.
    pub controllers: Controllers,
}

impl Options {
    /// A cluster with a name that nobody else has, and the controllers of workloads, for a test.
    ///
    /// # Errors
    /// When the environment does not say where the programs are.
    pub fn for_test() -> Result<Options, KubeError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let programs = Programs::from_environment()?;
        Ok(Options { name, programs, controllers: Controllers::Workloads })
    }
}

/// A cluster that runs. It ends with this value, and also when this process is killed.
pub struct Kube {
    record: Record,
    directory: PathBuf,
    papers: PaperPaths,
    client: Client,
    /// `None` once it was let go.
    guardian: Option<Guardian>,
    processes: Vec<Process>,
}

/// Paths that are handed out by reference.
#[derive(Debug)]
struct PaperPaths {
    authority: PathBuf,
    kubeconfig: PathBuf,
}

impl Kube {
    /// Starts a cluster and returns when it can be used: the API server is ready, the controllers have
    /// begun and, where they do that, the namespace `default` has its account and its authority.
    ///
    /// # Errors
    /// When the machine refuses, a program ends, or readiness does not come in time.
    pub async fn start(options: Options) -> Result<Kube, KubeError> {
        let this = i32::try_from(std::process::id()).unwrap_or_default();
        let owner = ProcessIdentity::of(this).map_err(KubeError::file("/proc"))?;
        let owner = owner.expect("this process is alive");
        let (record, guardian) = record::claim(&options.name, owner)?;
        let directory = record.directory();
        let papers = Papers::at(&directory);
        papers.make(&record.network, record.api_server())?;
        let client = client(&papers.admin_kubeconfig(), None).await?;
        let network = record.network.clone();
        let plane = ControlPlane { programs: &options.programs, network: &network, directory: &directory };
        let papers = PaperPaths { authority: papers.authority(), kubeconfig: papers.admin_kubeconfig() };
        let (guardian, processes) = (Some(guardian), Vec::new());
        let mut kube = Kube {
            record,
            directory: directory.clone(),
            papers,
            client: client.clone(),
            guardian,
            processes,
        };
        kube.launch(&plane.etcd())?;
        kube.launch(&plane.apiserver())?;
        readiness::of_api_server(&client, &mut kube.processes).await?;
        if let Some(launch) = plane.controller_manager(options.controllers) {
            kube.launch(&launch)?;
            readiness::of_controllers(&client, &mut kube.processes).await?;
        }
        if options.controllers.equip_namespaces() {
            readiness::of_default_namespace(&client, &mut kube.processes).await?;
        }
        Ok(kube)
    }

    /// Where pods may live.
    pub fn network(&self) -> &Network {
        &self.record.network
    }

    /// Where the API server listens: an address of the bridge, which pods reach too.
    pub fn api_server(&self) -> SocketAddr {
        self.record.api_server()
    }

    /// The authority that signed the API server's certificate, in PEM.
    pub fn certificate_authority(&self) -> &Path {
        &self.papers.authority
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.papers.kubeconfig
    }

    /// The cluster's directory, with the logs of its processes. It goes away with the cluster.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A client with the rights of the administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client that shows this token, such as one of a service account, and nothing else.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client_with_token(&self, token: &str) -> Result<Client, KubeError> {
        client(&self.papers.kubeconfig, Some(token)).await
    }

    /// What is written down of it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Lets it outlive this process, until [`Record::remove`] takes it away.
    ///
    /// # Errors
    /// When that cannot be written down; then it ends now.
    pub fn detach(mut self) -> Result<Record, KubeError> {
        let record = Record { owner: None, guardian: None, ..self.record.clone() };
        record.write()?;
        if let Some(guardian) = self.guardian.take() {
            guardian.dismiss();
        }
        Ok(record)
    }

    /// Takes it away, and looks whether anything is left.
    ///
    /// # Errors
    /// When something of it is still there afterwards.
    pub fn stop(self) -> Result<(), KubeError> {
        let record = self.record.clone();
        drop(self);
        let left = record.left()?;
        if left.is_empty() {
            return Ok(());
        }
        Err(KubeError::Left { name: record.name, left: left.join(", ") })
    }

    fn launch(&mut self, launch: &Launch) -> Result<(), KubeError> {
        let process = Process::start(launch, &self.directory)?;
        if let Some(identity) = process.identity().cloned() {
            let name = process.name().to_owned();
            self.record.processes.push(RecordedProcess { name, identity });
        }
        self.processes.push(process);
        self.record.write()
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        // A cluster without a guardian was let go.
        let Some(guardian) = self.guardian.take() else { return };
        drop(guardian);
        self.processes.iter_mut().for_each(Process::reap);
    }
}

async fn client(kubeconfig: &Path, token: Option<&str>) -> Result<Client, KubeError> {
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    if let Some(token) = token {
        let auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        for user in &mut kubeconfig.auth_infos {
            user.auth_info = Some(auth_info.clone());
        }
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
