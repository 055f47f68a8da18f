//! Ends the program without a word when nobody reads its output any more, as in `phalanx-bench doctor | head`.

/// The status of a program that a signal ended, as shells tell it: 128 and the number of SIGPIPE.
const STATUS: i32 = 141;

/// From here on, a print into a pipe that was closed ends the program. Workers end with it.
pub fn install() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(is_closed_pipe) {
            std::process::exit(STATUS);
        }
        others(panic);
    }));
}

/// Whether a panic is that of `print!` into a closed pipe.
fn is_closed_pipe(message: &str) -> bool {
    message.starts_with("failed printing to stdout") && message.contains("Broken pipe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_closed_pipe_is_passed_over() {
        // As std says it.
        assert!(is_closed_pipe("failed printing to stdout: Broken pipe (os error 32)"));
        assert!(!is_closed_pipe("failed printing to stdout: No space left on device (os error 28)"));
        assert!(!is_closed_pipe("index out of bounds"));
    }
}
