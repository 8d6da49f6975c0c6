//! drey-cli
