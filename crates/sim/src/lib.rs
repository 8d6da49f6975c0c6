//! drey-sim
