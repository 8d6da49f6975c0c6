//! What a person asks to be changed: always a patch of the resource, said before it is sent, and written down after.
//! Refuses to touch anything but the resource.

use axum::Json;
use axum::extract::Path;
use drey_api::kinds::{self, FlinkDeploymentSpec};
use drey_api::story::Story;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Kind, Refusal};
use super::resource::{api, as_value, fetch, to_yaml};
use super::visit::Visit;
use crate::audit::{self, Deed};
use crate::caller::on;
use crate::change::{self, Action, Wanted};
use crate::detail;
use crate::effect::{self, Outcome};
use crate::key::{FleetKind, Key};
use crate::mask;
use crate::row::Row;

type ActionAddress = Path<(String, String, String, String)>;

pub(super) async fn act(
    visit: Visit,
    Path((namespace, kind, name, action)): ActionAddress,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let Some(action) = Action::from_word(&action) else {
        return Err(Refusal::new(Kind::NotFound, format!("`{action}` is no action")));
    };
    let (key, object) = fetch(&visit, Path((namespace, kind, name))).await?;
    let verb = if action == Action::Delete { "delete" } else { "patch" };
    visit.must(on(verb, key.kind, Some(key.namespace.clone()))).await?;
    let (patch, outcome) = plan(&key, &object, action, &wanted)?;
    let mut applied = None;
    if !wanted.dry_run {
        if outcome.dangerous && wanted.confirm.as_deref() != Some(&*key.name) {
            return Err(
                Refusal::new(Kind::Invalid, format!("type the name `{}` to go on", key.name)).on("confirm")
            );
        }
        applied = Some(send(&visit, &key, &object, patch.as_ref(), &wanted).await);
        let result = applied.as_ref().is_some_and(Result::is_ok);
        audit(&visit, &key, &object, action.as_str(), patch.as_ref(), result);
    }
    let object = applied.transpose()?;
    let row = object.as_ref().and_then(|object| Row::of(&visit.cluster, key.kind, object));
    Ok(Json(json!({
        "patch": shown(&key, patch.as_ref())?,
        "effect": outcome.effect,
        "dangerous": outcome.dangerous,
        "warnings": warnings(&visit, &key),
        "applied": object.is_some(),
        "row": row,
    })))
}

/// The patch of `action`, and what it will bring about.
fn plan(
    key: &Key,
    object: &Value,
    action: Action,
    wanted: &Wanted,
) -> Result<(Option<Value>, Outcome), Refusal> {
    if key.kind != FleetKind::Deployment {
        if action == Action::Delete {
            let effect = "Deletes the resource.".to_owned();
            return Ok((None, Outcome { effect, dangerous: true }));
        }
        return Err(Refusal::new(Kind::Invalid, "this kind is changed by its YAML"));
    }
    let story = match Story::read(object) {
        Ok(story) => story,
        Err(_) if action == Action::Delete => Story::default(),
        Err(error) => return Err(Refusal::new(Kind::Invalid, format!("it cannot be read: {error}"))),
    };
    if let Some(why) = action.why_not(&story) {
        return Err(Refusal::new(Kind::Conflict, why));
    }
    let patch = action
        .patch(&story, wanted)
        .map_err(|(field, expected)| Refusal::new(Kind::Invalid, format!("{field}: {expected}")).on(field))?;
    let Some(patch) = patch else { return Ok((None, effect::of_deletion(&story.spec))) };
    let mut changed = object.clone();
    change::merge(&mut changed, &patch);
    Ok((Some(patch), outcome(&story, &read_spec(&changed)?)))
}

fn outcome(story: &Story, spec: &FlinkDeploymentSpec) -> Outcome {
    let kept = story.status.job_status.as_ref().and_then(|job| job.upgrade_savepoint_path.as_deref());
    effect::of_change(detail::deployed(story).as_deref(), spec, kept)
}

fn read_spec(object: &Value) -> Result<FlinkDeploymentSpec, Refusal> {
    kinds::read(&object["spec"]).map_err(|error| {
        let field = format!("spec.{}", error.path);
        Refusal::new(Kind::Invalid, format!("{field}: {}", error.message)).on(field)
    })
}

async fn send(
    visit: &Visit,
    key: &Key,
    object: &Value,
    patch: Option<&Value>,
    wanted: &Wanted,
) -> Result<Value, Refusal> {
    let api = api(visit, &key.namespace, key.kind);
    let Some(patch) = patch else {
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
        let preconditions = Preconditions { uid, resource_version: wanted.version.clone() };
        api.delete(&key.name, &DeleteParams::default().preconditions(preconditions)).await?;
        return Ok(object.clone());
    };
    let mut patch = patch.clone();
    if let Some(version) = &wanted.version {
        patch["metadata"] = json!({ "resourceVersion": version });
    }
    let patched = api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    as_value(patched)
}

