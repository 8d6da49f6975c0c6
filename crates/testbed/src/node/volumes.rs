//! The volumes of a pod as directories of this machine, and where a container sees them.
//!
//! ConfigMaps and Secrets are read once, when the pod starts. It refuses to know how mounts are made.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, Pod, ProjectedVolumeSource,
    Secret, ServiceAccount, ServiceAccountTokenProjection, Volume,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::environment::expand;
use super::process::Mount;
use super::{downward, limits};

/// What volumes are made from.
#[derive(Clone)]
pub(crate) struct Maker<'a> {
    /// Reads ConfigMaps and Secrets, and asks for tokens.
    pub(crate) client: &'a Client,
    /// The pod.
    pub(crate) pod: &'a Pod,
    /// Its address.
    pub(crate) address: &'a str,
    /// The node's address.
    pub(crate) host_address: &'a str,
    /// Where the volumes of this pod lie.
    pub(crate) directory: &'a Path,
}

/// Directory or file of each volume by name.
pub(crate) type Volumes = BTreeMap<String, PathBuf>;

/// One file of a volume.
struct Entry {
    path: String,
    content: Vec<u8>,
    mode: Option<i32>,
}

impl Maker<'_> {
    /// Makes all volumes.
    ///
    /// # Errors
    /// What a kubelet says in its event `FailedMount`: the name of the volume and what is missing.
    pub(crate) async fn make_all(&self) -> Result<Volumes, String> {
        let mut made = Volumes::new();
        for volume in self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            let path = self.make(volume).await.map_err(|error| {
                format!("MountVolume.SetUp failed for volume \"{}\" : {error}", volume.name)
            })?;
            made.insert(volume.name.clone(), path);
        }
        Ok(made)
    }

    async fn make(&self, volume: &Volume) -> Result<PathBuf, String> {
        let directory = self.directory.join(&volume.name);
        if let Some(source) = &volume.host_path {
            return host_path(source);
        }
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        if volume.empty_dir.is_some() {
            set_mode(&directory, 0o777)?;
            return Ok(directory);
        }
        let (entries, mode) = self.entries(volume).await?;
        write_entries(&directory, &entries, mode.unwrap_or(0o644))?;
        Ok(directory)
    }

    /// The files of a volume that is made of objects, and their mode.
    async fn entries(&self, volume: &Volume) -> Result<(Vec<Entry>, Option<i32>), String> {
        if let Some(source) = &volume.config_map {
            let optional = source.optional == Some(true);
            let entries = self.config_map(&source.name, source.items.as_deref(), optional).await?;
            return Ok((entries, source.default_mode));
        }
        if let Some(source) = &volume.secret {
            let name = source.secret_name.as_deref().unwrap_or_default();
            let optional = source.optional == Some(true);
            return Ok((self.secret(name, source.items.as_deref(), optional).await?, source.default_mode));
        }
        if let Some(source) = &volume.downward_api {
            return Ok((self.downward(source.items.as_deref())?, source.default_mode));
        }
        if let Some(source) = &volume.projected {
            return Ok((self.projected(source).await?, source.default_mode));
        }
        Err("this node has emptyDir, hostPath, configMap, secret, downwardAPI and projected volumes only"
            .to_owned())
    }

    async fn projected(&self, source: &ProjectedVolumeSource) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        for part in source.sources.iter().flatten() {
            if let Some(map) = &part.config_map {
                let optional = map.optional == Some(true);
                entries.extend(self.config_map(&map.name, map.items.as_deref(), optional).await?);
            } else if let Some(secret) = &part.secret {
                let optional = secret.optional == Some(true);
                entries.extend(self.secret(&secret.name, secret.items.as_deref(), optional).await?);
            } else if let Some(downward) = &part.downward_api {
                entries.extend(self.downward(downward.items.as_deref())?);
            } else if let Some(token) = &part.service_account_token {
                entries.push(self.token(token).await?);
            } else {
                return Err(
                    "this node projects configMap, secret, downwardAPI and serviceAccountToken".to_owned()
                );
            }
        }
        Ok(entries)
    }

    async fn config_map(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: bool,
    ) -> Result<Vec<Entry>, String> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace());
        let Some(map) = api.get_opt(name).await.map_err(|error| error.to_string())? else {
            return absent("configmap", name, optional);
        };
        let text = map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
        let binary = map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
        chosen(text.chain(binary).collect(), items, optional)
    }

    async fn secret(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: bool,
    ) -> Result<Vec<Entry>, String> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace());
        let Some(secret) = api.get_opt(name).await.map_err(|error| error.to_string())? else {
            return absent("secret", name, optional);
        };
        chosen(
            secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect(),
            items,
            optional,
        )
    }

    fn downward(&self, items: Option<&[DownwardAPIVolumeFile]>) -> Result<Vec<Entry>, String> {
        let file = |item: &DownwardAPIVolumeFile| {
            let content = match (&item.field_ref, &item.resource_field_ref) {
                (Some(field), _) => {
                    downward::field(self.pod, &field.field_path, self.address, self.host_address)?
                }
                (None, Some(resource)) => downward::resource(self.pod, None, resource)?,
                (None, None) => {
                    return Err(format!("`{}` has neither fieldRef nor resourceFieldRef", item.path));
                }
            };
            Ok(Entry { path: item.path.clone(), content: content.into_bytes(), mode: item.mode })
        };
        items.unwrap_or_default().iter().map(file).collect()
    }

    async fn token(&self, projection: &ServiceAccountTokenProjection) -> Result<Entry, String> {
        let account =
            self.pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), self.namespace());
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: self.pod.metadata.name.clone(),
            uid: self.pod.metadata.uid.clone(),
        };
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: projection.audience.clone().map(|audience| vec![audience]),
                bound_object_ref: Some(bound),
                expiration_seconds: projection.expiration_seconds,
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = api
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(|error| format!("failed to fetch token: {error}"))?;
        let token = answer.status.and_then(|status| status.token).ok_or("the API server gave no token")?;
        Ok(Entry { path: projection.path.clone(), content: token.into_bytes(), mode: Some(0o644) })
    }

    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }
}

