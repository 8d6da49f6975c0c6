//! The highest leadership number that is on record in any status. Refuses to know anything else of a resource, so that
//! no broken one can keep a leader from being elected.

use drey_api::kinds::FlinkDeployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::ListParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;

use crate::engine::Namespaces;

/// How many resources one page of the list holds.
const PAGE: u32 = 500;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    intent: Option<Intent>,
}

#[derive(Deserialize)]
struct Intent {
    #[serde(default)]
    epoch: Option<i64>,
}

/// The highest epoch in `namespaces`; 0 when there is none.
///
/// # Errors
/// The answer of the API server.
pub async fn highest(client: &Client, namespaces: &Namespaces) -> Result<i64, kube::Error> {
    let mut highest = 0;
    for namespace in namespaces.scopes() {
        let requests = Request::new(FlinkDeployment::url_path(&(), namespace.as_deref()));
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let request = requests.list(&params).map_err(kube::Error::BuildRequest)?;
            let page: Page = client.request(request).await?;
            let epochs = page.items.into_iter().filter_map(|item| item.status?.intent?.epoch);
            highest = epochs.fold(highest, i64::max);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(highest)
}
