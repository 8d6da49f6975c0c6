//! What a person asks for, as a patch of the resource. Pure. Refuses to send it.

use crate::kinds::JobState;
use crate::rollback;
use crate::story::Story;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// What can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A savepoint now; the job goes on.
    Savepoint,
    /// A checkpoint now; the job goes on.
    Checkpoint,
    /// Stop the job and keep its state.
    Suspend,
    /// Start a suspended job from its state.
    Resume,
    /// Stop and start with the same spec.
    Restart,
    /// Another parallelism.
    Rescale,
    /// Another image.
    UpgradeImage,
    /// The last spec that ran well.
    Rollback,
    /// Start again from a given snapshot, giving the present state up.
    Restore,
    /// Take the resource away.
    Delete,
}

impl Action {
    /// Every action, in the order of its button.
    pub const ALL: [Action; 10] = [
        Action::Savepoint,
        Action::Checkpoint,
        Action::Suspend,
        Action::Resume,
        Action::Restart,
        Action::Rescale,
        Action::UpgradeImage,
        Action::Rollback,
        Action::Restore,
        Action::Delete,
    ];

    /// The word in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Savepoint => "savepoint",
            Self::Checkpoint => "checkpoint",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Rescale => "rescale",
            Self::UpgradeImage => "upgradeImage",
            Self::Rollback => "rollback",
            Self::Restore => "restore",
            Self::Delete => "delete",
        }
    }

    /// The action of this word.
    pub fn from_word(word: &str) -> Option<Action> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Why it cannot be asked for now; `None` when it can.
    pub fn why_not(self, story: &Story) -> Option<String> {
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
            Self::Rollback => rollback::patch(story).err(),
            _ => None,
        }
    }

    /// The merge patch; `None` for a deletion.
    ///
    /// # Errors
    /// The field of `wanted` that is missing or wrong, and what it should be.
    pub fn patch(
        self,
        story: &Story,
        wanted: &Particulars,
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
                let given = |text: &Option<String>| {
                    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
                };
                let mut spec = match (given(&wanted.image), given(&wanted.jar)) {
                    (None, None) => return Err(("image", "the name of an image is expected")),
                    (Some(image), _) => json!({ "image": image }),
                    (None, Some(_)) => json!({}),
                };
                if let Some(jar) = given(&wanted.jar) {
                    spec["job"] = json!({ "jarURI": jar });
                }
                spec
            }
            Self::Rollback => rollback::patch(story)
                .map_err(|_| ("lastStableSpec", "another spec that was stable is expected"))?,
            Self::Restore => {
                let path = wanted.path.as_deref().map(str::trim).filter(|path| !path.is_empty());
                let path = path.ok_or(("path", "the path of a savepoint or checkpoint is expected"))?;
                let nonce = next(job.and_then(|job| job.savepoint_redeploy_nonce));
                let mut job_patch = json!({ "initialSavepointPath": path, "savepointRedeployNonce": nonce });
                // Whoever restores wants the job to run; a suspended one would only take note.
                if job.is_some_and(|job| job.state == JobState::Suspended) {
                    job_patch["state"] = json!("running");
                }
                json!({ "job": job_patch })
            }
            Self::Delete => return Ok(None),
        };
        Ok(Some(json!({ "spec": spec })))
    }
}

/// What an action needs to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Particulars {
    /// Of `rescale`; above 0.
    pub parallelism: Option<i32>,
    /// Of `upgradeImage`.
    pub image: Option<String>,
    /// Of `upgradeImage`: `spec.job.jarURI`, with another image or without.
    pub jar: Option<String>,
    /// Of `restore`: a savepoint or checkpoint.
    pub path: Option<String>,
}

/// `object` with `patch` merged into it, as RFC 7386 says.
pub fn merge(object: &mut Value, patch: &Value) {
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
        let wanted = Particulars {
            parallelism: Some(3),
            image: Some(" a:2 ".into()),
            jar: None,
            path: Some("/s".into()),
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
        let jar = Particulars { jar: Some("local:///b.jar".into()), ..Particulars::default() };
        let patch = json!({ "spec": { "job": { "jarURI": "local:///b.jar" } } });
        assert_eq!(Action::UpgradeImage.patch(&story, &jar), Ok(Some(patch)));
        assert!(Action::UpgradeImage.patch(&story, &Particulars::default()).is_err());
        assert_eq!(
            Action::Rescale.patch(&story, &Particulars::default()).map_err(|(field, _)| field),
            Err("parallelism")
        );
    }

    #[test]
    fn a_suspended_job_is_restored_and_runs() {
        let story = story(&json!({ "job": { "state": "suspended" } }), "FINISHED");
        let wanted = Particulars { path: Some("/s".into()), ..Particulars::default() };
        let job = json!({ "initialSavepointPath": "/s", "savepointRedeployNonce": 1, "state": "running" });
        assert_eq!(Action::Restore.patch(&story, &wanted), Ok(Some(json!({ "spec": { "job": job } }))));
    }

    #[test]
    fn merging_follows_the_rules_of_merge_patches() {
        let mut object = json!({ "a": { "b": 1, "c": 2 }, "d": [1] });
        merge(&mut object, &json!({ "a": { "b": null, "e": { "f": 3 } }, "d": [2] }));
        assert_eq!(object, json!({ "a": { "c": 2, "e": { "f": 3 } }, "d": [2] }));
    }
}
