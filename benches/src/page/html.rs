//! The page: one file with everything in it, for light and dark, wide and narrow screens.

use super::bars;
use super::lines::{Figure, Group, Run};
use crate::report::shown;
use crate::sizing::chart::{self, Chart, Curve, Placed};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// More bars than this say less than a table.
const BARS: usize = 16;
/// A longer table is folded.
const ROWS: usize = 24;
/// From here, a reader should not believe the figures.
const NOISY: f64 = 0.05;

const STYLE: &str = ":root{color-scheme:light dark;--ink:#222;--ground:#fff;--soft:#666;--line:#ddd;--box:#f5f6f8;--warn:#8a4b00}\
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--ground:#161616;--soft:#999;--line:#333;--box:#1f2125;--warn:#ffb366}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:1060px;padding:1rem;font:16px/1.5 system-ui,sans-serif;\
color:var(--ink);background:var(--ground)}h1{font-size:1.6rem;line-height:1.25}h2{margin-top:2.5rem;border-top:1px solid var(--line);\
padding-top:1rem;overflow-wrap:anywhere}h3{margin-bottom:.3rem}pre,code{font:13px/1.45 ui-monospace,monospace}pre{background:var(--box);\
padding:.7rem;overflow-x:auto;border-radius:6px}.soft{color:var(--soft)}.warn{color:var(--warn);font-weight:600}\
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:1rem 2rem;align-items:start}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px}td,th{padding:.2rem .7rem .2rem 0;text-align:right;\
white-space:nowrap;border-bottom:1px solid var(--line)}td:first-child,th:first-child{text-align:left}th{font-weight:600}\
summary{cursor:pointer}svg{display:block;max-width:100%}.facts{margin:.3rem 0;font-size:14px;overflow-wrap:anywhere}\
.facts>span{margin-right:1.2em}";

/// The whole page.
pub fn page(title: &str, runs: &[Run]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{0}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n\
         <p class=\"soft\">Made by <code>phalanx-bench report</code>. Figures are medians; the line on a bar is the \
         95 % interval of the median where a table says so, else from the 5th to the 95th percentile of the samples. \
         Compare figures within a run, not between runs.</p>\n",
        escaped(title)
    );
    runs.iter().for_each(|run| text += &section(run));
    text + "</body>\n</html>\n"
}

fn section(run: &Run) -> String {
    let command = run.head("command").unwrap_or("a run whose command is not recorded");
    let name = command.split(' ').find(|word| !word.starts_with('-') && !word.contains("phalanx-bench"));
    let mut text =
        format!("<h2>{}</h2>\n<pre>{}</pre>\n", escaped(name.unwrap_or("results")), escaped(command));
    let facts: Vec<String> =
        ["machine", "date", "build"].iter().filter_map(|name| run.head(name)).map(escaped).collect();
    if !facts.is_empty() {
        let _ = writeln!(text, "<p>{}</p>", facts.join("; "));
    }
    if let Some((busy, stolen)) = run.foreign {
        let class = if busy + stolen > NOISY { "warn" } else { "soft" };
        let noisy = if class == "warn" { "This run was noisy: " } else { "" };
        let _ = writeln!(
            text,
            "<p class=\"{class}\">{noisy}other programs took {:.0} % of the CPUs meanwhile, the hypervisor {:.0} %.</p>",
            busy * 100.0,
            stolen * 100.0
        );
    }
    if let Some(tree) = run.head("topology") {
        let _ =
            writeln!(text, "<details><summary>The machine</summary><pre>{}</pre></details>", escaped(tree));
    }
    if run.groups.iter().all(|group| group.figures.is_empty() && group.others.is_empty()) {
        text += "<p>No results.</p>\n";
    }
    run.groups.iter().for_each(|group| text += &part(group));
    text
}

/// One bench: a picture beside a table, and what is no figure.
fn part(group: &Group) -> String {
    let mut text = format!("<h3>{}</h3>\n", escaped(&group.bench));
    if !group.figures.is_empty() {
        let picture = picture(group).map_or(String::new(), |svg| format!("<div>{svg}</div>\n"));
        let _ = writeln!(
            text,
            "<div class=\"two\">\n{picture}<div class=\"wide\">{}</div>\n</div>",
            table(&group.figures)
        );
    }
    if !group.others.is_empty() {
        text += &findings(&group.others);
    }
    text
}

