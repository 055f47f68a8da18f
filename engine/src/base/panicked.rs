//! How errors tell where a panic was.

/// The place and the calls that led there, each if it is known, to follow a panic's message.
pub(crate) fn whence(location: &str, backtrace: &str) -> String {
    let place = if location.is_empty() { String::new() } else { format!(" ({location})") };
    let trace = if backtrace.is_empty() { String::new() } else { format!("; called from\n{backtrace}") };
    place + &trace
}
