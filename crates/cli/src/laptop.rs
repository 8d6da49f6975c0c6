//! What laptop mode adds to the configuration of every cluster, so that checks beforehand and the running
//! drey judge alike. Refuses to know anything else about laptop mode.

use std::collections::BTreeMap;
use std::path::Path;

use drey_api::defaults::Defaults;

/// The configuration that clusters start from when the state directory is `root`: high availability by
/// ConfigMaps, and directories for its data, for checkpoints and for savepoints below `root`.
#[must_use]
pub fn defaults(root: &Path) -> Defaults {
    let directory = |name: &str| format!("file://{}", root.join(name).display());
    let base = [
        ("high-availability.type", "kubernetes".to_owned()),
        ("high-availability.storageDir", directory("high-availability")),
        ("state.checkpoints.dir", directory("checkpoints")),
        ("state.savepoints.dir", directory("savepoints")),
    ];
    Defaults::new(base.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>())
}
