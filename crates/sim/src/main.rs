//! Runs the simulator: `cargo xtask sim` does the same.
fn main() -> std::process::ExitCode {
    drey_sim::main(&std::env::args().skip(1).collect::<Vec<_>>())
}
