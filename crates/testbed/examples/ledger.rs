//! Checks a ledger by hand: `cargo run -p drey-testbed --example ledger -- DIRECTORY`. Exits with 1 unless it is whole.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: ledger DIRECTORY");
        return ExitCode::from(2);
    };
    match drey_testbed::ledger::check(Path::new(&directory)) {
        Ok(report) => {
            println!("{report}");
            if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
