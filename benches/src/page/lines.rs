//! Lines of results, read back: runs, and in each the groups of figures that belong together.

use crate::harness::Outcome;
use serde_json::{Map, Value};

/// One run of the program: the line that it began with, and all others.
#[derive(Debug, Default)]
pub struct Run {
    /// What the first line said; empty where it is missing.
    pub head: Map<String, Value>,
    /// Benches in the order in which they came.
    pub groups: Vec<Group>,
    /// What other programs took, busy and stolen.
    pub foreign: Option<(f64, f64)>,
}

/// The lines of one bench.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub bench: String,
    /// Lines that have figures.
    pub figures: Vec<Figure>,
    /// All others.
    pub others: Vec<Map<String, Value>>,
}

/// A line with a median.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The variant.
    pub variant: String,
    /// Members of the team.
    pub workers: f64,
    /// The median.
    pub median: f64,
    /// Its interval where there is one; else what most samples lie in.
    pub range: Option<(f64, f64)>,
    /// Whether the range is an interval of the median.
    pub is_interval: bool,
    /// Number of samples.
    pub n: Option<u64>,
    /// The unit.
    pub unit: String,
    /// The size that was gone over, for ladders.
    pub bytes: Option<f64>,
}

/// Reads lines of one file; `name` is for messages.
pub fn read(name: &str, text: &str) -> Outcome<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| format!("{name}, line {}: no result of --json: {error}", at + 1))?;
        let Value::Object(object) = value else {
            return Err(format!("{name}, line {}: a result is an object", at + 1).into());
        };
        if object.contains_key("command") && object.get("bench") == Some(&Value::from("run")) {
            runs.push(Run { head: object, ..Run::default() });
            continue;
        }
        if runs.is_empty() {
            runs.push(Run::default());
        }
        if let Some(run) = runs.last_mut() {
            run.take(object);
        }
    }
    Ok(runs)
}

impl Run {
    fn take(&mut self, object: Map<String, Value>) {
        if let Some(foreign) = object.get("foreign") {
            let share = |name: &str| foreign.get(name).and_then(Value::as_f64);
            self.foreign = share("busy").zip(share("stolen"));
            return;
        }
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let class = text("class");
        let bench = match class.as_str() {
            "" if text("bench").is_empty() => "findings".to_owned(),
            "" => text("bench"),
            class => format!("{} class {class}", text("bench").to_uppercase()),
        };
        let at = self.groups.iter().position(|group| group.bench == bench).unwrap_or_else(|| {
            self.groups.push(Group { bench, figures: Vec::new(), others: Vec::new() });
            self.groups.len() - 1
        });
        match figure(&object) {
            Some(figure) => self.groups[at].figures.push(figure),
            None => self.groups[at].others.push(object),
        }
    }

    /// A text of the first line.
    pub fn head(&self, name: &str) -> Option<&str> {
        self.head.get(name)?.as_str()
    }
}

/// The figure of a line, if it has one.
fn figure(object: &Map<String, Value>) -> Option<Figure> {
    let number = |name: &str| object.get(name).and_then(Value::as_f64);
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    if let (Some(mops), Some(runtime)) = (number("mops"), text("runtime")) {
        return Some(Figure {
            variant: runtime,
            workers: number("workers")?,
            median: mops,
            range: None,
            is_interval: false,
            n: None,
            unit: "Mop/s".into(),
            bytes: None,
        });
    }
    let ends = object.get("interval").and_then(Value::as_array);
    let interval = ends.and_then(|ends| Some((ends.first()?.as_f64()?, ends.get(1)?.as_f64()?)));
    Some(Figure {
        variant: text("variant")?,
        workers: number("workers")?,
        median: number("median")?,
        range: interval.or(number("p5").zip(number("p95"))),
        is_interval: interval.is_some(),
        n: object.get("n").and_then(Value::as_u64),
        unit: text("unit")?,
        bytes: object.get("parameters").and_then(|own| own.get("bytes")).and_then(Value::as_f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fall_into_runs_and_groups() {
        let text = r#"{"bench":"run","command":"phalanx-bench launch --json","machine":"m"}
{"bench":"launch_empty","variant":"rayon","workers":2,"n":3,"median":1.5,"p5":1,"p95":2,"unit":"ns"}

{"bench":"launch_empty","variant":"serial","workers":1,"n":3,"median":2.5,"unit":"ns","interval":[2,3]}
{"bench":"launch","foreign":{"busy":0.25,"stolen":0.0}}
{"bench":"run","command":"phalanx-bench npb cg --json"}
{"bench":"cg","class":"S","runtime":"rayon","workers":2,"seconds":1,"mops":77.5,"verified":true}
{"what":"huge pages","verdict":"ok"}
"#;
        let runs = read("a", text).unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].head("machine"), runs[0].foreign), (Some("m"), Some((0.25, 0.0))));
        let group = &runs[0].groups[0];
        assert_eq!((group.bench.as_str(), group.figures.len()), ("launch_empty", 2));
        assert_eq!((group.figures[0].range, group.figures[0].is_interval), (Some((1.0, 2.0)), false));
        assert_eq!((group.figures[1].range, group.figures[1].is_interval), (Some((2.0, 3.0)), true));
        assert_eq!(
            (runs[1].groups[0].bench.as_str(), runs[1].groups[0].figures[0].median),
            ("CG class S", 77.5)
        );
        assert_eq!((runs[1].groups[1].bench.as_str(), runs[1].groups[1].others.len()), ("findings", 1));
    }

    #[test]
    fn what_is_no_result_is_named_with_its_line() {
        for bad in ["{}\nlaunch_empty  1.2 us", "\n[1]", "{\"bench\":"] {
            let error = read("results.json", bad).unwrap_err().to_string();
            assert!(error.starts_with("results.json, line "), "{error}");
        }
        assert!(read("a", "{}").unwrap()[0].head.is_empty());
        assert!(read("a", "").unwrap().is_empty());
    }
}
