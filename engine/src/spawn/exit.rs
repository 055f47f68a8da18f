//! The orderly end of a worker process.

use crate::sys::process;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long writing out printed text may take. A thread that a task left running may hold the stream for
/// ever, and a pipe may have no reader.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);

/// Writes out printed text and ends the process. Nothing is unmapped and no destructor runs: threads that
/// tasks left running may use everything until the very end.
pub(crate) fn flush_and_exit(status: i32) -> ! {
    let (done, is_done) = sync_channel(1);
    let flush = move || {
        process::flush_output();
        let _waited_for_no_more = done.send(());
    };
    // On a thread of its own, as the wait for the stream's lock has no limit. Where no thread can be started
    // the text is lost.
    if std::thread::Builder::new().name("phalanx flush".into()).spawn(flush).is_ok() {
        let _in_time_or_not = is_done.recv_timeout(FLUSH_WITHIN);
    }
    process::exit_now(status)
}
