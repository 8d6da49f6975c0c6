//! The operator process as the engine runs it: read, decide, write the journal, act, forget. Every gap between these
//! is a place where the world moves, answers are lost and the process dies. The code under test is
//! [`drey_core::decide`]; what stands here is the contract that the engine keeps.

use std::sync::Arc;

use drey_core::journal::Journal;
use drey_core::observed::Refused;
use drey_core::{Action, Decision, Now, Observed, Policy, Seen};

use crate::chance::Kind;
use crate::planted::Planted;
use crate::world::{Resource, Spec, World};

/// One operator process.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its leadership number.
    pub epoch: i64,
    /// The resource as its cache has it.
    cached: Option<Resource>,
    /// Version of the last status write that it knows of, or must assume.
    acknowledged: u64,
    /// The answer to the last status write was lost: read before the next step.
    read_first: bool,
    /// What the poller saw last.
    polled: Option<(Arc<str>, drey_core::observed::Rest)>,
    refused: Option<Refused>,
    /// An action that is still on its way to the world although the caller has given up waiting.
    late: Option<(Action, i64, Arc<str>)>,
    ever_reachable: bool,
    /// The last live evidence, for a planted bug.
    seen_live: Option<Observed>,
    /// The bug that is planted, if any.
    pub planted: Planted,
    /// Faults of the exhaustive search: at which effect, and which.
    pub script: Vec<(u64, Mishap)>,
    /// Effects so far: every status write and every action is one.
    pub effects: u64,
}

/// What can happen to an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The process dies before it.
    CrashBefore,
    /// It is applied and the process dies.
    CrashAfter,
    /// It is applied and the answer is lost.
    AnswerLost,
    /// It is refused.
    Refused,
    /// The caller gives up, and it is applied a little later.
    AppliedLate,
}

impl Mishap {
    /// The mishaps of the exhaustive search.
    pub const EXHAUSTIVE: [Mishap; 4] =
        [Mishap::CrashBefore, Mishap::CrashAfter, Mishap::AnswerLost, Mishap::Refused];
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// The step was complete.
    Whole,
    /// The process died in it.
    Died,
    /// There is no resource.
    Nothing,
}

impl Operator {
    /// A process that has just started.
    pub fn new(epoch: i64, planted: Planted) -> Operator {
        Operator {
            epoch,
            cached: None,
            acknowledged: 0,
            read_first: true,
            polled: None,
            refused: None,
            late: None,
            ever_reachable: false,
            seen_live: None,
            planted,
            script: Vec::new(),
            effects: 0,
        }
    }

    /// Forgets everything in memory, as a crash does.
    pub fn restart(&mut self) {
        self.cached = None;
        self.acknowledged = 0;
        self.read_first = true;
        self.polled = None;
        self.refused = None;
        self.ever_reachable = false;
    }

    /// Runs one step.
    pub fn step(&mut self, world: &mut World) -> Stepped {
        self.deliver_late(world);
        if !self.refresh(world) {
            return Stepped::Nothing;
        }
        let Some(cached) = self.cached.clone() else { return Stepped::Nothing };
        self.poll(world, &cached);
        let policy = Policy { epoch: self.epoch, ..Policy::default() };
        let resource = as_core(&cached);
        let observed = self.observe(world, &cached, false);
        let mut decision = self.decide(world, &resource, &observed, &cached.status, &policy);
        let mut seen = observed;
        if decision.look_closer {
            seen = self.look_closer(world, &cached);
            decision = self.decide(world, &resource, &seen, &cached.status, &policy);
            if decision.look_closer {
                world.violate("S22", "a live read was not enough");
                return Stepped::Whole;
            }
        }
        world.ghost.events += decision.events.len() as u64;
        self.note_reports(world, &cached.status, &decision);
        self.planted.decision(&mut decision, &seen, &cached.status, &resource);
        if let Some(action) = &decision.action
            && action.needs_live_read()
            && !seen.live
        {
            world.violate("S22", "a destructive act on cached evidence");
        }
        if world.setup.bustle > 1 && !world.chance.calm {
            world.move_on(1);
        }
        self.commit(world, &cached, decision)
    }

    fn look_closer(&mut self, world: &mut World, cached: &Resource) -> Observed {
        if self.planted.reads_stale_evidence()
            && world.chance.percent(Kind::World, 30)
            && let Some(earlier) = &self.seen_live
        {
            return earlier.clone();
        }
        let seen = self.observe(world, cached, true);
        if self.planted.reads_stale_evidence() {
            self.seen_live = Some(seen.clone());
        }
        seen
    }

