//! What a person asks to be changed: always a patch of the resource, said before it is sent, and written down after.
//! Refuses to touch anything but the resource.

use axum::Json;
use axum::extract::Path;
use drey_api::change::{Action, Particulars, merge};
use drey_api::effect::{self, Outcome};
use drey_api::kinds::{self, FlinkDeploymentSpec};
use drey_api::story::Story;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Kind, Refusal};
use super::resource::{api, as_value, fetch, to_yaml};
use super::visit::Visit;
use crate::audit::{self, Deed};
use crate::detail;
use crate::key::{FleetKind, Key};
use crate::persons::Question;
use crate::row::Row;
use crate::unmask;

/// What goes with an action.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ActionRequest {
    /// Say what would happen, and do nothing.
    dry_run: bool,
    /// `metadata.resourceVersion` that the person has seen.
    version: Option<String>,
    /// The name of the resource, typed by the person.
    confirm: Option<String>,
    /// Of `delete` of a snapshot: whether its data goes too. What the resource says when it is not given.
    dispose_of_savepoint: Option<bool>,
    #[serde(flatten)]
    particulars: Particulars,
}

/// What an action does, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ActionAnswer {
    /// What is sent, as people would write it.
    patch: String,
    /// What becomes of the job, in words.
    effect: String,
    /// It may cost state: the name is asked for.
    dangerous: bool,
    warnings: Vec<String>,
    /// It was sent and accepted.
    applied: bool,
    /// The resource after it.
    row: Option<Row>,
}

type ActionAddress = Path<(String, String, String, String)>;

pub(super) async fn act(
    visit: Visit,
    Path((namespace, kind, name, action)): ActionAddress,
    Json(wanted): Json<ActionRequest>,
) -> Result<Json<ActionAnswer>, Refusal> {
    let Some(action) = Action::from_word(&action) else {
        return Err(Refusal::new(Kind::NotFound, format!("`{action}` is no action")));
    };
    let (key, object) = fetch(&visit, Path((namespace, kind, name))).await?;
    let must = |verb| visit.must(Question { verb, kind: key.kind, namespace: Some(key.namespace.clone()) });
    // What is not allowed at all is not explained further.
    must(if action == Action::Delete { "delete" } else { "patch" }).await?;
    let plan = plan(&key, &object, action, &wanted)?;
    if plan.deletes && plan.patch.is_some() {
        must("patch").await?;
    }
    let mut applied = None;
    if !wanted.dry_run {
        if plan.outcome.dangerous && wanted.confirm.as_deref() != Some(&*key.name) {
            return Err(
                Refusal::new(Kind::Invalid, format!("type the name `{}` to go on", key.name)).on("confirm")
            );
        }
        applied = Some(send(&visit, &key, &object, &plan, &wanted).await);
        let result = applied.as_ref().is_some_and(Result::is_ok);
        audit(&visit, &key, &object, action.as_str(), plan.patch.as_ref(), result);
    }
    let object = applied.transpose()?;
    Ok(Json(ActionAnswer {
        patch: shown(&key, &plan)?,
        effect: plan.outcome.effect,
        dangerous: plan.outcome.dangerous,
        warnings: warnings(&visit, &key),
        applied: object.is_some(),
        row: object.as_ref().and_then(|object| Row::of(&visit.cluster, key.kind, object)),
    }))
}

/// What an action sends, and what that will bring about.
#[derive(Debug)]
struct Plan {
    patch: Option<Value>,
    /// The resource is deleted, after the patch if there is one.
    deletes: bool,
    outcome: Outcome,
}

fn plan(key: &Key, object: &Value, action: Action, wanted: &ActionRequest) -> Result<Plan, Refusal> {
    match (key.kind, action) {
        (FleetKind::Deployment, _) => plan_of_deployment(object, action, wanted),
        (FleetKind::Snapshot, Action::Delete) => Ok(plan_of_disposal(object, wanted.dispose_of_savepoint)),
        (FleetKind::SessionJob | FleetKind::BlueGreen, Action::Delete) => {
            let outcome = Outcome { effect: "Deletes the resource.".to_owned(), dangerous: true };
            Ok(Plan { patch: None, deletes: true, outcome })
        }
        _ => Err(Refusal::new(Kind::Invalid, "this kind is changed by its YAML")),
    }
}

/// Whether the data goes with the resource stands in its spec.
fn plan_of_disposal(object: &Value, wanted: Option<bool>) -> Plan {
    let said = object.pointer("/spec/savepoint/disposeOnDelete").and_then(Value::as_bool);
    let is_savepoint = object.pointer("/spec/savepoint").is_some_and(|savepoint| !savepoint.is_null());
    let patch = wanted
        .filter(|wanted| is_savepoint && said != Some(*wanted))
        .map(|wanted| json!({ "spec": { "savepoint": { "disposeOnDelete": wanted } } }));
    // The definition's default.
    let disposes = is_savepoint && wanted.or(said).unwrap_or(true);
    let effect = match (is_savepoint, disposes) {
        (true, true) => "Deletes the resource, and the savepoint's data with it.",
        (true, false) => "Deletes the resource. The savepoint's data stays.",
        (false, _) => {
            "Deletes the resource. The checkpoint is Flink's own, and stays or goes as the job says."
        }
    };
    Plan { patch, deletes: true, outcome: Outcome { effect: effect.to_owned(), dangerous: true } }
}

