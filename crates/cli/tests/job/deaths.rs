//! A Flink that dies in the middle of an update and has forgotten its jobs when it is back: what the command says then, and
//! that the command which it names goes on from the newest state.

use std::time::Duration;

use drey_cli::failure::Kind;

use crate::fake::{Fault, write_state};
use crate::support::{Bench, all};

/// When Flink is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    /// While the command still waits for it.
    AtOnce,
    /// After the command has ended.
    Later,
}

/// Where the state is that the job has to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The newest checkpoint of the old version.
    CheckpointOfTheOld,
    /// The savepoint of the stop.
    Savepoint,
    /// A checkpoint of the new version.
    CheckpointOfTheNew,
}

struct Story {
    bench: Bench,
    /// The command that is run, without what a failure tells to add.
    line: String,
    old: String,
    checkpoint: String,
}

impl Story {
    async fn begin() -> Self {
        let bench = Bench::new().await;
        let (checkpoints, savepoints) = (bench.path("checkpoints"), bench.path("savepoints"));
        bench.fake.world().checkpoints = Some(checkpoints.clone());
        let old = bench.deployed("a").await;
        for number in [1, 2] {
            write_state(&format!("{checkpoints}/{old}/chk-{number}"));
        }
        let checkpoint = format!("{checkpoints}/{old}/chk-2");
        // Somebody else's, and newer than all.
        write_state(&format!("{savepoints}/savepoint-ffffff-of-another"));
        bench.jar("job.jar", b"another version");
        let line = format!(
            "update --file-name JAR --timeout 4s --job-name-base a --savepoint-dir {savepoints} MORE -- --name a --version 2"
        );
        Self { bench, line, old, checkpoint }
    }

    fn words(&self, more: &str) -> String {
        self.line.replace("MORE", more)
    }

