//! Times and bounds of the node, in one place. Those of a kubelet are its defaults.

use std::time::Duration;

/// How often the node says that it is alive, and how long that is believed.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);
/// `leaseDurationSeconds` of a kubelet's Lease.
pub(crate) const LEASE_SECONDS: i32 = 40;
/// Between tries to write to an API server that does not answer.
pub(crate) const RETRY: Duration = Duration::from_millis(500);
/// Between tries to start a container or mount a volume that lacks something.
pub(crate) const SYNC: Duration = Duration::from_secs(1);
/// The shortest grace that a pod gets which was removed by force.
pub(crate) const GRACE_MIN: Duration = Duration::from_secs(1);
/// `terminationGracePeriodSeconds` that was not given.
pub(crate) const GRACE_SECONDS: i64 = 30;
/// `expirationSeconds` of a token that was not given.
pub(crate) const TOKEN_SECONDS: i64 = 3600;
/// How long the output of a container is still read after its end.
pub(crate) const OUTPUT_DRAIN: Duration = Duration::from_secs(5);
/// How long a signal waits for a container whose file system is being made.
pub(crate) const SETUP: Duration = Duration::from_secs(20);
/// Between looks at something that gives no notice: a file that grows, a marker.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// How long the end of a node may spend on telling the API server.
pub(crate) const GOODBYE: Duration = Duration::from_secs(3);
/// How much of a message of an event or a status is kept.
pub(crate) const MESSAGE_BYTES: usize = 1024;
