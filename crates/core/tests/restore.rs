//! The choice of the restore source, over every combination of evidence: what may never be chosen, said without the
//! code that chooses; and the cases that people ask about, as a table.

use std::sync::Arc;

use drey_api::kinds::FlinkJobState;
use drey_core::journal::{Base, End, Last, Restored, Run};
use drey_core::observed::{HighAvailability, JobStore, StoredSnapshot};
use drey_core::restore::{Choice, Evidence, Restore, Unsure, Wish, choose};
use drey_core::{JobId, Seen};

/// Checkpoint ids that snapshots are given: older, newer, and no id at all.
const IDS: [Option<u64>; 3] = [Some(5), Some(7), None];

fn snapshot(name: &str, checkpoint_id: Option<u64>) -> StoredSnapshot {
    StoredSnapshot { path: Arc::from(format!("file:/{name}")), checkpoint_id }
}

fn run() -> Run {
    Run {
        job_id: JobId::new("0a"),
        seq: 1,
        generation: 1,
        cluster_uid: None,
        base: Base::Path(Arc::from("file:/base")),
        restored: Restored::Path(Arc::from("file:/base")),
        deployed_at_ms: 0,
        never_ran: false,
        end: None,
        newest_savepoint: None,
        open_directories: Vec::new(),
    }
}

fn store(newest_checkpoint_id: Option<u64>) -> Seen<HighAvailability> {
    let job = JobStore { job_id: JobId::new("0a"), newest_checkpoint_id, created_at_ms: 0 };
    Seen::Present(HighAvailability { maps: Vec::new(), jobs: vec![job], job_graphs: Vec::new() })
}

/// The parts of one combination.
#[derive(Clone, Debug)]
struct Case {
    run: Run,
    of_open_requests: Seen<StoredSnapshot>,
    storage_hidden: bool,
    high_availability: Seen<HighAvailability>,
    retained: Seen<StoredSnapshot>,
    job_result: Seen<FlinkJobState>,
    version_changed: bool,
}

impl Case {
    fn choose(&self, wish: Wish) -> Choice {
        choose(&Evidence {
            wish,
            run: Some(&self.run),
            of_open_requests: &self.of_open_requests,
            storage_hidden: self.storage_hidden,
            high_availability: &self.high_availability,
            retained: &self.retained,
            job_result: &self.job_result,
            version_changed: self.version_changed,
        })
    }

    fn store_id(&self) -> Option<u64> {
        self.high_availability.present()?.job(&self.run.job_id)?.newest_checkpoint_id
    }

    /// What Flink said of the end settles what its own bookkeeping holds.
    fn settled(&self) -> bool {
        self.run.end.as_ref().is_some_and(|end| match end.last {
            Last::Snapshot(_) | Last::Discarded => true,
            Last::Nothing => end.state == FlinkJobState::Finished,
            Last::NotRead => false,
        })
    }

