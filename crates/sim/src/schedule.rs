//! One schedule: a seed, a world, an operator, a while of trouble, then calm. In the calm the world has to come to
//! what the last spec asks for, and to stay there without a write.

use std::collections::BTreeSet;
use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::diff::{Effect, compare};
use drey_api::kinds::{
    DeploymentMode, FlinkDeploymentSpec, FlinkJobState, JobState, LifecycleState, UpgradeMode,
};
use drey_core::WaitingFor;
use drey_core::journal::{Journal, SavepointCause, SavepointRecord};
use drey_core::render::lifecycle;

use crate::chance::{Chance, Kind};
use crate::flink::Flaw;
use crate::ghost::Violation;
use crate::operator::{Mishap, Operator, Stepped, as_core};
use crate::planted::Planted;
use crate::user::{self, Edit};
use crate::world::{Setup, Spec, World};

/// Steps of an operator while trouble lasts.
const TROUBLED_STEPS: u64 = 40;
/// Rounds in the calm within which the world has to come to rest.
const CALM_ROUNDS: u64 = 400;
/// Of this many seeds, one is of a standalone job in reactive mode and one of a standalone job without that.
const STANDALONE_OF: u64 = 11;
/// One schedule in so many keeps every status as JSON, which takes ten times as long.
const SPELT_ONE_IN: u64 = 64;
/// Savepoints that may be kept beyond the limit: a run, the spec and the next disposal stand on them.
const STOOD_ON: usize = 4;
/// Rounds at rest in which nothing may be written.
const SILENT_ROUNDS: u64 = 12;

/// What came of a schedule.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first broken invariant.
    pub violation: Option<Violation>,
    /// Everything that went wrong or was edited, by number.
    pub injected: Vec<u64>,
    /// What happened, when it was asked for.
    pub story: Vec<String>,
    /// Effects of the operator.
    pub effects: u64,
}

/// How a schedule is run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Troubles that are switched off.
    pub muted: BTreeSet<u64>,
    /// Tell the story.
    pub tell: bool,
    /// A bug to plant.
    pub planted: Planted,
}

/// Runs a schedule drawn from a seed.
pub fn run(plan: &Plan) -> Outcome {
    let mut chance = Chance::muted(plan.seed, plan.muted.clone());
    let setup = draw_setup(&mut chance, plan.seed);
    let mode = match chance.below(Kind::Setup, 3) {
        0 => UpgradeMode::Stateless,
        1 => UpgradeMode::LastState,
        _ => UpgradeMode::Savepoint,
    };
    let mode = if mode == UpgradeMode::LastState && !setup.high_availability {
        UpgradeMode::Savepoint
    } else {
        mode
    };
    let mut world = World::new(chance, setup);
    world.story = plan.tell.then(Vec::new);
    let first = user::first_spec(mode, world.setup.high_availability);
    let first = user::vary_options(&mut world, &first);
    let first = match plan.seed % STANDALONE_OF {
        3 => user::standalone(&first, true),
        5 => user::standalone(&first, false),
        _ => first,
    };
    world.create_resource(first);
    let mut operator = Operator::new(1, plan.planted);
    trouble(&mut world, &mut operator);
    calm(&mut world, &mut operator);
    finish(world, &operator)
}

/// Runs one edit on a running job, with scripted mishaps at numbered effects.
pub fn run_scripted(base: &Base, script: &[(u64, Mishap)], tell: bool) -> Outcome {
    let mut chance = Chance::new(base.seed());
    chance.calm = true;
    let setup = Setup {
        high_availability: base.high_availability,
        storage_readable: true,
        background_deletion: base.high_availability,
        fault_permille: 0,
        user_permille: 0,
        bustle: 1,
        savepoint_failure_percent: 0,
        bounded: false,
        results_end_process: false,
        // Pairs of mishaps are too many for that.
        spelt: script.len() < 2,
    };
    let mut world = World::new(chance, setup);
    world.story = tell.then(Vec::new);
    let first = user::first_spec(base.mode, base.high_availability);
    world.create_resource(if base.standalone { user::standalone(&first, true) } else { first });
    let mut operator = Operator::new(1, Planted::default());
    operator.script = script.to_vec();
    if base.from_running {
        settle(&mut world, &mut operator);
    } else {
        round(&mut world, &mut operator);
    }
    world.edit(base.edit);
    if base.edit == Edit::Suspend {
        settle(&mut world, &mut operator);
        world.edit(Edit::Resume);
    }
    calm(&mut world, &mut operator);
    finish(world, &operator)
}

/// A base scenario of the exhaustive search.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    /// Upgrade mode of the first spec.
    pub mode: UpgradeMode,
    /// Whether high availability is on.
    pub high_availability: bool,
    /// The edit.
    pub edit: Edit,
    /// The edit comes when the job runs, or while it is first deployed.
    pub from_running: bool,
    /// The cluster is standalone, and its job in reactive mode.
    pub standalone: bool,
}

