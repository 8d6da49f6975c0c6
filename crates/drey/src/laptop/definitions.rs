//! Brings the CustomResourceDefinitions of this drey into its API server.

use drey_cli::failure::Failure;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::PostParams;

/// Creates the definitions, and replaces those that another version has left.
///
/// # Errors
/// The answer of the API server.
pub(crate) async fn install(client: &kube::Client) -> Result<(), Failure> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in drey_api::crd::each() {
        let name = definition.metadata.name.clone().unwrap_or_default();
        install_one(&api, definition)
            .await
            .map_err(|error| Failure::from_kube(&error, &format!("customresourcedefinition/{name}")))?;
    }
    Ok(())
}

async fn install_one(
    api: &Api<CustomResourceDefinition>,
    mut definition: CustomResourceDefinition,
) -> Result<(), kube::Error> {
    let name = definition.metadata.name.clone().unwrap_or_default();
    let Some(served) = api.get_opt(&name).await? else {
        api.create(&PostParams::default(), &definition).await?;
        return Ok(());
    };
    if served.spec != definition.spec {
        definition.metadata.resource_version = served.metadata.resource_version;
        api.replace(&name, &PostParams::default(), &definition).await?;
    }
    Ok(())
}
