//! What an example is expected to print, compared with what it printed.

/// Stands for any text within a line.
const ANY_TEXT: &str = "[..]";
/// Lines from here on may come in any order.
const ANY_ORDER: &str = "[any order]";
/// To here.
const END: &str = "[end]";

/// Lines in the order in which they stand here, or in any.
struct Block {
    any_order: bool,
    lines: Vec<String>,
}

/// The lines that a program must print, no more and no fewer.
pub struct Expected(Vec<Block>);

impl Expected {
    pub fn parse(text: &str) -> Expected {
        let block = |any_order| Block { any_order, lines: Vec::new() };
        let mut blocks = Vec::new();
        let mut last = block(false);
        for line in text.lines() {
            let next = match (line, last.any_order) {
                (ANY_ORDER, false) => block(true),
                (END, true) => block(false),
                (ANY_ORDER | END, _) => panic!("{line} stands where it means nothing"),
                _ => {
                    last.lines.push(line.to_owned());
                    continue;
                }
            };
            blocks.push(std::mem::replace(&mut last, next));
        }
        assert!(!last.any_order, "{ANY_ORDER} without {END}");
        blocks.push(last);
        Expected(blocks)
    }

    /// Whether no line is wanted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|block| block.lines.is_empty())
    }

    /// Whether this line is among those wanted.
    pub fn has(&self, line: &str) -> bool {
        self.0.iter().flat_map(|block| &block.lines).any(|wanted| is_match(wanted, line))
    }

    /// Compares with a program's output.
    ///
    /// # Errors
    /// The first difference, and the whole output.
    pub fn compare(&self, printed: &str) -> Result<(), String> {
        let mut lines = printed.lines();
        for block in &self.0 {
            let mut open: Vec<&str> = block.lines.iter().map(String::as_str).collect();
            while !open.is_empty() {
                let candidates = if block.any_order { &open[..] } else { &open[..1] };
                let wanted = candidates.join("\nor    ");
                let Some(line) = lines.next() else {
                    return Err(format!("wanted {wanted}\nbut no more was printed:\n{printed}"));
                };
                // The line itself before one that has gaps, which may be wanted for another.
                let itself = candidates.iter().position(|wanted| *wanted == line);
                let fitting = || candidates.iter().position(|wanted| is_match(wanted, line));
                let Some(found) = itself.or_else(fitting) else {
                    return Err(format!("wanted {wanted}\ngot    {line}\nof:\n{printed}"));
                };
                open.remove(found);
            }
        }
        match lines.next() {
            Some(line) => Err(format!("wanted no more\ngot    {line}\nof:\n{printed}")),
            None => Ok(()),
        }
    }
}

/// Whether a line is as wanted, `[..]` standing for any text.
fn is_match(wanted: &str, line: &str) -> bool {
    let Some((start, rest)) = wanted.split_once(ANY_TEXT) else { return wanted == line };
    let Some(line) = line.strip_prefix(start) else { return false };
    // The shortest text that the rest allows is found first, so that no later part is missed.
    (0..=line.len()).filter(|at| line.is_char_boundary(*at)).any(|at| is_match(rest, &line[at..]))
}