fn plan_of_deployment(object: &Value, action: Action, wanted: &ActionRequest) -> Result<Plan, Refusal> {
    let story = match Story::read(object) {
        Ok(story) => story,
        Err(_) if action == Action::Delete => Story::default(),
        Err(error) => return Err(Refusal::new(Kind::Invalid, format!("it cannot be read: {error}"))),
    };
    if let Some(why) = action.why_not(&story) {
        return Err(Refusal::new(Kind::Conflict, why));
    }
    let patch = action
        .patch(&story, &wanted.particulars)
        .map_err(|(field, expected)| Refusal::new(Kind::Invalid, format!("{field}: {expected}")).on(field))?;
    let Some(patch) = patch else {
        return Ok(Plan { patch: None, deletes: true, outcome: effect::of_deletion(&story.spec) });
    };
    let mut changed = object.clone();
    merge(&mut changed, &patch);
    let outcome = effect::of_edit(&story, &read_spec(&changed)?);
    Ok(Plan { patch: Some(patch), deletes: false, outcome })
}

fn read_spec(object: &Value) -> Result<FlinkDeploymentSpec, Refusal> {
    kinds::read(&object["spec"]).map_err(|error| {
        let field = format!("spec.{}", error.path);
        Refusal::new(Kind::Invalid, format!("{field}: {}", error.message)).on(field)
    })
}

/// Sends what is planned; answers the resource as it was last seen.
async fn send(
    visit: &Visit,
    key: &Key,
    object: &Value,
    plan: &Plan,
    wanted: &ActionRequest,
) -> Result<Value, Refusal> {
    let api = api(visit, &key.namespace, key.kind);
    let text = |object: &Value, path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let mut version = wanted.version.clone();
    let mut object = object.clone();
    if let Some(patch) = &plan.patch {
        let mut patch = patch.clone();
        if let Some(version) = &version {
            patch["metadata"] = json!({ "resourceVersion": version });
        }
        object = as_value(api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await?)?;
        version = text(&object, "/metadata/resourceVersion");
    }
    if plan.deletes {
        let preconditions = Preconditions { uid: text(&object, "/metadata/uid"), resource_version: version };
        api.delete(&key.name, &DeleteParams::default().preconditions(preconditions)).await?;
    }
    Ok(object)
}

/// What is sent as people would write it.
fn shown(key: &Key, plan: &Plan) -> Result<String, Refusal> {
    let mut text = plan.patch.as_ref().map(to_yaml).transpose()?.unwrap_or_default();
    if plan.deletes {
        let (kind, name, namespace) = (key.kind.plural(), &key.name, &key.namespace);
        text.push_str(&format!("kubectl delete {kind} {name} --namespace {namespace}\n"));
    }
    Ok(text)
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EditRequest {
    yaml: String,
    /// `metadata.resourceVersion` that the person has seen.
    version: Option<String>,
    /// Say what would change, and change nothing.
    dry_run: bool,
}

/// What an edited object changes, or would change.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EditAnswer {
    changes: Vec<detail::Change>,
    /// What becomes of the job, in words.
    effect: String,
    /// It may cost state.
    dangerous: bool,
    /// Why the API server refuses it.
    problems: Vec<String>,
    /// It was sent and accepted.
    applied: bool,
}

pub(super) async fn edit(
    visit: Visit,
    Path(address): Path<(String, String, String)>,
    Json(edited): Json<EditRequest>,
) -> Result<Json<EditAnswer>, Refusal> {
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
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => vec![status.message.clone()],
        Err(error) => return Err(error.into()),
    };
    let applied = problems.is_empty() && !edited.dry_run;
    let Outcome { effect, dangerous } = outcome;
    Ok(Json(EditAnswer { changes, effect, dangerous, problems, applied }))
}

/// The object that the person wrote, with what was masked put back.
fn parse(key: &Key, live: &Value, edited: &EditRequest) -> Result<Value, Refusal> {
    let mut wanted: Value = serde_saphyr::from_str(&edited.yaml)
        .map_err(|error| Refusal::new(Kind::Invalid, format!("this is not YAML: {error}")).on("yaml"))?;
    let text = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    for path in ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"] {
        if text(&wanted, path) != text(live, path) {
            let field = path.trim_start_matches('/').replace('/', ".");
            return Err(Refusal::new(Kind::Invalid, format!("{field} of {key} cannot be changed")).on(field));
        }
    }
    unmask::unmask(&mut wanted, live);
    if let Some(path) = unmask::still_masked(&wanted["spec"], "spec") {
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
    if let Some(applied) = live["metadata"]["annotations"].get(kinds::LAST_APPLIED) {
        wanted["metadata"]["annotations"][kinds::LAST_APPLIED] = applied.clone();
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
    Ok((detail::changes(&before, &spec), effect::of_edit(&story, &spec)))
}