fn absent(kind: &str, name: &str, optional: bool) -> Result<Vec<Entry>, String> {
    if optional { Ok(Vec::new()) } else { Err(format!("{kind} \"{name}\" not found")) }
}

fn chosen(
    data: BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    optional: bool,
) -> Result<Vec<Entry>, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let whole = |(path, content)| Entry { path, content, mode: None };
        return Ok(data.into_iter().map(whole).collect());
    };
    let mut entries = Vec::new();
    for item in items {
        match data.get(&item.key) {
            Some(content) => {
                entries.push(Entry { path: item.path.clone(), content: content.clone(), mode: item.mode });
            }
            None if optional => {}
            None => return Err(format!("references non-existent config key: {}", item.key)),
        }
    }
    Ok(entries)
}

fn write_entries(directory: &Path, entries: &[Entry], default_mode: i32) -> Result<(), String> {
    for entry in entries {
        let path = directory.join(&entry.path);
        if entry.path.split('/').any(|part| part == "..") {
            return Err(format!("`{}` leads out of the volume", entry.path));
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| error.to_string())?;
        }
        // A reader sees the old file or the new one: tokens are written again while they are read.
        let staged = path.with_extension("staged");
        fs::write(&staged, &entry.content).map_err(|error| error.to_string())?;
        set_mode(&staged, u32::try_from(entry.mode.unwrap_or(default_mode)).unwrap_or(0o644))?;
        fs::rename(&staged, &path).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| error.to_string())
}

fn host_path(source: &HostPathVolumeSource) -> Result<PathBuf, String> {
    let path = PathBuf::from(&source.path);
    let wrong =
        |expected: &str| Err(format!("hostPath type check failed: {} is not {expected}", source.path));
    match source.type_.as_deref().unwrap_or_default() {
        "Directory" if !path.is_dir() => return wrong("a directory"),
        "File" if !path.is_file() => return wrong("a file"),
        "FileOrCreate" if !path.exists() => fs::write(&path, "").map_err(|error| error.to_string())?,
        // A path that is not there is made as a directory, as container runtimes do.
        _ if !path.exists() => fs::create_dir_all(&path).map_err(|error| error.to_string())?,
        _ => {}
    }
    Ok(path)
}