    fn decide(
        &self,
        world: &World,
        resource: &drey_core::Resource,
        observed: &Observed,
        journal: &Journal,
        policy: &Policy,
    ) -> Decision {
        let mut observed = observed.clone();
        self.planted.observation(&mut observed, journal);
        drey_core::decide(resource, &observed, journal, policy, Now(world.now_ms))
    }

    /// Brings the cache up to date; a stale cache is allowed only as far as the own writes are in it.
    fn refresh(&mut self, world: &mut World) -> bool {
        let stale_allowed = !self.read_first
            && self.cached.as_ref().is_some_and(|cached| cached.version >= self.acknowledged);
        if stale_allowed && world.chance.trouble(Kind::Fault, world.setup.fault_permille) {
            return true;
        }
        if self.planted.reads_stale() && self.cached.is_some() && world.chance.percent(Kind::World, 30) {
            return true;
        }
        self.cached = world.resource.clone();
        self.read_first = false;
        self.cached.is_some()
    }

    /// The poller's lane: what the JobManager of the present cluster answers.
    fn poll(&mut self, world: &mut World, cached: &Resource) {
        let faulty = world.chance.trouble(Kind::Fault, world.setup.fault_permille);
        if faulty {
            // An old answer, or none.
            if world.chance.percent(Kind::World, 50) {
                self.polled = None;
            }
            return;
        }
        let uid = world.cluster.as_ref().map(|cluster| cluster.uid.clone());
        self.polled = uid.zip(crate::sight::rest(world, cached, self.ever_reachable));
        self.ever_reachable |= self.polled.as_ref().is_some_and(|(_, rest)| rest.reachable);
    }

    fn observe(&mut self, world: &mut World, cached: &Resource, live: bool) -> Observed {
        let blind = world.chance.trouble(Kind::Fault, world.setup.fault_permille);
        let mut observed = crate::sight::observed(world, cached, live);
        if blind {
            match world.chance.below(Kind::World, 4) {
                0 => observed.cluster = Seen::Unknown,
                1 => observed.high_availability = Seen::Unknown,
                2 => {
                    observed.open_snapshot = Seen::Unknown;
                    observed.retained_checkpoint = Seen::Unknown;
                    observed.job_result = Seen::Unknown;
                }
                _ => observed.cluster = Seen::Unknown,
            }
        }
        // A poll of another cluster says nothing of this one.
        let uid = observed.cluster.present().map(|cluster| cluster.uid.clone());
        observed.rest = self
            .polled
            .as_ref()
            .filter(|(polled, _)| Some(polled) == uid.as_ref())
            .map(|(_, rest)| rest.clone());
        if uid.is_none() {
            self.ever_reachable = false;
        }
        observed.refused = self.refused.clone();
        observed
    }

    fn note_reports(&self, world: &mut World, before: &Journal, decision: &Decision) {
        let failed = decision.events.iter().any(|event| event.reason == "SavepointError");
        if let (true, Some(intent)) = (failed, &before.intent)
            && let drey_core::IntentKind::Savepoint {
                cause: drey_core::intent::SnapshotCause::Manual { nonce },
                ..
            } = intent.kind
        {
            world.ghost.reported_nonces.insert(nonce);
        }
    }

    // ---- effects ------------------------------------------------------------------------------------------------

    fn commit(&mut self, world: &mut World, cached: &Resource, decision: Decision) -> Stepped {
        let Decision { journal, action, .. } = decision;
        let journal = world.spelt(cached, journal);
        let acts_first = self.planted.acts_before_writing();
        if acts_first && let Some(action) = &action {
            drop(self.perform(world, cached, action, journal.seq, false));
        }
        if (journal != *cached.status || self.planted.writes_unchanged())
            && let Err(stepped) = self.write(world, cached, &journal)
        {
            return stepped;
        }
        match action {
            Some(action) if !acts_first => self.act(world, cached, &action, journal.seq),
            _ => Stepped::Whole,
        }
    }

    fn mishap(&mut self, world: &mut World) -> Option<Mishap> {
        self.effects += 1;
        if let Some((_, mishap)) = self.script.iter().find(|(effect, _)| *effect == self.effects) {
            return Some(*mishap);
        }
        if !world.chance.trouble(Kind::Fault, world.setup.fault_permille) {
            return None;
        }
        Some(match world.chance.below(Kind::World, 5) {
            0 => Mishap::CrashBefore,
            1 => Mishap::CrashAfter,
            2 => Mishap::AnswerLost,
            3 => Mishap::Refused,
            _ => Mishap::AppliedLate,
        })
    }

