//! What a person asks for, as a patch of the resource. Pure. Refuses to send it.

use drey_api::secrets;
use drey_api::story::Story;
use serde::Deserialize;
use serde_json::{Value, json};

/// What can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Savepoint,
    Checkpoint,
    Suspend,
    Resume,
    Restart,
    Rescale,
    UpgradeImage,
    Restore,
    Delete,
}

impl Action {
    /// Every action, in the order of its button.
    pub(crate) const ALL: [Action; 9] = [
        Action::Savepoint,
        Action::Checkpoint,
        Action::Suspend,
        Action::Resume,
        Action::Restart,
        Action::Rescale,
        Action::UpgradeImage,
        Action::Restore,
        Action::Delete,
    ];

    /// The word in addresses.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Savepoint => "savepoint",
            Self::Checkpoint => "checkpoint",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Rescale => "rescale",
            Self::UpgradeImage => "upgradeImage",
            Self::Restore => "restore",
            Self::Delete => "delete",
        }
    }

    /// The action of this word.
    pub(crate) fn from_word(word: &str) -> Option<Action> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Why it cannot be asked for now; `None` when it can.
    pub(crate) fn why_not(self, story: &Story) -> Option<String> {
        let running = story.job_state().is_some_and(|state| state.as_str() == "RUNNING");
        let state = || story.job_state().map_or("not known", |state| state.as_str());
        match self {
            Self::Delete => None,
            _ if story.deleting => Some("it is being deleted".to_owned()),
            _ if story.spec.job.is_none() => Some("a session cluster has no job of its own".to_owned()),
            Self::Savepoint | Self::Checkpoint if !running => {
                Some(format!("the job is {}; this needs a RUNNING one", state()))
            }
            Self::Suspend if story.is_suspended() => Some("it is suspended".to_owned()),
            Self::Resume if !story.is_suspended() => Some("it is not suspended".to_owned()),
            _ => None,
        }
    }

    /// The merge patch; `None` for a deletion.
    ///
    /// # Errors
    /// The field of `wanted` that is missing or wrong, and what it should be.
    pub(crate) fn patch(
        self,
        story: &Story,
        wanted: &Wanted,
    ) -> Result<Option<Value>, (&'static str, &'static str)> {
        let job = story.spec.job.as_ref();
        let next = |nonce: Option<i64>| nonce.unwrap_or(0).saturating_add(1);
        let spec = match self {
            Self::Savepoint => {
                json!({ "job": { "savepointTriggerNonce": next(job.and_then(|job| job.savepoint_trigger_nonce)) } })
            }
            Self::Checkpoint => {
                json!({ "job": { "checkpointTriggerNonce": next(job.and_then(|job| job.checkpoint_trigger_nonce)) } })
            }
            Self::Suspend => json!({ "job": { "state": "suspended" } }),
            Self::Resume => json!({ "job": { "state": "running" } }),
            Self::Restart => json!({ "restartNonce": next(story.spec.restart_nonce) }),
            Self::Rescale => {
                let parallelism = wanted.parallelism.filter(|parallelism| *parallelism > 0);
                json!({ "job": { "parallelism": parallelism.ok_or(("parallelism", "a whole number above 0 is expected"))? } })
            }
            Self::UpgradeImage => {
                let image = wanted.image.as_deref().map(str::trim).filter(|image| !image.is_empty());
                json!({ "image": image.ok_or(("image", "the name of an image is expected"))? })
            }
            Self::Restore => {
                let path = wanted.path.as_deref().map(str::trim).filter(|path| !path.is_empty());
                let path = path.ok_or(("path", "the path of a savepoint or checkpoint is expected"))?;
                let nonce = next(job.and_then(|job| job.savepoint_redeploy_nonce));
                json!({ "job": { "initialSavepointPath": path, "savepointRedeployNonce": nonce } })
            }
            Self::Delete => return Ok(None),
        };
        Ok(Some(json!({ "spec": spec })))
    }
}

/// What goes with an action.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Wanted {
    /// Say what would happen, and do nothing.
    pub(crate) dry_run: bool,
    /// `metadata.resourceVersion` that the person has seen.
    pub(crate) version: Option<String>,
    /// The name of the resource, typed by the person.
    pub(crate) confirm: Option<String>,
    parallelism: Option<i32>,
    image: Option<String>,
    path: Option<String>,
}

