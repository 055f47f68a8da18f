//! Findings as text, as lines of JSON and as a picture.

use super::findings::{Advice, Findings, Measured, Way};
use crate::harness::Outcome;
use crate::report::Record;
use crate::sizing::chart::{Chart, Curve};
use crate::sizing::line::{Line, machine, seconds};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The name of its records.
pub const BENCH: &str = "chunk";

/// What the engine says of its choice, and how large the job is.
pub struct Context<'c> {
    /// The workload.
    pub name: &'c str,
    /// What a chunk is counted in.
    pub unit: &'c str,
    /// Units of the whole job.
    pub units: usize,
    /// The team.
    pub workers: usize,
    /// Units in a chunk of the engine's own grid, if it can be told.
    pub own: Option<usize>,
    /// How much slower than the best is as good.
    pub within: f64,
}

/// The findings as text: a row for each chunk size, a column for each schedule.
pub fn text(found: &Findings, context: &Context<'_>) -> String {
    let schedules: Vec<&str> = found.flat.iter().map(|(schedule, _)| *schedule).collect();
    let mut text = format!("  {:>10} {:>9}", "chunk", "chunks");
    schedules.iter().for_each(|schedule| {
        let _ = write!(text, "{schedule:>22}");
    });
    text.push('\n');
    for chunk in chunks(found) {
        let _ = write!(text, "  {chunk:>10} {:>9}", context.units.div_ceil(chunk));
        for schedule in &schedules {
            let cell = found.curve(schedule).into_iter().find(|own| own.way.chunk == Some(chunk)).map(cell);
            let _ = write!(text, "{:>22}", cell.unwrap_or("-".into()));
        }
        text.push('\n');
    }
    if let Some(best) = found.best() {
        let Measured { seconds: time, samples, .. } = best;
        let interval = format!("{} to {}", seconds(time.low), seconds(time.high));
        let _ = writeln!(
            text,
            "  best: {}, {} ({interval}, n = {})",
            said(&best.way, context),
            seconds(time.value),
            samples.len()
        );
    }
    for (schedule, (low, high)) in &found.flat {
        let flat = match low == high {
            true => format!("at {low} only, of the sizes measured"),
            false => format!("from {low} to {high}"),
        };
        let _ = writeln!(text, "  {schedule}: within {:.0} % of its own best {flat}", context.within * 100.0);
    }
    let _ = writeln!(text, "  {}", own(found, context));
    let _ = writeln!(text, "  {}", advice(found, context));
    text
}

/// The chunk sizes that were measured.
fn chunks(found: &Findings) -> Vec<usize> {
    let mut chunks: Vec<usize> = found.measured.iter().filter_map(|own| own.way.chunk).collect();
    chunks.sort_unstable();
    chunks.dedup();
    chunks
}

fn cell(own: &Measured) -> String {
    format!("{} {:>+6.0} %", seconds(own.seconds.value), own.overhead * 100.0)
}

fn said(way: &Way, context: &Context<'_>) -> String {
    match way.chunk {
        Some(chunk) => format!("chunks of {chunk} {}, {}", context.unit, way.schedule),
        None => "what the engine chose".into(),
    }
}

fn own(found: &Findings, context: &Context<'_>) -> String {
    let chose = match context.own {
        Some(chunk) => format!(
            "the engine chose: chunks of {chunk} {} ({} of them), stealing",
            context.unit,
            context.units.div_ceil(chunk)
        ),
        None => "the engine chose: by what earlier calls took; which size that was cannot be told".into(),
    };
    match found.own() {
        Some(own) => format!("{chose}: {} {:+.0} %", seconds(own.seconds.value), own.overhead * 100.0),
        None => format!("{chose}; it was not measured"),
    }
}

fn advice(found: &Findings, context: &Context<'_>) -> String {
    let within = context.within * 100.0;
    match &found.advice {
        Advice::Leave => {
            format!("recommended: leave it to the engine, which is within {within:.0} % of the best")
        }
        Advice::Undecided => {
            "recommended: leave it to the engine; that the best is better is not certain, their \
            intervals overlap"
                .into()
        }
        Advice::Take(way) => {
            format!("recommended: {} (the middle of the flat part of the best schedule)", said(way, context))
        }
        Advice::Unknown => "recommended: nothing, no size was measured".into(),
    }
}

