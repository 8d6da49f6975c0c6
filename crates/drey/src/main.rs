//! drey
fn main() {}
