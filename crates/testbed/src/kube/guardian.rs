//! What takes a cluster away when its owner is gone, also when that was killed: a small process in a session of its
//! own, which reads from a pipe that only the owner holds open.
//!
//! A signal of the kernel at a parent's death would not do: it comes when the *thread* ends that started the child.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Stdio};

use drey_local::process_table::ProcessIdentity;
use process_wrap::std::{ChildWrapper, CommandWrap, ProcessSession};

use super::error::KubeError;

/// The one way in which clusters are taken away.
const SCRIPT: &str = include_str!("guardian.sh");

/// The guardian of one cluster. Dropping it takes the cluster away and returns when that is done.
#[derive(Debug)]
pub(super) struct Guardian {
    child: Box<dyn ChildWrapper>,
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Watches over the cluster in `directory` from now on.
    pub(super) fn start(bridge: &str, directory: &Path) -> Result<Guardian, KubeError> {
        let mut command = CommandWrap::with_new("sh", |command| {
            command.args(["-c", SCRIPT, "guardian", bridge]).arg(directory).current_dir("/");
            command.stdin(Stdio::piped()).stdout(Stdio::null());
        });
        command.wrap(ProcessSession);
        let refused = |source| KubeError::Program { program: "sh".to_owned(), source };
        let mut child = command.spawn().map_err(refused)?.into_inner();
        let pipe = child.stdin().take();
        Ok(Guardian { child, pipe })
    }

    /// Who it is.
    pub(super) fn identity(&self) -> Result<Option<ProcessIdentity>, KubeError> {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        ProcessIdentity::of(pid).map_err(KubeError::file("/proc"))
    }

    /// Leaves the cluster alone for ever.
    pub(super) fn dismiss(mut self) {
        if let Some(pipe) = &mut self.pipe {
            // A guardian that is gone does nothing either.
            let _gone = pipe.write_all(b"keep\n");
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // What is left is looked at by those who care.
        let _status = self.child.wait();
    }
}
