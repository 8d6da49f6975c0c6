//! `bench-engine [RESOURCES [HANGING_PERCENT [REST_SECONDS [within|apart]]]]`: measures the engine, with the API server
//! within this process or apart from it, and prints the report. The example `fake-jobmanagers` has to be built beside
//! it.

use std::process::ExitCode;
use std::time::Duration;

use drey_testbed::bench_engine::{Options, run};

fn main() -> ExitCode {
    let number = |index: usize, otherwise: u64| match std::env::args().nth(index) {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| format!("`{text}` is not a number")),
    };
    let measured = (|| {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let options = Options {
            resources: usize::try_from(number(1, 3_000)?).map_err(|error| error.to_string())?,
            hanging_percent: number(2, 0)?,
            api_apart: match std::env::args().nth(4).as_deref() {
                None | Some("within") => false,
                Some("apart") => true,
                Some(other) => return Err(format!("`{other}` is neither `within` nor `apart`")),
            },
            fake_jobmanagers: own.with_file_name("fake-jobmanagers"),
            rest: Duration::from_secs(number(3, 60)?),
            edits: 300,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(run(&options)).map_err(|error| error.to_string())
    })();
    match measured {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
