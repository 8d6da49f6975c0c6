//! The whole engine over the embedded API server in memory, fake JobManagers over HTTP on loopback and a launcher
//! whose clusters are those. Real time, with every interval of the engine shortened.

mod faults;
mod faulty_api;
mod isolation;
mod lifecycle;
mod watching;
mod world;
