//! Waits until a cluster can be used, and says what is missing when that does not come.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::{Api, Client};

use super::error::KubeError;
use super::process::Process;

/// How long each part may take. Machines that build at the same time are slow.
const TIMEOUT: Duration = Duration::from_secs(90);
/// How long one request may take: before the server listens, the client tries again by itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// Every check of `/readyz`, among them that the roles of RBAC are there.
pub(super) async fn of_api_server(client: &Client, processes: &mut [Process]) -> Result<(), KubeError> {
    wait("`/readyz` does not answer `ok`", processes, async || {
        let request = http::Request::get("/readyz").body(Vec::new()).expect("a constant path is a request");
        client.request_text(request).await.is_ok_and(|text| text == "ok")
    })
    .await
}

/// The account of the garbage collector, which the controller manager makes when it starts that controller.
pub(super) async fn of_controllers(client: &Client, processes: &mut [Process]) -> Result<(), KubeError> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "kube-system");
    wait("no controller has begun", processes, async || {
        matches!(accounts.get_opt("generic-garbage-collector").await, Ok(Some(_)))
    })
    .await
}

/// What pods of the namespace `default` need before they can be made.
pub(super) async fn of_default_namespace(
    client: &Client,
    processes: &mut [Process],
) -> Result<(), KubeError> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    let authorities = Api::<ConfigMap>::namespaced(client.clone(), "default");
    wait("the namespace `default` has no account `default` or no `kube-root-ca.crt`", processes, async || {
        matches!(accounts.get_opt("default").await, Ok(Some(_)))
            && matches!(authorities.get_opt("kube-root-ca.crt").await, Ok(Some(_)))
    })
    .await
}

async fn wait(
    what: &str,
    processes: &mut [Process],
    mut is_ready: impl AsyncFnMut() -> bool,
) -> Result<(), KubeError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        processes.iter_mut().try_for_each(Process::expect_alive)?;
        if tokio::time::timeout(REQUEST_TIMEOUT, is_ready()).await.unwrap_or(false) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let last = processes.last();
            return Err(KubeError::NotReady {
                seconds: TIMEOUT.as_secs(),
                what: what.to_owned(),
                program: last.map(|process| process.name().to_owned()).unwrap_or_default(),
                tail: last.map(Process::tail).unwrap_or_default(),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}
