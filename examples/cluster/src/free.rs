//! Frees large values on a thread of its own: freeing a group of a million members takes a while.

use std::sync::{LazyLock, mpsc};
use std::thread;

/// Queues a value to be freed on one background thread. On Linux that thread has the lowest
/// priority, so that it does not delay the threads that carry out commands.
pub(crate) fn free_later(value: impl Send + 'static) {
    static QUEUE: LazyLock<mpsc::Sender<Box<dyn Send>>> = LazyLock::new(|| {
        let (queue, values) = mpsc::channel();
        let worker = thread::Builder::new().name("free".into()).spawn(move || {
            // On Linux `nice` sets this thread's priority; elsewhere it would set the process's.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::nice(19);
            values.into_iter().for_each(drop);
        });
        worker.expect("the process can start one more thread");
        queue
    });
    // This cannot fail: the thread never ends.
    let _ = QUEUE.send(Box::new(value));
}