/// Curves where figures are over sizes or workers, bars else.
fn picture(group: &Group) -> Option<String> {
    let figures = &group.figures;
    let differ = |of: &dyn Fn(&Figure) -> f64| figures.iter().any(|own| of(own) != of(&figures[0]));
    let is_one_unit = figures.iter().all(|own| own.unit == figures[0].unit);
    if !is_one_unit {
        return None;
    }
    if figures.iter().all(|own| own.bytes.is_some()) && differ(&|own| own.bytes.unwrap_or(0.0)) {
        let by =
            |own: &Figure| (format!("{}, {} workers", own.variant, own.workers), own.bytes.unwrap_or(0.0));
        return Some(curves(group, "bytes", true, &by));
    }
    if differ(&|own| own.workers) && has_repeated_variant(figures) {
        return Some(curves(group, "workers", false, &|own: &Figure| (own.variant.clone(), own.workers)));
    }
    (figures.len() <= BARS).then(|| bars::draw(&group.bench, figures).to_string())
}

fn has_repeated_variant(figures: &[Figure]) -> bool {
    let count = |own: &Figure| figures.iter().filter(|other| other.variant == own.variant).count();
    figures.iter().any(|own| count(own) > 1)
}

/// Times for an axis in a unit that fits the longest of them: how many of it one of theirs is, and its name.
fn axis_unit(figures: &[Figure]) -> (f64, String) {
    let most = figures.iter().map(|own| own.range.map_or(own.median, |(_, high)| high)).fold(0.0, f64::max);
    let unit = &figures[0].unit;
    let of = |factor: f64, unit: &str| (factor, unit.to_owned());
    match unit.as_str() {
        "s" if most < 1e-3 => of(1e6, "us"),
        "s" if most < 1.0 => of(1e3, "ms"),
        "ns" if most >= 1e6 => of(1e-6, "ms"),
        "ns" if most >= 1e4 => of(1e-3, "us"),
        _ => of(1.0, unit),
    }
}

fn curves(group: &Group, axis: &str, is_bytes: bool, by: &dyn Fn(&Figure) -> (String, f64)) -> String {
    let mut curves: Vec<Curve> = Vec::new();
    let (factor, unit) = axis_unit(&group.figures);
    for own in &group.figures {
        let (name, x) = by(own);
        let point: Placed =
            (x, own.median * factor, own.range.map(|(low, high)| (low * factor, high * factor)));
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name, points: vec![point], is_fit: false }),
        }
    }
    let chart = Chart {
        title: group.bench.clone(),
        axes: (axis.into(), unit),
        is_log: is_bytes,
        is_bytes,
        curves,
        marks: Vec::new(),
    };
    chart::draw(&chart).to_string()
}

fn table(figures: &[Figure]) -> String {
    let has_bytes = figures.iter().any(|own| own.bytes.is_some());
    let range =
        if figures.iter().all(|own| own.is_interval) { "95 % interval" } else { "5th to 95th percentile" };
    let mut text = format!(
        "<table><tr><th>variant</th><th>workers</th>{}<th>median</th><th>{range}</th><th>n</th></tr>\n",
        if has_bytes { "<th>KiB</th>" } else { "" }
    );
    for own in figures {
        let spread = own.range.map_or("-".to_owned(), |(low, high)| {
            format!("{} to {}", shown(low, &own.unit), shown(high, &own.unit))
        });
        let bytes = own.bytes.map_or(String::new(), |bytes| format!("<td>{}</td>", bytes / 1024.0));
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td>{bytes}<td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&own.variant),
            own.workers,
            escaped(&shown(own.median, &own.unit)),
            escaped(&spread),
            own.n.map_or("-".into(), |n| n.to_string())
        );
    }
    text += "</table>";
    match figures.len() > ROWS {
        true => format!("<details><summary>All {} figures</summary>{text}</details>", figures.len()),
        false => text,
    }
}

