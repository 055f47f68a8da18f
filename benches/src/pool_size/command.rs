//! A command of another program, with the number of workers in it.

use crate::harness::Outcome;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What stands for the number of workers.
const PLACE: &str = "{}";
/// Bytes of a failed command's messages that are shown.
const SHOWN: usize = 400;

/// A command with a place for the number of workers.
#[derive(Clone, Debug, PartialEq)]
pub struct External(Vec<String>);

impl External {
    /// Takes a command line, which must have the place.
    pub fn new(words: &[String]) -> Outcome<External> {
        if !words.iter().any(|word| word.contains(PLACE)) {
            return Err(format!(
                "the command `{}` has no {PLACE} where the number of workers is to stand: every size would be the \
                 same run",
                words.join(" ")
            )
            .into());
        }
        if words[0].contains(PLACE) {
            return Err(
                format!("the number of workers cannot stand in the program's name, `{}`", words[0]).into()
            );
        }
        Ok(External(words.to_vec()))
    }

    /// The words for so many workers.
    fn words(&self, workers: usize) -> Vec<String> {
        self.0.iter().map(|word| word.replace(PLACE, &workers.to_string())).collect()
    }

    /// The line for so many workers.
    pub fn line(&self, workers: usize) -> String {
        self.words(workers).join(" ")
    }

    /// The line with its place.
    pub fn text(&self) -> String {
        self.0.join(" ")
    }

    /// Runs it and returns how long that took. Its output goes nowhere; its messages are kept to be shown if
    /// it fails.
    pub fn run(&self, workers: usize) -> Outcome<Duration> {
        let words = self.words(workers);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let output = command.output().map_err(|error| format!("cannot run `{}`: {error}", words[0]))?;
        let time = began.elapsed();
        if output.status.success() {
            return Ok(time);
        }
        let messages = String::from_utf8_lossy(&output.stderr);
        let said = match messages.trim() {
            "" => "it said nothing".to_owned(),
            text => format!("it said: {}", tail(text)),
        };
        Err(format!("`{}` failed, {}; {said}", words.join(" "), output.status).into())
    }
}

/// The end of a text.
fn tail(text: &str) -> &str {
    let from = (text.len().saturating_sub(SHOWN)..text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(0)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(words: &[&str]) -> Outcome<External> {
        External::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_number_of_workers_stands_wherever_its_place_is() {
        let command = external(&["make", "-j{}", "N={}x{}"]).unwrap();
        assert_eq!(command.line(12), "make -j12 N=12x12");
        assert!(external(&["make", "-j4"]).unwrap_err().to_string().contains("{}"));
        assert!(external(&["run-{}", "a"]).is_err());
    }

    #[test]
    fn a_good_command_is_timed_and_its_output_goes_nowhere() {
        let time = external(&["sh", "-c", "echo loud; sleep 0.0{}"]).unwrap().run(2).unwrap();
        assert!(time >= Duration::from_millis(20));
    }

    #[test]
    fn a_failing_command_is_an_error_that_says_what_it_said() {
        let error = external(&["sh", "-c", "exit 3 # {}"]).unwrap().run(2).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("said nothing"), "{error}");
        let error =
            external(&["sh", "-c", "echo {} is bad >&2; false"]).unwrap().run(7).unwrap_err().to_string();
        assert!(error.contains("it said: 7 is bad"), "{error}");
        let error = external(&["no-such-program", "{}"]).unwrap().run(1).unwrap_err().to_string();
        assert!(error.starts_with("cannot run `no-such-program`"), "{error}");
        assert_eq!(tail(&"ä".repeat(900)).len(), SHOWN);
    }
}
