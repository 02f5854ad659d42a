//! What is over and may be large is freed beside the work: a group of a million members takes a while.

use std::sync::{LazyLock, mpsc};
use std::thread;

/// Frees it later, on one thread, on Linux of the lowest priority: whoever wakes for a command does not wait
/// for it.
pub(crate) fn later(over: impl Send + 'static) {
    static QUEUE: LazyLock<mpsc::Sender<Box<dyn Send>>> = LazyLock::new(|| {
        let (queue, over) = mpsc::channel();
        let freeing = thread::Builder::new().name("free".into()).spawn(move || {
            // Of this thread alone; elsewhere it would be of the process.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::nice(19);
            over.into_iter().for_each(drop);
        });
        freeing.expect("a process has room for one more thread");
        queue
    });
    // That thread never ends.
    let _ = QUEUE.send(Box::new(over));
}