impl Base {
    /// Every base scenario.
    pub fn all() -> Vec<Base> {
        let mut all = Vec::new();
        for mode in [UpgradeMode::Stateless, UpgradeMode::LastState, UpgradeMode::Savepoint] {
            for high_availability in [true, false] {
                if mode == UpgradeMode::LastState && !high_availability {
                    continue;
                }
                for edit in Edit::BASE {
                    for from_running in [true, false] {
                        let native =
                            Base { mode, high_availability, edit: *edit, from_running, standalone: false };
                        all.push(native);
                        if Edit::STANDALONE.contains(edit) {
                            all.push(Base { standalone: true, ..native });
                        }
                    }
                }
            }
        }
        all
    }

    fn seed(&self) -> u64 {
        17
    }
}

fn draw_setup(chance: &mut Chance, seed: u64) -> Setup {
    // A third of the schedules is without faults: the worst bugs need none.
    let fault_permille = match chance.below(Kind::Setup, 3) {
        0 => 0,
        1 => 40,
        _ => 120,
    };
    let storage_readable = chance.below(Kind::Setup, 4) != 0;
    Setup {
        high_availability: chance.below(Kind::Setup, 5) != 0,
        storage_readable,
        background_deletion: chance.below(Kind::Setup, 2) == 0,
        fault_permille,
        user_permille: 60 + 60 * chance.below(Kind::Setup, 3),
        bustle: 1 + chance.below(Kind::Setup, 4),
        savepoint_failure_percent: 10 * chance.below(Kind::Setup, 3),
        bounded: chance.below(Kind::Setup, 6) == 0,
        // Only a launcher that reads the results may act on them.
        results_end_process: storage_readable && chance.below(Kind::Setup, 3) == 0,
        spelt: seed.is_multiple_of(SPELT_ONE_IN),
    }
}

fn trouble(world: &mut World, operator: &mut Operator) {
    for _ in 0..TROUBLED_STEPS {
        if world.ghost.violation.is_some() {
            return;
        }
        pass_time(world);
        let bustle = world.chance.below(Kind::World, world.setup.bustle + 1);
        world.move_on(bustle);
        if world.chance.trouble(Kind::User, world.setup.user_permille) {
            let standalone = world.last_valid().is_some_and(|last| last.mode == DeploymentMode::Standalone);
            let more = if standalone { Edit::STANDALONE } else { &[] };
            let menu = Edit::MENU.len() + more.len();
            let index = usize::try_from(world.chance.below(Kind::World, menu as u64)).unwrap_or(0);
            let edit = Edit::MENU.iter().chain(more).nth(index);
            world.edit(*edit.unwrap_or(&Edit::Touch));
        }
        operator.step(world);
        if world.chance.trouble(Kind::Fault, world.setup.fault_permille / 3) {
            hand_over(world, operator);
        }
    }
}

/// Another process takes over; the old one is gone, or comes back and finds itself deposed.
fn hand_over(world: &mut World, operator: &mut Operator) {
    let deposed = operator.clone();
    *operator = Operator::new(operator.epoch + 1, operator.planted);
    world.tell(|_| "another operator process takes over".to_owned());
    operator.step(world);
    let mut zombie = deposed;
    zombie.step(world);
}

fn pass_time(world: &mut World) {
    let step_ms = match world.chance.below(Kind::Time, 20) {
        0 => 30_000,
        1..4 => 5_000,
        _ => 700,
    };
    world.now_ms += step_ms;
    if world.chance.trouble(Kind::Fault, world.setup.fault_permille / 20) {
        // The clock jumps.
        world.now_ms += if world.chance.percent(Kind::Time, 50) { 3_600_000 } else { -3_600_000 };
    }
}

fn round(world: &mut World, operator: &mut Operator) -> Stepped {
    world.move_on(3);
    operator.step(world)
}

/// Until the job runs and the operator is at rest.
fn settle(world: &mut World, operator: &mut Operator) {
    for _ in 0..CALM_ROUNDS {
        if world.ghost.violation.is_some() || is_at_rest(world) {
            return;
        }
        world.now_ms += 2_000;
        round(world, operator);
    }
}

