//! CustomResourceDefinitions: checking them, their conditions, and the kinds that they define.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Cell, Column, Computed, Family, Kind, ScalePaths, api_version, version_priority};
use crate::errors::FieldError;
use crate::schema::{Schema, check_structural, compile};

/// What the check of a CRD found.
pub(crate) struct CrdOutcome {
    pub(crate) errors: Vec<FieldError>,
    /// For the `Warning` header: what is stored but not obeyed.
    pub(crate) warnings: Vec<String>,
}

/// The `openAPIV3Schema` of one version of a CRD.
pub(crate) fn openapi_schema(mut crd: Value, version: &str) -> Option<Value> {
    let versions = crd["spec"]["versions"].as_array_mut()?;
    let found = versions.iter_mut().find(|served| served["name"] == version)?;
    Some(found["schema"]["openAPIV3Schema"].take())
}

/// The kinds that an established CRD serves, one per served version.
pub(crate) fn kinds_of(crd: &Value) -> Vec<Kind> {
    let versions = crd["spec"]["versions"].as_array().map_or(&[][..], Vec::as_slice);
    versions.iter().filter(|version| version["served"] == true).map(|version| kind_of(crd, version)).collect()
}

fn kind_of(crd: &Value, version: &Value) -> Kind {
    let spec = &crd["spec"];
    let accepted = &spec["names"];
    let group = text(&spec["group"]);
    let plural = text(&accepted["plural"]);
    let storage = spec["versions"]
        .as_array()
        .and_then(|versions| versions.iter().find(|version| version["storage"] == true))
        .map_or_else(String::new, |version| text(&version["name"]));
    let source = &version["schema"]["openAPIV3Schema"];
    let preserve = spec["preserveUnknownFields"] == true;
    let schema = compile(source)
        .ok()
        .map(|schema| Arc::new(Schema { preserve_unknown: schema.preserve_unknown || preserve, ..schema }));
    let name = text(&version["name"]);
    let deprecation = (version["deprecated"] == true).then(|| {
        let own = version["deprecationWarning"].as_str().map(str::to_owned);
        own.unwrap_or_else(|| deprecation_text(spec, &group, &name, &text(&accepted["kind"])))
    });
    Kind {
        kind: text(&accepted["kind"]),
        list_kind: accepted["listKind"]
            .as_str()
            .map_or_else(|| format!("{}List", text(&accepted["kind"])), str::to_owned),
        singular: accepted["singular"]
            .as_str()
            .map_or_else(|| text(&accepted["kind"]).to_lowercase(), str::to_owned),
        short_names: texts(&accepted["shortNames"]),
        categories: texts(&accepted["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        family: Family::Custom,
        collection: Arc::from(format!("{plural}.{group}")),
        storage_api_version: api_version(&group, &storage),
        status: version["subresources"]["status"].is_object(),
        scale: scale_of(&version["subresources"]["scale"]),
        columns: columns_of(&version["additionalPrinterColumns"]),
        schema,
        selectable_fields: version["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|field| text(&field["jsonPath"]))
            .collect(),
        deprecation,
        group,
        version: name,
        plural,
    }
}

/// Names the best version that is served and not deprecated.
fn deprecation_text(spec: &Value, group: &str, version: &str, kind: &str) -> String {
    let versions = spec["versions"].as_array().into_iter().flatten();
    let mut better: Vec<&str> = versions
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .filter_map(|other| other["name"].as_str())
        .filter(|other| version_priority(other) > version_priority(version))
        .collect();
    better.sort_by_key(|other| version_priority(other));
    match better.last() {
        Some(better) => {
            format!("{group}/{version} {kind} is deprecated; use {group}/{better} {kind}")
        }
        None => format!("{group}/{version} {kind} is deprecated"),
    }
}

fn scale_of(scale: &Value) -> Option<ScalePaths> {
    Some(ScalePaths {
        spec_replicas: scale["specReplicasPath"].as_str()?.to_owned(),
        status_replicas: text(&scale["statusReplicasPath"]),
        label_selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
    })
}

fn columns_of(columns: &Value) -> Vec<Column> {
    let plain = |name: &str, kind: &str, cell: Cell| Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: if name == "Name" { "name".to_owned() } else { String::new() },
        description: String::new(),
        priority: 0,
        cell,
    };
    let mut found = vec![plain("Name", "string", Cell::Computed(Computed::Name))];
    match columns.as_array().filter(|columns| !columns.is_empty()) {
        None => found.push(plain("Age", "date", Cell::Path(".metadata.creationTimestamp".to_owned()))),
        Some(columns) => found.extend(columns.iter().map(|column| Column {
            name: text(&column["name"]),
            kind: text(&column["type"]),
            format: text(&column["format"]),
            description: text(&column["description"]),
            priority: column["priority"].as_i64().unwrap_or(0),
            cell: Cell::Path(text(&column["jsonPath"])),
        })),
    }
    found
}

/// Fills in what the real server defaults, and the conditions that say the CRD is served. `previous` is the
/// stored CRD of the same name, whose condition times stay.
pub(crate) fn settle_crd(crd: &mut Value, previous: Option<&Value>, now: &str) {
    let kind = text(&crd["spec"]["names"]["kind"]);
    let names = &mut crd["spec"]["names"];
    if names["singular"].as_str().unwrap_or("").is_empty() {
        names["singular"] = json!(kind.to_lowercase());
    }
    if names["listKind"].as_str().unwrap_or("").is_empty() {
        names["listKind"] = json!(format!("{kind}List"));
    }
    if crd["spec"]["conversion"].is_null() {
        crd["spec"]["conversion"] = json!({"strategy": "None"});
    }
    let conditions = match previous.map(|previous| &previous["status"]["conditions"]) {
        Some(Value::Array(conditions)) if !conditions.is_empty() => json!(conditions),
        _ => json!([
            {"type": "NamesAccepted", "status": "True", "lastTransitionTime": now,
             "reason": "NoConflicts", "message": "no conflicts found"},
            {"type": "Established", "status": "True", "lastTransitionTime": now,
             "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"},
        ]),
    };
    let storage = crd["spec"]["versions"]
        .as_array()
        .and_then(|versions| versions.iter().find(|version| version["storage"] == true))
        .map(|version| version["name"].clone());
    let mut stored = previous
        .and_then(|previous| previous["status"]["storedVersions"].as_array().cloned())
        .unwrap_or_default();
    if let Some(storage) = storage.filter(|storage| !stored.contains(storage)) {
        stored.push(storage);
    }
    crd["status"] = json!({
        "acceptedNames": crd["spec"]["names"],
        "conditions": conditions,
        "storedVersions": stored,
    });
}

/// Checks a CRD in the words of apiextensions.
pub(crate) fn check_crd(crd: &Value, previous: Option<&Value>) -> CrdOutcome {
    let mut outcome = CrdOutcome { errors: Vec::new(), warnings: Vec::new() };
    let spec = &crd["spec"];
    check_names(crd, spec, &mut outcome.errors);
    let scope = text(&spec["scope"]);
    if scope.is_empty() {
        outcome.errors.push(FieldError::required("spec.scope", ""));
    } else if scope != "Namespaced" && scope != "Cluster" {
        let supported = ["\"Cluster\"".to_owned(), "\"Namespaced\"".to_owned()];
        outcome.errors.push(FieldError::unsupported("spec.scope", &spec["scope"], &supported));
    }
    check_versions(spec, &mut outcome);
    if let Some(previous) = previous {
        for (field, pointer) in [("spec.scope", "/spec/scope"), ("spec.group", "/spec/group")] {
            if crd.pointer(pointer) != previous.pointer(pointer) {
                let value = crd.pointer(pointer).unwrap_or(&Value::Null);
                outcome.errors.push(FieldError::invalid(field, value, "field is immutable"));
            }
        }
    }
    if spec["conversion"]["strategy"] == "Webhook" {
        outcome.warnings.push(
            "spec.conversion: webhooks are not called; versions are converted by \
                               their apiVersion alone"
                .to_owned(),
        );
    }
    outcome
}

fn check_names(crd: &Value, spec: &Value, errors: &mut Vec<FieldError>) {
    let group = text(&spec["group"]);
    let plural = text(&spec["names"]["plural"]);
    let name = text(&crd["metadata"]["name"]);
    if name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", &json!(name), detail));
    }
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(
            "spec.group",
            &json!(group),
            "should be a domain with at least one dot",
        ));
    }
    for (field, value) in [("plural", &spec["names"]["plural"]), ("kind", &spec["names"]["kind"])] {
        if text(value).is_empty() {
            errors.push(FieldError::required(format!("spec.names.{field}"), ""));
        }
    }
}

fn check_versions(spec: &Value, outcome: &mut CrdOutcome) {
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let storage = versions.iter().filter(|version| version["storage"] == true).count();
    if storage != 1 {
        let detail = "must have exactly one version marked as storage version";
        outcome.errors.push(FieldError::invalid("spec.versions", &spec["versions"], detail));
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        let source = &version["schema"]["openAPIV3Schema"];
        if source.is_null() {
            outcome.errors.push(FieldError::required(path, ""));
            continue;
        }
        // The only version's schema is validated as the schema of all versions.
        let path = match versions.len() {
            1 => "spec.validation.openAPIV3Schema".to_owned(),
            _ => path,
        };
        let report = check_structural(source, &path);
        outcome.errors.extend(report.errors);
        if let Err(error) = compile(source) {
            let at = format!("{path}{}", error.path);
            outcome.errors.push(FieldError::invalid(at, &json!(""), &error.problem));
        }
        if !report.rules.is_empty() {
            outcome.warnings.push(format!(
                "x-kubernetes-validations are stored but not evaluated by this embedded API server: {}",
                report.rules.join(", ")
            ));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
