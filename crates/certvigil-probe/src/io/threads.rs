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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn four_files_at_most_are_read_concurrently() {
        const FILES: usize = 16;
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut files = JoinSet::new();
        for _ in 0..FILES {
            let (running, most) = (running.clone(), most.clone());
            files.spawn(on_reader(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                (0..50).for_each(|_| std::thread::yield_now());
                running.fetch_sub(1, Ordering::SeqCst);
            }));
        }
        files.join_all().await;
        let most = most.load(Ordering::SeqCst);
        assert!((1..=MAX_READERS).contains(&most), "{most}");
    }

    #[tokio::test]
    async fn file_is_read_while_three_others_do_not_respond() {
        let (sender, responds) = channel::<()>();
        let responds = Arc::new(std::sync::Mutex::new(responds));
        let mut hanging = JoinSet::new();
        for _ in 1..MAX_READERS {
            let responds = responds.clone();
            hanging.spawn(on_reader(move || responds.lock().unwrap().recv().is_err()));
        }
        tokio::task::yield_now().await;
        let read = timeout(Duration::from_secs(60), on_reader(|| 1)).await;
        assert_eq!(read, Ok(1));
        assert!(hanging.try_join_next().is_none());
        drop(sender);
        assert_eq!(hanging.join_all().await, [true; MAX_READERS - 1]);
    }

    #[tokio::test]
    async fn panic_of_a_reader_is_one_of_its_caller() {
        let read = tokio::spawn(on_reader(|| panic!("as the test asks for")));
        assert!(read.await.unwrap_err().is_panic());
    }
}
