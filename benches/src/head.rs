//! The first line of `--json`: which command this is, on which machine, when.

use crate::report::Report;
use phalanx::topology::Machine;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The line. `report` makes the head of a section from it.
pub fn line(words: impl IntoIterator<Item = String>) -> Value {
    let command: Vec<String> = words.into_iter().skip(1).map(|word| quoted(&word)).collect();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "bench": "run",
        "command": format!("phalanx-bench {}", command.join(" ")),
        "machine": Report::machine(),
        "topology": Machine::detect().ok().map(|machine| machine.to_string()),
        "date": date(since.as_secs()),
        "build": if cfg!(debug_assertions) { "debug build: figures are not those of a release" } else { "release build" },
    })
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=,./:{}%+@".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Day and minute of a number of seconds since 1970, in UTC.
fn date(seconds: u64) -> String {
    let (mut days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02} UTC", days + 1, minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // As `date -u -d @N` prints them.
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_798_761_599), "2026-12-31 23:59 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00 UTC");
    }

    #[test]
    fn the_command_can_be_given_to_a_shell_again() {
        let words =
            ["/a/phalanx-bench", "pool-size", "--json", "--", "sh", "-c", "echo '{}'"].map(str::to_owned);
        let line = line(words);
        assert_eq!(line["command"], "phalanx-bench pool-size --json -- sh -c 'echo '\\''{}'\\'''");
        assert!(line["machine"].is_string() && line["date"].is_string());
    }
}