/// Lines without a figure: a paragraph each, which wraps where the screen ends.
fn findings(lines: &[Map<String, Value>]) -> String {
    let mut text = String::new();
    for line in lines {
        text += "<p class=\"facts\">";
        for (name, value) in line.iter().filter(|(name, _)| !["bench", "machine"].contains(&name.as_str())) {
            let _ = write!(
                text,
                "<span><span class=\"soft\">{}</span> {}</span> ",
                escaped(name),
                escaped(&plain(value))
            );
        }
        text += "</p>\n";
    }
    text
}

/// A value in words: what is in objects and lists without their signs.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        Value::Object(fields) => {
            fields.iter().map(|(name, own)| format!("{name} {}", plain(own))).collect::<Vec<_>>().join(", ")
        }
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::lines::read;
    use super::*;

    const LINES: &str = r#"{"bench":"run","command":"phalanx-bench launch <x> --json","machine":"a & b","date":"2026-11-27"}
{"bench":"launch_empty","variant":"phalanx-processes","workers":2,"n":3,"median":1500,"p5":1000,"p95":2000,"unit":"ns"}
{"bench":"launch_empty","variant":"rayon","workers":2,"n":3,"median":5500,"p5":1000,"p95":2000,"unit":"ns"}
{"bench":"pool_size","variant":"triad","workers":1,"n":3,"median":2,"p5":1,"p95":2,"unit":"s","interval":[1,2]}
{"bench":"pool_size","variant":"triad","workers":2,"n":3,"median":1,"p5":1,"p95":2,"unit":"s","interval":[1,2]}
{"bench":"memory_latency","variant":"base","workers":1,"n":3,"median":2,"p5":1,"p95":2,"unit":"ns","parameters":{"bytes":4096}}
{"bench":"memory_latency","variant":"base","workers":1,"n":3,"median":9,"p5":1,"p95":2,"unit":"ns","parameters":{"bytes":1048576}}
{"bench":"memory_levels","finding":"L2 <is> gone","mismatch":true}
{"bench":"launch","foreign":{"busy":0.5,"stolen":0.0}}"#;

    #[test]
    fn a_page_has_pictures_tables_and_the_command_and_needs_nothing_else() {
        let text = page("Results", &read("a", LINES).unwrap());
        assert_eq!(text.matches("<svg").count(), 3);
        assert_eq!(text.matches("<table").count(), 3);
        assert_eq!(text.matches("<polyline").count(), 4, "two curves with their legends");
        for part in [
            "launch &lt;x&gt; --json",
            "a &amp; b",
            "L2 &lt;is&gt; gone",
            "was noisy",
            "prefers-color-scheme",
        ] {
            assert!(text.contains(part), "{part}");
        }
        // SVG names its namespace; nothing is fetched.
        let without = text.replace("http://www.w3.org/2000/svg", "");
        for network in ["http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!without.contains(network), "{network}");
        }
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn axes_have_a_unit_that_fits_and_facts_are_words() {
        let figure = |median: f64, unit: &str| Figure {
            variant: "a".into(),
            workers: 1.0,
            median,
            range: None,
            is_interval: false,
            n: None,
            unit: unit.into(),
            bytes: None,
        };
        let of = |medians: [f64; 2], unit| axis_unit(&medians.map(|median| figure(median, unit))).1;
        assert_eq!(of([1e-5, 0.02], "s"), "ms");
        assert_eq!((of([1e-5, 2e-4], "s"), of([1e-5, 2.0], "s")), ("us".into(), "s".into()));
        assert_eq!((of([1.0, 2e7], "ns"), of([1.0, 20.0], "GB/s")), ("ms".into(), "GB/s".into()));
        let value = serde_json::json!({"best": {"chunk": 4, "of": [1, "two"]}, "none": null});
        assert_eq!(plain(&value), "best chunk 4, of 1, two, none -");
    }

    #[test]
    fn pages_of_nothing_say_so() {
        assert!(
            page("x", &read("a", "{\"bench\":\"run\",\"command\":\"c\"}").unwrap()).contains("No results.")
        );
    }
}
