//! drey-api
