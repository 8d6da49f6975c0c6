//! A `FlinkDeployment` that was fetched: its story, and the object that it was read from. Refuses to ask Flink.

use std::ops::Deref;

use drey_api::story::Story;
use kube::core::DynamicObject;
use serde_json::json;

use crate::failure::{Failure, Kind};

/// A deployment whose spec and status could be read. Its words are those of its [`Story`].
#[derive(Clone, Debug)]
pub struct View {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// What is told of it.
    pub story: Story,
    /// The object as the API gave it.
    pub object: DynamicObject,
}

impl View {
    /// Reads an object.
    ///
    /// # Errors
    /// The field that cannot be read.
    pub fn from_object(object: DynamicObject) -> Result<Self, Failure> {
        let mut whole = object.data.clone();
        whole["metadata"] = json!(object.metadata);
        let story = Story::read(&whole).map_err(|error| {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            Failure::new(Kind::Invalid, format!("it cannot be read: {error}"))
                .on(format!("flinkdeployment/{name}"))
        })?;
        Ok(Self {
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            story,
            object,
        })
    }

    /// `flinkdeployment/name`.
    #[must_use]
    pub fn object_name(&self) -> String {
        format!("flinkdeployment/{}", self.name)
    }
}

impl Deref for View {
    type Target = Story;

    fn deref(&self) -> &Story {
        &self.story
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use drey_api::kinds;
    use kube::core::ApiResource;
    use serde_json::Value;

    pub(crate) fn view(spec: &Value, status: &Value) -> View {
        let resource = ApiResource::erase::<kinds::FlinkDeployment>(&());
        let data = json!({"spec": spec, "status": status});
        let mut object = DynamicObject::new("a", &resource).within("default").data(data);
        object.metadata.generation = Some(2);
        View::from_object(object).expect("readable")
    }

    #[test]
    fn a_broken_status_is_an_error_of_that_object() {
        let resource = ApiResource::erase::<kinds::FlinkDeployment>(&());
        let object =
            DynamicObject::new("a", &resource).data(json!({"status": {"lifecycleState": "SIDEWAYS"}}));
        let failure = View::from_object(object).expect_err("unknown word");
        assert!(failure.to_string().contains("status.lifecycleState"), "{failure}");
    }
}