/// `object` with `patch` merged into it, as RFC 7386 says.
pub(crate) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        object.clone_from(patch);
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            if let Some(object) = object.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge(&mut object[key], value);
        }
    }
}

/// Puts back into `edited` what was masked in what the person saw of `live`.
pub(crate) fn unmask(edited: &mut Value, live: &Value) {
    put_back(edited, live, &secrets::blot(live));
}

fn put_back(edited: &mut Value, live: &Value, shown: &Value) {
    if edited == shown {
        edited.clone_from(live);
        return;
    }
    match (edited, live, shown) {
        (Value::Object(edited), Value::Object(live), Value::Object(shown)) => {
            for (key, edited) in edited {
                if let (Some(live), Some(shown)) = (live.get(key), shown.get(key)) {
                    put_back(edited, live, shown);
                }
            }
        }
        (Value::Array(edited), Value::Array(live), Value::Array(shown)) => {
            for ((edited, live), shown) in edited.iter_mut().zip(live).zip(shown) {
                put_back(edited, live, shown);
            }
        }
        _ => {}
    }
}

/// The path of a value that is still masked: it was moved to where nothing was before.
pub(crate) fn still_masked(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) if text.contains(secrets::BLOT) => Some(path.to_owned()),
        Value::Object(fields) => {
            fields.iter().find_map(|(key, value)| still_masked(value, &format!("{path}.{key}")))
        }
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| still_masked(item, &format!("{path}[{index}]")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(spec: &Value, state: &str) -> Story {
        Story::read(&json!({ "metadata": { "name": "a" }, "spec": spec, "status": { "jobStatus": { "state": state } } }))
            .expect("readable")
    }

    #[test]
    fn every_action_is_a_patch_of_the_spec() {
        let story = story(&json!({ "restartNonce": 4, "job": { "savepointTriggerNonce": 7 } }), "RUNNING");
        let wanted = Wanted {
            parallelism: Some(3),
            image: Some(" a:2 ".into()),
            path: Some("/s".into()),
            ..Wanted::default()
        };
        let table = [
            (Action::Savepoint, json!({ "job": { "savepointTriggerNonce": 8 } })),
            (Action::Checkpoint, json!({ "job": { "checkpointTriggerNonce": 1 } })),
            (Action::Suspend, json!({ "job": { "state": "suspended" } })),
            (Action::Resume, json!({ "job": { "state": "running" } })),
            (Action::Restart, json!({ "restartNonce": 5 })),
            (Action::Rescale, json!({ "job": { "parallelism": 3 } })),
            (Action::UpgradeImage, json!({ "image": "a:2" })),
            (
                Action::Restore,
                json!({ "job": { "initialSavepointPath": "/s", "savepointRedeployNonce": 1 } }),
            ),
        ];
        for (action, spec) in table {
            assert_eq!(action.patch(&story, &wanted), Ok(Some(json!({ "spec": spec }))), "{action:?}");
            assert_eq!(Action::from_word(action.as_str()), Some(action));
        }
        assert_eq!(Action::Delete.patch(&story, &wanted), Ok(None));
        assert_eq!(
            Action::Rescale.patch(&story, &Wanted::default()).map_err(|(field, _)| field),
            Err("parallelism")
        );
    }

    #[test]
    fn what_was_masked_comes_back_and_what_was_edited_stays() {
        let live = json!({ "a": { "s3.secret-key": "one", "plain": "x" }, "args": ["--token=two", "z"] });
        let mut edited = secrets::blot(&live);
        edited["a"]["plain"] = json!("y");
        unmask(&mut edited, &live);
        assert_eq!(
            edited,
            json!({ "a": { "s3.secret-key": "one", "plain": "y" }, "args": ["--token=two", "z"] })
        );
        assert_eq!(still_masked(&edited, "spec"), None);
        let mut moved = json!({ "b": { "s3.secret-key": secrets::BLOT } });
        unmask(&mut moved, &live);
        assert_eq!(still_masked(&moved, "spec").as_deref(), Some("spec.b.s3.secret-key"));
    }

    #[test]
    fn merging_follows_the_rules_of_merge_patches() {
        let mut object = json!({ "a": { "b": 1, "c": 2 }, "d": [1] });
        merge(&mut object, &json!({ "a": { "b": null, "e": { "f": 3 } }, "d": [2] }));
        assert_eq!(object, json!({ "a": { "c": 2, "e": { "f": 3 } }, "d": [2] }));
    }
}
