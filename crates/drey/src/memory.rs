//! The allocator of what runs for months: jemalloc gives back what a burst of thousands of resources took, and the C
//! library's does not. `.cargo/config.toml` sets how soon.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
