//! `drey job` over HTTP, with a Flink that is not there and does everything that goes wrong.

mod behaviours;
mod deaths;
mod fake;
mod faults;
mod killed;
mod lost_answers;
mod remote;
mod support;
mod tls;
mod updates;
