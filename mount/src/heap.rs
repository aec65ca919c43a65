//! How the process of a mount gets its memory from the system.

/// Has all threads take memory from two heaps instead of one or more each. Blocks of a megabyte that are given back to one heap are of no use to the next: with a hundred streams that is more
/// than the budget. To be called before there are threads; a process that does other things as well does without.
pub fn share_heap() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the C library is asked to set a number of its own")]
    // SAFETY: mallopt changes a parameter of the allocator under its own lock; heaps that are there stay valid.
    let done = unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) } == 1;
    #[cfg(not(target_env = "gnu"))]
    let done = true;
    tracing::debug!(done, "threads share heaps");
}

#[cfg(target_env = "gnu")]
const HEAPS: libc::c_int = 2;