/// The patch as people would write it.
fn shown(key: &Key, patch: Option<&Value>) -> Result<String, Refusal> {
    let Some(patch) = patch else {
        return Ok(format!(
            "kubectl delete {} {} --namespace {}\n",
            key.kind.plural(),
            key.name,
            key.namespace
        ));
    };
    to_yaml(patch)
}

fn warnings(visit: &Visit, key: &Key) -> Vec<String> {
    let tool = visit.store.row(key).and_then(|row| row.gitops);
    tool.map(|tool| {
        format!("{tool} keeps this resource as it is in a repository and will revert this; change it there")
    })
    .into_iter()
    .collect()
}

fn audit(visit: &Visit, key: &Key, object: &Value, action: &str, patch: Option<&Value>, applied: bool) {
    let patch = patch.map(drey_api::secrets::blot);
    let user = visit.caller.name();
    audit::note(&visit.shared.client, &Deed { key, object, user, action, patch, applied });
}

/// An edited object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Edited {
    yaml: String,
    version: Option<String>,
    dry_run: bool,
}

pub(super) async fn edit(
    visit: Visit,
    Path(address): Path<(String, String, String)>,
    Json(edited): Json<Edited>,
) -> Result<Json<Value>, Refusal> {
    let (key, live) = fetch(&visit, Path(address)).await?;
    let wanted = parse(&key, &live, &edited)?;
    let (changes, outcome) = match key.kind {
        FleetKind::Deployment => of_deployment(&live, &wanted)?,
        FleetKind::SessionJob | FleetKind::BlueGreen | FleetKind::Snapshot => {
            (Vec::new(), Outcome { effect: "Changes the resource.".to_owned(), dangerous: false })
        }
    };
    let object: DynamicObject = serde_json::from_value(wanted)
        .map_err(|error| Refusal::new(Kind::Invalid, format!("this is no object: {error}")))?;
    let params = PostParams { dry_run: edited.dry_run, field_manager: None };
    let sent = api(&visit, &key.namespace, key.kind).replace(&key.name, &params, &object).await;
    if !edited.dry_run {
        audit(&visit, &key, &live, "edit", None, sent.is_ok());
    }
    let problems = match sent {
        Ok(_) => Vec::new(),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            vec![json!({ "field": null, "message": status.message, "hint": null })]
        }
        Err(error) => return Err(error.into()),
    };
    let applied = problems.is_empty() && !edited.dry_run;
    Ok(Json(json!({
        "changes": changes, "effect": outcome.effect, "dangerous": outcome.dangerous, "problems": problems,
        "applied": applied,
    })))
}

/// The object that the person wrote, with what was masked put back.
fn parse(key: &Key, live: &Value, edited: &Edited) -> Result<Value, Refusal> {
    let mut wanted: Value = serde_saphyr::from_str(&edited.yaml)
        .map_err(|error| Refusal::new(Kind::Invalid, format!("this is not YAML: {error}")).on("yaml"))?;
    let text = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    for path in ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"] {
        if text(&wanted, path) != text(live, path) {
            let field = path.trim_start_matches('/').replace('/', ".");
            return Err(Refusal::new(Kind::Invalid, format!("{field} of {key} cannot be changed")).on(field));
        }
    }
    change::unmask(&mut wanted, live);
    if let Some(path) = change::still_masked(&wanted["spec"], "spec") {
        return Err(Refusal::new(
            Kind::Invalid,
            format!("{path} is masked, and there was nothing at this place before"),
        )
        .on(path)
        .hint("write the value itself"));
    }
    // What the person never saw stays as it is.
    for hidden in ["managedFields", "ownerReferences", "finalizers"] {
        wanted["metadata"][hidden] = live["metadata"][hidden].clone();
    }
    if let Some(applied) = live["metadata"]["annotations"].get(mask::LAST_APPLIED) {
        wanted["metadata"]["annotations"][mask::LAST_APPLIED] = applied.clone();
    }
    wanted["status"] = live["status"].clone();
    let version = edited.version.clone().or_else(|| text(live, "/metadata/resourceVersion"));
    wanted["metadata"]["resourceVersion"] = json!(version);
    Ok(wanted)
}

fn of_deployment(live: &Value, wanted: &Value) -> Result<(Vec<detail::Change>, Outcome), Refusal> {
    let spec = read_spec(wanted)?;
    let before = read_spec(live)?;
    let story = Story::read(live)
        .map_err(|error| Refusal::new(Kind::Invalid, format!("it cannot be read: {error}")))?;
    Ok((detail::changes(&before, &spec), outcome(&story, &spec)))
}
