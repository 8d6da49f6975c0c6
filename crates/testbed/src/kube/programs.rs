//! The programs of a control plane on disk. `cargo xtask kube build` makes them from their Go modules.
//!
//! It refuses to build anything.

use std::path::{Path, PathBuf};

use super::error::KubeError;

/// The variable that names the directory of the programs.
pub const PROGRAMS_VARIABLE: &str = "DREY_TEST_KUBE";

/// Where the programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// etcd 3.6.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub apiserver: PathBuf,
    /// kube-controller-manager.
    pub controller_manager: PathBuf,
}

impl Programs {
    /// The programs in this directory.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn in_directory(directory: &Path) -> Result<Programs, KubeError> {
        let program = |name: &str| {
            let path = directory.join(name);
            if path.is_file() { Ok(path) } else { Err(KubeError::NotBuilt(path)) }
        };
        Ok(Programs {
            etcd: program("etcd")?,
            apiserver: program("kube-apiserver")?,
            controller_manager: program("kube-controller-manager")?,
        })
    }

    /// The programs in the directory that [`PROGRAMS_VARIABLE`] names.
    ///
    /// # Errors
    /// When the variable is not set, or a program is not there.
    pub fn from_environment() -> Result<Programs, KubeError> {
        let directory = std::env::var_os(PROGRAMS_VARIABLE).filter(|directory| !directory.is_empty());
        Programs::in_directory(Path::new(&directory.ok_or(KubeError::Unset(PROGRAMS_VARIABLE))?))
    }
}