/// Which of its pod's volumes a container sees, and where.
///
/// # Errors
/// A mount of a volume that the pod does not have, or a path within it that cannot be made.
pub(crate) fn mounts(
    pod: &Pod,
    container: &Container,
    volumes: &Volumes,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Mount>, String> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume =
            volumes.get(&mount.name).ok_or_else(|| format!("volume \"{}\" not found", mount.name))?;
        let expression = mount.sub_path_expr.as_ref().map(|expression| expand(expression, environment));
        let part = expression.or_else(|| mount.sub_path.clone()).unwrap_or_default();
        let source = volume.join(part.trim_start_matches('/'));
        if !source.exists() {
            fs::create_dir_all(&source).map_err(|error| format!("`{}`: {error}", source.display()))?;
        }
        let read_only = mount.read_only == Some(true) || is_of_objects(pod, &mount.name);
        mounts.push(Mount::Bind { source, target: mount.mount_path.clone(), read_only });
    }
    // What lies within another mount has to come after it.
    mounts.sort_by_key(|mount| match mount {
        Mount::Bind { target, .. } | Mount::Overlay { target, .. } => target.matches('/').count(),
    });
    Ok(mounts)
}

fn is_of_objects(pod: &Pod, name: &str) -> bool {
    let mut volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let volume = volumes.find(|volume| volume.name == name);
    volume.is_some_and(|volume| volume.empty_dir.is_none() && volume.host_path.is_none())
}

/// How long the shortest token of a pod's volumes is good before it has to be written again; `None` without one.
pub(crate) fn token_renewal(pod: &Pod) -> Option<std::time::Duration> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let sources = volumes
        .filter_map(|volume| volume.projected.as_ref())
        .flat_map(|source| source.sources.iter().flatten());
    let tokens = sources.filter_map(|source| source.service_account_token.as_ref());
    let seconds = tokens.map(|token| token.expiration_seconds.unwrap_or(limits::TOKEN_SECONDS)).min()?;
    // A kubelet asks for the next one when four fifths of the time are over.
    Some(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) * 4 / 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data() -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())])
    }

    fn item(key: &str, path: &str) -> KeyToPath {
        KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: Some(0o600), ..KeyToPath::default() }
    }

    #[test]
    fn items_choose_and_rename_and_name_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let entries = chosen(data(), Some(&[item("b", "deep/er")]), false).unwrap();
        write_entries(directory.path(), &entries, 0o644).unwrap();
        let written = directory.path().join("deep/er");
        assert_eq!(fs::read(&written).unwrap(), b"2");
        assert_eq!(fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!directory.path().join("a").exists());
        let missing = chosen(data(), Some(&[item("c", "c")]), false).err().unwrap();
        assert!(missing.contains("non-existent config key: c"), "{missing}");
        assert!(chosen(data(), Some(&[item("c", "c")]), true).unwrap().is_empty());
        let out = [Entry { path: "../x".to_owned(), content: Vec::new(), mode: None }];
        assert!(write_entries(directory.path(), &out, 0o644).is_err());
    }

    #[test]
    fn a_mount_within_another_comes_after_it_and_objects_are_read_only() {
        let directory = tempfile::tempdir().unwrap();
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [{"name": "c", "volumeMounts": [
            {"name": "conf", "mountPath": "/data/deep/conf"}, {"name": "data", "mountPath": "/data", "subPathExpr": "$(POD)"}]}],
            "volumes": [{"name": "conf", "configMap": {"name": "m"}}, {"name": "data", "emptyDir": {}}]}}))
        .unwrap();
        let volumes = ["conf", "data"].map(|name| (name.to_owned(), directory.path().join(name))).into();
        let variables = BTreeMap::from([("POD".to_owned(), "p-1".to_owned())]);
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let made = mounts(&pod, container, &volumes, &variables).unwrap();
        let expected = [("data/p-1", "/data", false), ("conf", "/data/deep/conf", true)];
        let expected = expected.map(|(source, target, read_only)| Mount::Bind {
            source: directory.path().join(source),
            target: target.to_owned(),
            read_only,
        });
        assert_eq!(made, expected);
    }
}
