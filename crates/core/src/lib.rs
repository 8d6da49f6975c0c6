//! drey-core
