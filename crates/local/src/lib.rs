//! drey-local