    /// What a failure tells to add to the same command.
    fn flags(told: &str) -> String {
        let words: Vec<&str> =
            told.split("--if-lost '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        assert!(!words.is_empty(), "no command is told: {told}");
        words.iter().map(|path| format!("--if-lost {path} ")).collect()
    }
}

async fn dies(request: &'static str, fault: Fault, expected: State, back: Back, keeps_jars: bool) {
    let case = format!("{request} {fault:?} {back:?} {keeps_jars}");
    let story = Story::begin().await;
    let fake = &story.bench.fake;
    fake.fault(request, 1, fault);
    let line = story.words("");
    let comes_back = async {
        fake.died().await;
        let jobs = fake.world().jobs.clone();
        if back == Back::AtOnce {
            fake.start_again(keeps_jars).await;
        }
        jobs
    };
    let run = tokio::time::timeout(Duration::from_secs(20), Box::pin(story.bench.run(&line)));
    let (ended, jobs) = tokio::join!(run, comes_back);
    let ended = ended.unwrap_or_else(|_| panic!("{case}: it does not end"));
    let savepoint = jobs.iter().find(|job| job.id == story.old).and_then(|job| job.stopped_with.clone());
    let new = jobs.iter().find(|job| job.id != story.old);
    if back == Back::AtOnce && ended.outcome.is_ok() {
        // Nothing but the start was left to do, and nothing had got to Flink.
        assert!(expected == State::Savepoint && request == "/run", "{case}: {}", ended.said);
        assert_eq!(story.bench.only().savepoint(), savepoint.as_deref(), "{case}");
        return;
    }
    let told = ended.badly();
    assert!(!told.contains("makes no job"), "{case}: a Flink that dies says nothing of the version: {told}");
    if back == Back::Later {
        fake.start_again(keeps_jars).await;
    }
    let state = match expected {
        State::CheckpointOfTheOld => story.checkpoint.clone(),
        State::Savepoint => savepoint.expect("stopped"),
        State::CheckpointOfTheNew => {
            let id = &new.expect("submitted").id;
            let path = format!("{}/{id}/chk-3", story.bench.path("checkpoints"));
            write_state(&path);
            path
        }
    };
    let said = story.bench.run(&story.words(&Story::flags(&told))).await.well();
    let now = story.bench.only();
    assert_eq!(now.savepoint(), Some(state.as_str()), "{case}: {told}");
    assert!(now.arguments().contains(&"2") && jobs.iter().all(|job| job.id != now.id), "{case}: {said}");
    assert_eq!(fake.world().most_active, 1, "{case}");
    // What is left of the runs that are lost goes; the next update finds one version.
    let kept = fake.world().jars.iter().filter(|(_, name)| name.starts_with("drey_jar")).count();
    assert_eq!(kept, 1, "{case}: {:?}", fake.world().jars);
    story.bench.run(&story.words("")).await.well();
}

#[tokio::test]
async fn the_command_that_is_told_goes_on_from_the_newest_state() {
    let moments = [
        ("/plan", Fault::Die, State::CheckpointOfTheOld),
        ("/stop", Fault::Die, State::CheckpointOfTheOld),
        ("/stop", Fault::DieAfter, State::Savepoint),
        ("/savepoints/", Fault::Die, State::CheckpointOfTheOld),
        ("/run", Fault::Die, State::Savepoint),
        ("/run", Fault::DieAfter, State::Savepoint),
        ("/run", Fault::DieAfter, State::CheckpointOfTheNew),
    ];
    let cases = moments.iter().flat_map(|(request, fault, state)| {
        [(Back::AtOnce, true), (Back::AtOnce, false), (Back::Later, true), (Back::Later, false)]
            .map(|(back, keeps_jars)| Box::pin(dies(request, fault.clone(), *state, back, keeps_jars)))
    });
    all(cases).await;
}

#[tokio::test]
async fn a_flink_that_dies_while_the_new_version_starts_is_not_one_that_refuses_it() {
    let story = Story::begin().await;
    let fake = &story.bench.fake;
    let line = story.words("").replace("--version 2", "--version 2 --do stay-created");
    let dies = async {
        // The new version is followed by then.
        while fake.world().jobs.len() < 2 {
            let asked = fake.world().asked.len();
            fake.reached(asked + 1).await;
        }
        fake.fault("GET /jobs/overview", 1, Fault::Die);
        fake.died().await;
        fake.start_again(true).await;
    };
    let (ended, ()) = tokio::join!(story.bench.run(&line), dies);
    let failure = ended.failure();
    assert_eq!(failure.kind(), Kind::NotFound, "{failure}");
    assert!(failure.to_string().contains("may have gone on from there"), "{failure}");
    assert!(fake.active().is_empty() && Story::flags(&failure.to_string()).contains("chk-*"), "{failure}");
}

#[tokio::test]
async fn what_may_come_back_by_itself_is_not_lost() {
    let story = Story::begin().await;
    story.bench.fake.start_again(true).await;
    story.bench.fake.world().high_availability = true;
    let failure = story.bench.run(&story.words(&format!("--if-lost {}", story.checkpoint))).await.failure();
    assert_eq!(failure.kind(), Kind::Conflict, "{failure}");
    assert!(failure.to_string().contains("may still bring it back"), "{failure}");
    assert!(story.bench.fake.active().is_empty());
}

#[tokio::test]
async fn what_flink_still_knows_is_not_lost() {
    let story = Story::begin().await;
    let with = story.words("--if-lost /cp/1");
    // It runs: what is given for another case does not count.
    story.bench.run(&with).await.well();
    let now = story.bench.only();
    assert!(now.savepoint().is_some_and(|from| from != "/cp/1"), "{now:?}");
    // It has completed checkpoints and was ended: its state is newer than that.
    story.bench.fake.world().jobs.iter_mut().for_each(|job| job.completed = 1);
    story.bench.run(&format!("cancel {}", now.id)).await.well();
    story.bench.fake.world().jobs.retain(|job| job.id == now.id);
    let failure = story.bench.run(&with).await.failure();
    assert_eq!(failure.kind(), Kind::Conflict, "{failure}");
    assert!(failure.to_string().contains("has ended and is not lost"), "{failure}");
}

#[tokio::test]
async fn a_deployment_after_a_death_does_not_meet_the_checkpoints_of_the_one_before() {
    let bench = Bench::new().await;
    let before = bench.deployed("a").await;
    bench.fake.start_again(true).await;
    // The record is there, and the id was that of a job which is gone.
    let after = bench.deployed("a").await;
    assert_ne!(before, after);
}