/// Faults and edits have ended: L1, L2, L3, L6.
fn calm(world: &mut World, operator: &mut Operator) {
    world.chance.calm = true;
    world.setup.savepoint_failure_percent = 0;
    world.setup.bounded = false;
    let mut quiet = 0;
    for number in 0..CALM_ROUNDS {
        if world.ghost.violation.is_some() {
            return;
        }
        // Time passes faster and faster, so that back-off and time-outs end.
        world.now_ms += 2_000 + 400 * i64::try_from(number).unwrap_or(0);
        let before = activity(world);
        world.move_on(6);
        operator.step(world);
        quiet = if activity(world) == before { quiet + 1 } else { 0 };
        let silent = quiet >= SILENT_ROUNDS || (number > 200 && is_never_silent_any(world));
        if silent && converged(world).is_ok() {
            return;
        }
    }
    if let Err(why) = converged(world) {
        world.violate("L1", why);
    } else if quiet < SILENT_ROUNDS && !is_never_silent_any(world) {
        world.violate("L6", "the operator goes on writing at rest");
    }
}

/// A schedule of savepoints writes for ever, and so does a job that fails at once and is to be restarted.
fn is_never_silent(world: &World) -> bool {
    match world.resource.as_ref().map(|resource| &resource.spec) {
        Some(Spec::Valid(desired)) => {
            let fails = crate::effects::flaw(desired) != Flaw::None && desired.options.restart_failed;
            desired.options.periodic_savepoint.is_some() || fails
        }
        Some(Spec::Invalid(_)) | None => false,
    }
}

/// The same of the recorded spec, when the present one is refused.
fn is_never_silent_any(world: &World) -> bool {
    let recorded = world.resource.as_ref().and_then(|resource| resource.status.reconciled.as_ref());
    let by_record = recorded.is_some_and(|reconciled| {
        let options = &reconciled.desired.options;
        let fails = crate::effects::flaw(&reconciled.desired) != Flaw::None && options.restart_failed;
        options.periodic_savepoint.is_some() || fails
    });
    is_never_silent(world) || by_record
}

/// Status writes, events and actions so far.
fn activity(world: &World) -> (u64, u64, u64) {
    (world.ghost.writes, world.ghost.events, world.ghost.actions)
}

fn is_at_rest(world: &World) -> bool {
    world.resource.is_none() || converged(world).is_ok()
}

/// Whether the world is what the last spec asks for, or something else that is explained and right.
fn converged(world: &World) -> Result<(), String> {
    let Some(resource) = &world.resource else {
        return if world.job_managers.is_empty() && world.cluster.is_none() {
            Ok(())
        } else {
            Err("the resource is gone and its cluster is not".to_owned())
        };
    };
    let journal = &resource.status;
    let waiting = journal.waiting.as_ref().map(|waiting| &*waiting.reason);
    if let Some(waiting) = waiting
        && explained(world, waiting)
    {
        return Ok(());
    }
    if resource.deleting {
        return Err(format!("the deletion does not end: {waiting:?}"));
    }
    let core = as_core(resource);
    let (Ok(_), Spec::Valid(desired)) = (&core.desired, &resource.spec) else {
        return match waiting {
            Some(reason) if reason == WaitingFor::InvalidSpec.as_str() => Ok(()),
            Some(_) if is_never_silent_any(world) => Ok(()),
            _ => Err(format!("an invalid spec is not explained: {waiting:?}")),
        };
    };
    let state = lifecycle(&as_core(resource), journal);
    let wants = desired.spec.job.as_ref().map_or(JobState::Running, |job| job.state);
    match wants {
        JobState::Suspended => converged_suspended(world, state),
        JobState::Running => converged_running(world, state, desired),
    }
}

fn converged_suspended(world: &World, state: LifecycleState) -> Result<(), String> {
    let never = world.resource.as_ref().is_some_and(|resource| resource.status.reconciled.is_none());
    if !world.job_managers.is_empty() {
        return Err("a JobManager runs although the job is suspended".to_owned());
    }
    match state {
        LifecycleState::Suspended => Ok(()),
        LifecycleState::Created if never => Ok(()),
        other => Err(format!("suspended, and the status says {}", other.as_str())),
    }
}

fn converged_running(world: &World, state: LifecycleState, desired: &Arc<Desired>) -> Result<(), String> {
    let Some(resource) = &world.resource else { return Ok(()) };
    let ended = resource.status.end().map(|end| end.state);
    let flaw = crate::effects::flaw(desired);
    match (state, ended) {
        (_, Some(FlinkJobState::Finished)) => return Ok(()),
        (LifecycleState::Failed, Some(FlinkJobState::Failed)) if !desired.options.restart_failed => {
            return Ok(());
        }
        // A new spec that was not ready in time, for whatever reason, is rolled back.
        (LifecycleState::RolledBack, _) if desired.options.rollback_enabled => return running(world, None),
        _ if flaw != Flaw::None => return Ok(()),
        (LifecycleState::Stable, None) => {}
        (other, ended) => {
            let waiting = &resource.status.waiting;
            return Err(format!("the status says {} (ended {ended:?}, waiting {waiting:?})", other.as_str()));
        }
    }
    nonces_had_effect(world, desired)?;
    running(world, Some(desired))
}

