//! Numbers on the command line.

/// Reads a count: digits, `_` between them, and `k`, `M`, `G` or `T` for powers of 1000. Serves as clap's
/// `value_parser`.
///
/// # Errors
/// One line that says what is wrong with `text`.
pub fn count(text: &str) -> Result<u64, String> {
    let (digits, power) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1),
        Some((at, 'M')) => (&text[..at], 2),
        Some((at, 'G')) => (&text[..at], 3),
        Some((at, 'T')) => (&text[..at], 4),
        _ => (text, 0),
    };
    let number = digits.replace('_', "").parse::<u64>();
    let number =
        number.map_err(|_| format!("{text:?} is no count; 250000, 250_000, 250k, 10M and 1G are"))?;
    number.checked_mul(1000u64.pow(power)).ok_or_else(|| format!("{text:?} is more than 64 bits hold"))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn suffixes_are_powers_of_a_thousand() {
        let counts = ["0", "17", "250_000", "250k", "10M", "3G", "1T"].map(|text| count(text).unwrap());
        assert_eq!(counts, [0, 17, 250_000, 250_000, 10_000_000, 3_000_000_000, 1_000_000_000_000]);
        for wrong in ["", "k", "-1", "1.5M", "1 M", "20000000T", "99999999999999999999"] {
            assert!(count(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }
}