    /// One status write, by compare-and-swap.
    fn write(&mut self, world: &mut World, cached: &Resource, journal: &Journal) -> Result<(), Stepped> {
        let mishap = self.mishap(world);
        match mishap {
            Some(Mishap::CrashBefore) => return Err(self.die(world)),
            Some(Mishap::Refused | Mishap::AppliedLate) => return Err(Stepped::Whole),
            Some(Mishap::CrashAfter | Mishap::AnswerLost) | None => {}
        }
        let forced = self.planted.overwrites_conflicts();
        let Some(version) = world.put_status(cached, journal, forced) else {
            // A conflict: read again, never re-assert.
            self.read_first = true;
            return Err(Stepped::Whole);
        };
        match mishap {
            Some(Mishap::CrashAfter) => Err(self.die(world)),
            Some(Mishap::AnswerLost) => {
                self.read_first = true;
                Err(Stepped::Whole)
            }
            _ => {
                self.acknowledged = version;
                if let Some(cached) = &mut self.cached {
                    cached.version = version;
                    cached.status = Arc::new(journal.clone());
                }
                Ok(())
            }
        }
    }

    fn act(&mut self, world: &mut World, cached: &Resource, action: &Action, seq: i64) -> Stepped {
        if world.setup.bustle > 1 && !world.chance.calm {
            world.move_on(1);
        }
        match self.mishap(world) {
            Some(Mishap::CrashBefore) => self.die(world),
            Some(Mishap::Refused) => {
                self.refused = Some(Refused { seq, message: "refused by the simulator".to_owned() });
                Stepped::Whole
            }
            Some(Mishap::AppliedLate) => {
                let target =
                    world.cluster.as_ref().map_or_else(|| Arc::from(""), |cluster| cluster.uid.clone());
                self.late = Some((action.clone(), seq, target));
                Stepped::Whole
            }
            Some(Mishap::CrashAfter) => {
                drop(self.perform(world, cached, action, seq, false));
                self.die(world)
            }
            Some(Mishap::AnswerLost) => {
                drop(self.perform(world, cached, action, seq, false));
                self.read_first = true;
                Stepped::Whole
            }
            None => {
                self.refused = self
                    .perform(world, cached, action, seq, false)
                    .err()
                    .map(|message| Refused { seq, message });
                self.read_first |= matches!(action, Action::AddFinalizer | Action::RemoveFinalizer);
                Stepped::Whole
            }
        }
    }

    fn perform(
        &mut self,
        world: &mut World,
        cached: &Resource,
        action: &Action,
        seq: i64,
        late: bool,
    ) -> Result<(), String> {
        world.ghost.actions += 1;
        // What only removes what is named by uid needs no leader.
        let harmless = matches!(
            action,
            Action::AddFinalizer | Action::RemoveFinalizer | Action::DeleteHighAvailability(_)
        );
        let deposed =
            world.resource.as_ref().is_some_and(|r| r.status.epoch > self.epoch && r.uid == cached.uid);
        if deposed && !late && !harmless {
            world.violate("S21", "an effect of a deposed leader");
        }
        world.tell(|_| format!("operator {}: {action:?}", self.epoch).chars().take(200).collect());
        crate::effects::apply(world, cached, action, seq)
    }

    /// A request that the caller gave up on arrives after all, if it was for the same cluster.
    fn deliver_late(&mut self, world: &mut World) {
        let Some((action, seq, target)) = self.late.take() else { return };
        let Some(cached) = self.cached.clone() else { return };
        let to_flink = matches!(
            action,
            Action::Stop { .. }
                | Action::Cancel { .. }
                | Action::Savepoint { .. }
                | Action::Checkpoint { .. }
        );
        let same_cluster = world.cluster.as_ref().is_some_and(|cluster| cluster.uid == target);
        if to_flink && !same_cluster {
            return;
        }
        let _ = self.perform(world, &cached, &action, seq, true);
    }

    fn die(&mut self, world: &mut World) -> Stepped {
        world.tell(|_| "the operator dies".to_owned());
        self.restart();
        Stepped::Died
    }
}

/// The resource as the core wants it.
pub fn as_core(cached: &Resource) -> drey_core::Resource {
    drey_core::Resource {
        uid: cached.uid.clone(),
        namespace: Arc::from("default"),
        name: Arc::from("job"),
        generation: cached.generation,
        created_at_ms: cached.created_at_ms,
        deleting: cached.deleting,
        finalizer: cached.finalizer,
        desired: match &cached.spec {
            Spec::Valid(desired)
                if crate::user::is_version_refused(&cached.status, desired.flink_version) =>
            {
                Err(crate::user::version_refusal())
            }
            Spec::Valid(desired) => Ok(desired.clone()),
            Spec::Invalid(invalid) => Err(invalid.clone()),
        },
    }
}