/// S17: no nonce was lost. That none had two effects is checked when it has them.
fn nonces_had_effect(world: &World, desired: &Desired) -> Result<(), String> {
    let Some(reconciled) = world.resource.as_ref().and_then(|resource| resource.status.reconciled.as_ref())
    else {
        return Ok(());
    };
    let change = compare(&reconciled.desired.spec, &desired.spec);
    if change.is_some_and(|change| change.effect != Effect::Ignore) {
        return Err("STABLE with another spec than the last one".to_owned());
    }
    let nonce = |spec: &FlinkDeploymentSpec| spec.job.as_ref().and_then(|job| job.savepoint_trigger_nonce);
    let Some(asked) = nonce(&desired.spec) else { return Ok(()) };
    let ghost = &world.ghost;
    // Without its status nobody knows what was done.
    let at_first = ghost.nonce_at_first == Some(Some(asked));
    let done = ghost.manual_savepoints.contains_key(&asked) || ghost.reported_nonces.contains(&asked);
    if at_first || ghost.wiped || done {
        Ok(())
    } else {
        Err(format!("S17: savepoint nonce {asked} had no effect"))
    }
}

fn running(world: &World, desired: Option<&Arc<Desired>>) -> Result<(), String> {
    let [manager] = world.job_managers.as_slice() else {
        return Err(format!("{} JobManagers run", world.job_managers.len()));
    };
    if manager.state() != Some(FlinkJobState::Running) {
        return Err(format!("the job is {:?}", manager.state()));
    }
    let asked = desired.map(|desired| desired.task_manager_replicas);
    if manager.task_managers.is_some() && asked.is_some() && manager.task_managers != asked {
        return Err(format!("{:?} TaskManagers, and the spec says {asked:?}", manager.task_managers));
    }
    if desired.is_some_and(|desired| desired.flink_version != manager.version) {
        return Err("another Flink version runs".to_owned());
    }
    let Some(resource) = &world.resource else { return Ok(()) };
    if resource.status.observed_generation != Some(resource.generation) {
        return Err("the last edit was not observed".to_owned());
    }
    history_is_short(&resource.status)
}

/// S12: what the limits no longer keep is disposed of, however busy the schedule is.
fn history_is_short(journal: &Journal) -> Result<(), String> {
    let Some(reconciled) = &journal.reconciled else { return Ok(()) };
    let counts = |record: &&SavepointRecord| {
        matches!(record.cause, SavepointCause::Periodic | SavepointCause::Upgrade)
    };
    let kept = journal.savepoints.history.iter().filter(counts).count();
    let limit = usize::try_from(reconciled.desired.options.savepoint_history_max_count).unwrap_or(usize::MAX);
    if kept > limit.saturating_add(STOOD_ON) {
        return Err(format!("the history keeps {kept} savepoints, and its limit is {limit}"));
    }
    Ok(())
}

/// Waiting that is the right end of a schedule: what is missing cannot be had, and the status says so.
fn explained(world: &World, waiting: &str) -> bool {
    // The job ended and Flink forgot it before anybody looked: `Job Not Found`, as upstream says.
    let forgotten = world
        .job_managers
        .iter()
        .any(|manager| manager.up && manager.job.is_none() && world.result(manager).is_some());
    if forgotten && waiting == WaitingFor::JobStarting.as_str() {
        return true;
    }
    let unreadable = !world.setup.storage_readable;
    let no_store = !world.setup.high_availability;
    if waiting == WaitingFor::ManualRestoreRequired.as_str() {
        // L3: only when no snapshot that is the newest can be reached.
        return unreadable
            || no_store
            || world.ghost.excused
            || world.ghost.wiped
            || world.newest_order().is_none();
    }
    if waiting == WaitingFor::RestoreSourceNotKnown.as_str()
        || waiting == WaitingFor::StorageNotKnown.as_str()
    {
        // A JobManager that answers tells enough to go on with.
        return unreadable && !world.job_managers.iter().any(|manager| manager.up);
    }
    let flawed = match world.resource.as_ref().map(|resource| &resource.spec) {
        Some(Spec::Valid(desired)) => crate::effects::flaw(desired) != Flaw::None,
        _ => false,
    };
    let runs_flawed = world.job_managers.iter().any(|manager| manager.flaw != Flaw::None);
    (waiting == WaitingFor::JobNotRunning.as_str() || waiting == WaitingFor::JobManagerFailing.as_str())
        && (flawed || runs_flawed || no_store)
}

fn finish(world: World, operator: &Operator) -> Outcome {
    Outcome {
        violation: world.ghost.violation,
        injected: world.chance.injected().to_vec(),
        story: world.story.unwrap_or_default(),
        effects: operator.effects,
    }
}
