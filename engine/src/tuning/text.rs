//! The text of a profile.
//!
//! ```text
//! phalanx profile 1
//! host 8d0a2f5b8c1e77aa
//! on Intel(R) Xeon(R), 2 cores, Linux 6.18.5
//! spin_ns 80000
//! note spin: 12 % less time (9 to 15 %) on tune_gaps
//! check 1f0c66d9b0b7a3e4
//! ```
//!
//! The first line is the version, the last one a checksum of all bytes before it: a file that was cut off or edited
//! is not used. A setting that is not there is the default.

use super::host::Host;
use super::settings::{SETTINGS, Setting, Tuning};
use std::fmt::Write as _;
use twox_hash::XxHash3_64;

const VERSION: &str = "phalanx profile 1";
/// Stands before a version.
const ANY_VERSION: &str = "phalanx profile ";

/// Writes the settings that differ from the default.
pub(super) fn write(host: &Host, tuning: &Tuning, notes: &[String]) -> String {
    let mut text = format!("{VERSION}\nhost {:016x}\non {}\n", host.key, one_line(&host.name));
    let default = Tuning::default();
    for Setting { key, get, .. } in SETTINGS.iter().filter(|own| (own.get)(tuning) != (own.get)(&default)) {
        let _ = writeln!(text, "{key} {}", get(tuning));
    }
    for note in notes {
        let _ = writeln!(text, "note {}", one_line(note));
    }
    let check = XxHash3_64::oneshot(text.as_bytes());
    let _ = writeln!(text, "check {check:016x}");
    text
}

fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

/// Reads a text for this host, or says why it cannot be used.
pub(super) fn read(text: &str, host: u64) -> Result<(Tuning, Vec<String>), String> {
    let (body, check) = checked(text)?;
    if XxHash3_64::oneshot(body.as_bytes()) != check {
        return Err("it is damaged, or was edited: its checksum is not that of its lines".into());
    }
    let (mut tuning, mut notes, mut own_host) = (Tuning::default(), Vec::new(), None);
    for line in body.lines().skip(1) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "host" => own_host = u64::from_str_radix(value, 16).ok(),
            "on" => {}
            "note" => notes.push(value.to_owned()),
            _ => set(&mut tuning, key, value)?,
        }
    }
    match own_host {
        Some(own) if own == host => Ok((tuning, notes)),
        _ => Err("it is of another machine, kernel or processor".into()),
    }
}

/// The lines before the checksum, and the checksum.
fn checked(text: &str) -> Result<(&str, u64), String> {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix(ANY_VERSION) {
        _ if first == VERSION => {}
        Some(other) if text.contains('\n') => {
            return Err(format!("it has version {other}, not that of this program"));
        }
        _ => return Err("it is not a profile".into()),
    }
    let cut = || "it is cut off".to_owned();
    let at = text.trim_end_matches('\n').rfind('\n').ok_or_else(cut)?.saturating_add(1);
    let (body, last) = text.split_at(at);
    let check = last.strip_prefix("check ").and_then(|digits| digits.strip_suffix('\n'));
    let check = check.filter(|digits| digits.len() == 16).ok_or_else(cut)?;
    Ok((body, u64::from_str_radix(check, 16).map_err(|_| cut())?))
}

fn set(tuning: &mut Tuning, key: &str, value: &str) -> Result<(), String> {
    let setting = SETTINGS.iter().find(|own| own.key == key);
    let Setting { bounds, set, .. } = setting.ok_or_else(|| format!("nobody knows its setting {key}"))?;
    match value.parse() {
        Ok(value) if bounds.contains(&value) => {
            set(tuning, value);
            Ok(())
        }
        _ => Err(format!("its {key} of {value} is not within {} to {}", bounds.start(), bounds.end())),
    }
}
