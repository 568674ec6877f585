//! Work that must not delay the tasks of the runtime.

use std::sync::LazyLock;

use tokio::runtime::Runtime;

/// Runs CPU-heavy work on a blocking thread, so that it does not delay other tasks. A panic in it
/// propagates to the caller.
pub async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    result_of(tokio::task::spawn_blocking(work)).await
}

/// Result of work on a blocking thread. A panic in it propagates to the caller.
async fn result_of<T>(work: tokio::task::JoinHandle<T>) -> T {
    match work.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and pending tasks are not polled again.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Maximum threads that read files. Each has a stack, and most files are read in microseconds; a file
/// system that does not respond occupies one until it does.
const MAX_READERS: usize = 4;

/// Stack of such a thread, in bytes. Parsing does not recurse deeply.
const READER_STACK: usize = 512 << 10;

/// Threads that read files.
static READERS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut threads = tokio::runtime::Builder::new_current_thread();
    threads
        .max_blocking_threads(MAX_READERS)
        .thread_stack_size(READER_STACK)
        .build()
        .ok()
});

/// Reads files on a thread of its own, because a file system may not respond. At most four are read at
/// the same time. A panic propagates to the caller.
pub async fn on_reader<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    match &*READERS {
        Some(threads) => result_of(threads.spawn_blocking(read)).await,
        None => on_own_thread(read).await,
    }
}