    /// Every snapshot that the evidence shows, by path.
    fn paths(&self) -> Vec<&StoredSnapshot> {
        let left = self.run.end.as_ref().and_then(|end| match &end.last {
            Last::Snapshot(left) => Some(left),
            _ => None,
        });
        let retained = self.retained.present().filter(|_| !self.settled());
        [left, self.run.newest_savepoint.as_ref(), self.of_open_requests.present(), retained]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The reason why this answer would lose state, if it would.
    fn loses(&self, choice: &Choice) -> Option<String> {
        let Choice::Start(restore) = choice else { return None };
        let discarded = self.run.end.as_ref().is_some_and(|end| end.last == Last::Discarded);
        if discarded {
            return (*restore != Restore::Empty).then(|| "state that was given up comes back".to_owned());
        }
        if !self.run.open_directories.is_empty() && self.of_open_requests.is_unknown() {
            return Some("a savepoint may be in a directory that nobody could read".to_owned());
        }
        let newest = self.paths().iter().filter_map(|snapshot| snapshot.checkpoint_id).max();
        let store = self.store_id().filter(|_| !self.settled());
        match restore {
            Restore::Empty => Some("the run stood on a snapshot".to_owned()),
            Restore::LastState if self.version_changed => Some("another version reads the store".to_owned()),
            Restore::LastState if store.is_none() => Some("the store has no checkpoint".to_owned()),
            Restore::LastState => (newest > store).then(|| format!("{newest:?} is newer than the store")),
            Restore::Path(path) if &**path == "file:/base" => {
                (store.is_some() || !self.paths().is_empty() || self.may_hide())
                    .then(|| "back to its base".to_owned())
            }
            Restore::Path(path) => {
                let chosen = self.paths().into_iter().find(|snapshot| snapshot.path == *path)?.checkpoint_id;
                (chosen < newest || chosen < store).then(|| format!("{chosen:?} is not the newest"))
            }
        }
    }

    /// A newer snapshot may exist where nobody could look.
    fn may_hide(&self) -> bool {
        let store_tells =
            self.high_availability.present().is_some_and(|data| data.job(&self.run.job_id).is_some());
        let nothing_ever = store_tells && self.job_result.is_absent();
        let certain = self.settled() || self.run.never_ran || nothing_ever;
        !certain && self.retained.is_unknown()
    }
}

/// Every combination, which is small enough to try all.
fn every_case(check: &mut dyn FnMut(&Case)) {
    let seen = |name: &str| {
        let mut all = vec![Seen::Unknown, Seen::Absent];
        all.extend(IDS.map(|id| Seen::Present(snapshot(name, id))));
        all
    };
    let mut ends = vec![None];
    for state in [FlinkJobState::Finished, FlinkJobState::Failed, FlinkJobState::Canceled] {
        let mut lasts = vec![Last::Nothing, Last::Discarded, Last::NotRead];
        lasts.extend(IDS.map(|id| Last::Snapshot(snapshot("left", id))));
        ends.extend(lasts.into_iter().map(|last| Some(End { state, last })));
    }
    let mut savepoints = vec![None];
    savepoints.extend(IDS.map(|id| Some(snapshot("savepoint", id))));
    let stores = [Seen::Unknown, Seen::Absent, store(None), store(Some(5)), store(Some(7))];
    let results = [Seen::Unknown, Seen::Absent, Seen::Present(FlinkJobState::Finished)];
    for end in &ends {
        for newest_savepoint in &savepoints {
            for (open, of_open_requests) in
                seen("open").into_iter().map(|found| (true, found)).chain([(false, Seen::Absent)])
            {
                for high_availability in &stores {
                    for retained in &seen("retained") {
                        for job_result in &results {
                            for flags in 0..8 {
                                let open_directories =
                                    if open { vec![Arc::from("file:/sp/2")] } else { Vec::new() };
                                check(&Case {
                                    run: Run {
                                        end: end.clone(),
                                        newest_savepoint: newest_savepoint.clone(),
                                        open_directories,
                                        never_ran: flags & 1 != 0 && end.is_none(),
                                        ..run()
                                    },
                                    of_open_requests: of_open_requests.clone(),
                                    storage_hidden: flags & 4 != 0,
                                    high_availability: high_availability.clone(),
                                    retained: retained.clone(),
                                    job_result: job_result.clone(),
                                    version_changed: flags & 2 != 0,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn no_evidence_leads_to_a_start_that_loses_state() {
    let (mut starts, mut waits) = (0_u32, 0_u32);
    every_case(&mut |case| {
        let choice = case.choose(Wish::Keep);
        assert_eq!(case.loses(&choice), None, "{choice:?} of {case:#?}");
        match choice {
            Choice::Start(_) => starts += 1,
            Choice::Wait(_) | Choice::Manual(_) => waits += 1,
        }
    });
    // Neither always nor never is an answer.
    assert!(starts > 10_000 && waits > 10_000, "{starts} starts, {waits} waits");
}

#[test]
fn a_state_that_is_given_up_needs_no_evidence() {
    every_case(&mut |case| {
        assert_eq!(case.choose(Wish::Discard), Choice::Start(Restore::Empty));
        let path: Arc<str> = Arc::from("file:/mine");
        assert_eq!(case.choose(Wish::From(path.clone())), Choice::Start(Restore::Path(path)));
    });
}

#[test]
fn the_cases_that_people_ask_about() {
    let path = |name: &str| Choice::Start(Restore::Path(Arc::from(format!("file:/{name}"))));
    let plain = Case {
        run: run(),
        of_open_requests: Seen::Absent,
        storage_hidden: false,
        high_availability: Seen::Absent,
        retained: Seen::Absent,
        job_result: Seen::Absent,
        version_changed: false,
    };
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = plain.clone();
        change(&mut case);
        case.choose(Wish::Keep)
    };
    let ended = |state, last| Some(End { state, last });
    let rows: [(&str, Choice, Choice); 13] = [
        (
            "killed, high availability has a checkpoint",
            with(&|c| c.high_availability = store(Some(7))),
            Choice::Start(Restore::LastState),
        ),
        ("killed before any checkpoint", with(&|c| c.high_availability = store(None)), path("base")),
        (
            "store not readable",
            with(&|c| c.high_availability = Seen::Unknown),
            Choice::Wait(Unsure::HighAvailability),
        ),
        (
            "stopped with a savepoint",
            with(&|c| c.run.end = ended(FlinkJobState::Finished, Last::Snapshot(snapshot("left", Some(7))))),
            path("left"),
        ),
        (
            "the stop's answer was lost, its directory has the savepoint",
            with(&|c| {
                c.run.open_directories = vec![Arc::from("file:/sp/2")];
                c.of_open_requests = Seen::Present(snapshot("open", Some(7)));
                c.high_availability = store(Some(5));
            }),
            path("open"),
        ),
        (
            "the stop's answer was lost, its directory is not readable",
            with(&|c| {
                c.run.open_directories = vec![Arc::from("file:/sp/2")];
                c.of_open_requests = Seen::Unknown;
            }),
            Choice::Wait(Unsure::SavepointDirectory),
        ),
        (
            "the same where nobody can ever read it: only a person knows",
            with(&|c| {
                c.run.open_directories = vec![Arc::from("file:/sp/2")];
                c.of_open_requests = Seen::Unknown;
                c.storage_hidden = true;
                c.high_availability = store(Some(7));
            }),
            Choice::Manual(Unsure::SavepointDirectory),
        ),
        (
            "a savepoint that is older than the store's checkpoint",
            with(&|c| {
                c.run.newest_savepoint = Some(snapshot("savepoint", Some(5)));
                c.high_availability = store(Some(7));
            }),
            Choice::Start(Restore::LastState),
        ),
        (
            "a new version, and only the store has the newest",
            with(&|c| {
                c.high_availability = store(Some(7));
                c.version_changed = true;
            }),
            Choice::Manual(Unsure::VersionChange),
        ),
        (
            "a new version, and a savepoint as new as the store",
            with(&|c| {
                c.run.newest_savepoint = Some(snapshot("savepoint", Some(7)));
                c.high_availability = store(Some(7));
                c.version_changed = true;
            }),
            path("savepoint"),
        ),
        (
            "store gone, storage readable",
            with(&|c| c.retained = Seen::Present(snapshot("retained", Some(7)))),
            path("retained"),
        ),
        (
            "store gone, storage not readable",
            with(&|c| c.retained = Seen::Unknown),
            Choice::Manual(Unsure::StoreGone),
        ),
        (
            "failed, and what it left was not read",
            with(&|c| {
                c.run.end = ended(FlinkJobState::Failed, Last::NotRead);
                c.retained = Seen::Unknown;
                c.job_result = Seen::Present(FlinkJobState::Failed);
            }),
            Choice::Manual(Unsure::EndNotRead),
        ),
    ];
    for (what, got, expected) in rows {
        assert_eq!(got, expected, "{what}");
    }
}