/// The findings as lines of JSON: each way, then the choices.
pub fn lines(found: &Findings, context: &Context<'_>, parameters: &Value) -> Outcome<Vec<Value>> {
    let measured = |own: &Measured| -> Outcome<Value> {
        let record = Record::of(BENCH, context.name, context.workers, own.samples.clone(), "s");
        let mut parameters = parameters.clone();
        parameters["chunk"] = json!(own.way.chunk);
        parameters["schedule"] = json!(own.way.schedule);
        let mut object = serde_json::to_value(Line::of(record, parameters, own.seconds))?;
        object["overhead"] = json!(own.overhead);
        Ok(object)
    };
    let mut lines = found.measured.iter().map(measured).collect::<Outcome<Vec<Value>>>()?;
    let way = |way: &Way| json!({"chunk": way.chunk, "schedule": way.schedule});
    let recommended = match &found.advice {
        Advice::Leave | Advice::Undecided => json!("leave it to the engine"),
        Advice::Take(own) => way(own),
        Advice::Unknown => Value::Null,
    };
    lines.push(json!({
        "bench": BENCH, "variant": context.name, "workers": context.workers, "units": context.units,
        "engine_chunk": context.own, "best": found.best().map(|own| way(&own.way)),
        "recommended": recommended, "machine": machine()
    }));
    Ok(lines)
}

/// The time of each schedule over chunk sizes.
pub fn chart(found: &Findings, context: &Context<'_>) -> Chart {
    let most = found.measured.iter().map(|own| own.seconds.value).fold(0.0, f64::max);
    let (scale, unit) = match most {
        small if small < 1e-3 => (1e6, "us"),
        middle if middle < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    };
    let point = |own: &&Measured| {
        let time = own.seconds;
        Some((own.way.chunk? as f64, time.value * scale, Some((time.low * scale, time.high * scale))))
    };
    let curves = found.flat.iter().map(|(schedule, _)| Curve {
        name: (*schedule).to_owned(),
        points: found.curve(schedule).iter().filter_map(point).collect(),
        is_fit: false,
    });
    Chart {
        title: format!("Chunk sizes of {}", context.name),
        axes: (context.unit.to_owned(), unit.to_owned()),
        is_log: true,
        curves: curves.collect(),
        is_bytes: false,
        marks: match &found.advice {
            Advice::Take(Way { chunk: Some(chunk), .. }) => {
                Some((*chunk as f64, format!("recommended: {chunk}")))
            }
            _ => context.own.map(|chunk| (chunk as f64, format!("the engine's own: {chunk}"))),
        }
        .into_iter()
        .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::judge;
    use super::*;

    fn shown(own: Option<usize>, engine: f64) -> (Findings, Context<'static>) {
        let ways = [(None, "stealing"), (Some(4), "stealing"), (Some(16), "stealing"), (Some(4), "static")];
        let ways = ways.map(|(chunk, schedule)| Way { chunk, schedule });
        let samples = [vec![engine; 3], vec![0.002; 3], vec![0.001; 3], vec![]];
        let context = Context { name: "triad", unit: "elements", units: 64, workers: 2, own, within: 0.05 };
        (judge(&ways, &samples, 0.05, 20, 1), context)
    }

    #[test]
    fn the_text_says_what_the_engine_chose_and_what_is_better() {
        let (found, context) = shown(Some(4), 0.002);
        let told = text(&found, &context);
        assert!(
            told.contains("the engine chose: chunks of 4 elements (16 of them), stealing: 2.00 ms +100 %")
        );
        assert!(told.contains("recommended: chunks of 16 elements, stealing"), "{told}");
        assert!(!told.contains("NaN"));
        let (found, context) = shown(None, 0.001);
        let told = text(&found, &context);
        assert!(told.contains("cannot be told") && told.contains("recommended: leave it"), "{told}");
    }

    #[test]
    fn every_line_of_json_can_be_read_back() {
        let (found, context) = shown(Some(4), 0.002);
        let lines = lines(&found, &context, &json!({"seed": 1})).unwrap();
        assert_eq!(lines.len(), 3 + 1);
        for line in &lines {
            assert!(serde_json::from_str::<Value>(&line.to_string()).unwrap().is_object());
            assert_eq!((&line["bench"], &line["variant"]), (&json!("chunk"), &json!("triad")));
        }
        assert_eq!(lines[1]["parameters"], json!({"seed": 1, "chunk": 4, "schedule": "stealing"}));
        assert_eq!(lines[3]["recommended"], json!({"chunk": 16, "schedule": "stealing"}));
        assert_eq!(lines[3]["engine_chunk"], 4);
    }

    #[test]
    fn the_picture_points_at_what_is_recommended() {
        let (found, context) = shown(Some(4), 0.002);
        let drawn = chart(&found, &context);
        assert_eq!(drawn.marks, [(16.0, "recommended: 16".into())]);
        assert_eq!(drawn.curves.len(), 1, "static has no samples");
        assert_eq!(drawn.axes.1, "ms");
    }
}
