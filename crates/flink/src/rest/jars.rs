//! Jars that are uploaded to a session cluster, and the jobs that are started from them.
//!
//! A job is started under an id that the client chooses beforehand, so that asking twice starts it once. This module
//! refuses to read files.

use serde::Deserialize;
use serde_json::{Value, json};

use super::lenient;
use crate::identifiers::JobId;

/// What a job is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JarRun {
    /// The id that the job will have.
    pub job_id: JobId,
    /// The class with `main`; that of the jar's manifest when `None`.
    pub entry_class: Option<String>,
    /// Arguments of `main`, each as it is (`programArgsList`: Flink 2 knows no other form).
    pub program_args: Vec<String>,
    /// The default parallelism; Flink's own when `None`.
    pub parallelism: Option<i32>,
    /// The savepoint or checkpoint that it goes on from.
    pub savepoint_path: Option<String>,
    /// State of the savepoint that belongs to no operator is left out instead of refused.
    pub allow_non_restored_state: bool,
}

impl JarRun {
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "jobId": self.job_id,
            "programArgsList": self.program_args,
            "allowNonRestoredState": self.allow_non_restored_state,
        });
        // Flink takes null for a value in some of its versions.
        for (name, value) in [
            ("entryClass", self.entry_class.clone().map(Value::from)),
            ("parallelism", self.parallelism.map(Value::from)),
            ("savepointPath", self.savepoint_path.clone().map(Value::from)),
        ] {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        body
    }

    /// The part of the body that a plan is made with: it restores nothing.
    pub(super) fn plan_body(&self) -> Value {
        let mut body = self.body();
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| !matches!(name.as_str(), "allowNonRestoredState" | "savepointPath"));
        }
        body
    }
}

/// A jar that Flink keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredJar {
    /// The id by which it is run and deleted.
    pub id: String,
    /// The name that it was handed over with.
    pub name: String,
    /// When that was, in milliseconds since 1970.
    #[serde(default, rename = "uploaded", deserialize_with = "lenient::time_ms")]
    pub uploaded_at_ms: Option<i64>,
}

/// Flink's answer to the list of jars.
#[derive(Debug, Deserialize)]
pub(super) struct ListAnswer {
    #[serde(default)]
    pub(super) files: Vec<StoredJar>,
}

/// Flink's answer to a plan.
#[derive(Debug, Deserialize)]
pub(super) struct PlanAnswer {
    pub(super) plan: Plan,
}

/// What is read of the plan of a job that has not been started.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// Flink's answer to an upload: where it keeps the jar.
#[derive(Debug, Deserialize)]
pub(super) struct UploadAnswer {
    filename: String,
}

impl UploadAnswer {
    /// The id by which the jar is run and deleted: the name of its file.
    pub(super) fn jar_id(&self) -> String {
        self.filename.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
    }
}

/// Flink's answer to a run.
#[derive(Debug, Deserialize)]
pub(super) struct RunAnswer {
    pub(super) jobid: JobId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_jar_is_the_name_of_its_file() {
        for filename in ["/tmp/flink-web/flink-web-upload/ab_job.jar", "C:\\x\\ab_job.jar", "ab_job.jar"] {
            assert_eq!(UploadAnswer { filename: filename.to_owned() }.jar_id(), "ab_job.jar");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_left_to_flink() {
        let run = JarRun {
            job_id: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
            entry_class: None,
            program_args: vec!["--name".to_owned(), "a b".to_owned()],
            parallelism: None,
            savepoint_path: None,
            allow_non_restored_state: false,
        };
        let expected = json!({ "jobId": "0123456789abcdef0123456789abcdef", "programArgsList": ["--name", "a b"],
            "allowNonRestoredState": false });
        assert_eq!(run.body(), expected);
    }
}
