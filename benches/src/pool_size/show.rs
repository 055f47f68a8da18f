//! Findings as text, as lines of JSON and as a picture.

use super::findings::{Findings, Fitted, Row};
use crate::harness::Outcome;
use crate::report::Record;
use crate::sizing::bootstrap::Interval;
use crate::sizing::chart::{Chart, Curve};
use crate::sizing::line::{Line, machine, number, seconds};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The name of its records.
pub const BENCH: &str = "pool_size";

/// Points of a fitted curve.
const SMOOTH: usize = 60;

/// The findings as text.
pub fn text(found: &Findings, within: f64) -> String {
    let mut text = format!(
        "  {:>7} {:>12}   {:<24} {:>8}   {:<14} {:>10} {:>11} {:>5}\n",
        "workers", "seconds", "95 % interval", "speed-up", "95 % interval", "efficiency", "Karp-Flatt", "n"
    );
    for row in &found.rows {
        let Row { seconds: time, speedup, .. } = row;
        let _ = writeln!(
            text,
            "  {:>7} {:>12}   {:<24} {:>8.2}   {:<14} {:>8.0} % {:>11} {:>5}",
            row.size,
            seconds(time.value),
            format!("{} to {}", seconds(time.low), seconds(time.high)),
            speedup.value,
            format!("{:.2} to {:.2}", speedup.low, speedup.high),
            row.efficiency * 100.0,
            row.serial.map_or("-".into(), |serial| format!("{serial:.3}")),
            row.samples.len()
        );
    }
    let _ = writeln!(text, "  {}", amdahl(found));
    usl(found).iter().for_each(|line| {
        let _ = writeln!(text, "  {line}");
    });
    if !found.left_out.is_empty() {
        let _ = writeln!(text, "  left out of the fits: {:?}, more workers than cores", found.left_out);
    }
    let _ = writeln!(text, "  {}", recommended(found, within));
    let best = found.recommended.and_then(|(_, best)| found.rows.iter().find(|row| row.size == best));
    if let (Some(best), Some(first)) = (best, found.rows.first())
        && best.size != first.size
        && best.speedup.low <= 1.0
    {
        let _ = writeln!(
            text,
            "  that {} are faster than {} at all is not certain: the interval of the speed-up reaches down to {:.2}",
            best.size, first.size, best.speedup.low
        );
    }
    text
}

fn amdahl(found: &Findings) -> String {
    match &found.amdahl {
        Err(why) => format!("Amdahl's law: cannot be fitted: {why}"),
        Ok(Fitted { law, intervals: serial, worst }) => {
            let limit = match law.limit() {
                limit if limit > 1e4 => "no limit of the speed-up in sight".to_owned(),
                limit => format!("no pool is more than {limit:.1} x as fast"),
            };
            format!(
                "Amdahl's law, off by {:.1} % at most: serial share {:.4}{}; {limit}",
                worst * 100.0,
                law.serial,
                range(serial.as_ref(), 4)
            )
        }
    }
}

fn usl(found: &Findings) -> Vec<String> {
    match &found.usl {
        Err(why) => vec![format!("universal scalability law: cannot be fitted: {why}")],
        Ok(Fitted { law, intervals, worst }) => {
            let [sigma, kappa, peak] = intervals.map_or([None; 3], |all| all.map(Some));
            let peak = match law.peak() {
                none if none.is_infinite() => "no peak: more workers never slow it down".to_owned(),
                size => format!("peak at {size:.0} workers{}", range(peak.as_ref(), 0)),
            };
            let largest = found.rows.iter().map(|row| row.size).max().unwrap_or(0) as f64;
            let far = law.peak().is_finite() && law.peak() > 2.0 * largest;
            vec![
                format!(
                    "universal scalability law, off by {:.1} % at most: sigma (contention) {:.4}{}, kappa (coherence) \
                     {:.6}{}",
                    worst * 100.0,
                    law.sigma,
                    range(sigma.as_ref(), 4),
                    law.kappa,
                    range(kappa.as_ref(), 6)
                ),
                format!("{peak}{}", if far { ", far beyond what was measured: a guess" } else { "" }),
            ]
        }
    }
}

fn range(interval: Option<&Interval>, digits: usize) -> String {
    let end = |value: f64| if value.is_finite() { format!("{value:.digits$}") } else { "none".into() };
    interval.map_or(" (no interval)".into(), |own| format!(" ({} to {})", end(own.low), end(own.high)))
}

fn recommended(found: &Findings, within: f64) -> String {
    match found.recommended {
        None => "recommended: nothing, no size was measured".into(),
        Some((size, best)) => format!(
            "recommended: {size} worker{} (the smallest size within {:.0} % of the best, which is {best})",
            if size == 1 { "" } else { "s" },
            within * 100.0
        ),
    }
}

/// The findings as lines of JSON: each size, both fits, the recommendation.
pub fn lines(found: &Findings, name: &str, parameters: &Value) -> Outcome<Vec<Value>> {
    let size = |row: &Row| -> Outcome<Value> {
        let record = Record::of(BENCH, name, row.size, row.samples.clone(), "s");
        let mut object = serde_json::to_value(Line::of(record, parameters.clone(), row.seconds))?;
        object["speedup"] = json!({"value": row.speedup.value, "interval": pair(&row.speedup)});
        object["efficiency"] = json!(row.efficiency);
        object["karp_flatt"] = json!(row.serial);
        Ok(object)
    };
    let mut lines = found.rows.iter().map(size).collect::<Outcome<Vec<Value>>>()?;
    let fit = |law: &str, what: Value| json!({"bench": BENCH, "variant": name, "fit": law, "found": what, "machine": machine()});
    let cannot = |why: String| json!({"cannot": why});
    let amdahl = match &found.amdahl {
        Err(why) => cannot(why.to_string()),
        Ok(Fitted { law, intervals: serial, worst }) => json!({
            "serial": law.serial, "interval": serial.as_ref().map(pair), "limit": number(law.limit()), "worst": worst
        }),
    };
    lines.push(fit("amdahl", amdahl));
    let usl = match &found.usl {
        Err(why) => cannot(why.to_string()),
        Ok(Fitted { law, intervals, worst }) => {
            let [sigma, kappa, peak] =
                intervals.map_or([const { Value::Null }; 3], |all| all.map(|own| pair(&own)));
            json!({
                "sigma": law.sigma, "sigma_interval": sigma, "kappa": law.kappa, "kappa_interval": kappa,
                "peak": number(law.peak()), "peak_interval": peak, "worst": worst
            })
        }
    };
    lines.push(fit("usl", usl));
    let recommended = found.recommended.map(|(size, best)| json!({"workers": size, "best": best}));
    lines.push(json!({
        "bench": BENCH, "variant": name, "recommended": recommended, "machine": machine()
    }));
    Ok(lines)
}

fn pair(interval: &Interval) -> Value {
    json!([number(interval.low), number(interval.high)])
}

/// Speed-ups with their intervals, what is linear, and what the laws say.
pub fn chart(found: &Findings, name: &str) -> Chart {
    let first = found.rows.first().map_or(1, |row| row.size) as f64;
    let last = found.rows.last().map_or(1, |row| row.size) as f64;
    let base = found.rows.first().map_or(1.0, |row| row.seconds.value);
    let measured = found
        .rows
        .iter()
        .map(|row| (row.size as f64, row.speedup.value, Some((row.speedup.low, row.speedup.high))));
    let mut curves =
        vec![Curve { name: "measured, 95 % interval".into(), points: measured.collect(), is_fit: false }];
    let mut fit = |name: &str, speedup: &dyn Fn(f64) -> f64| {
        let size = |k: usize| first + (last - first) * k as f64 / SMOOTH as f64;
        let points = (0..=SMOOTH).map(|k| (size(k), speedup(size(k)), None)).collect();
        curves.push(Curve { name: name.into(), points, is_fit: true });
    };
    fit("linear", &|size| size / first);
    if let Ok(Fitted { law, .. }) = &found.amdahl {
        fit("Amdahl", &|size| base / law.seconds(size));
    }
    if let Ok(Fitted { law, .. }) = &found.usl {
        fit("universal scalability", &|size| base / law.seconds(size));
    }
    Chart {
        title: format!("Speed-up of {name}"),
        axes: ("workers".into(), format!("over {first:.0} worker{}", if first > 1.0 { "s" } else { "" })),
        is_log: false,
        curves,
        is_bytes: false,
        marks: found
            .recommended
            .map(|(size, _)| (size as f64, format!("recommended: {size}")))
            .into_iter()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::{Rule, judge};
    use super::*;
    use crate::sizing::chart::draw;
    use crate::sizing::fit::Usl;

    fn found(sizes: &[usize], cores: usize, spread: f64, law: impl Fn(f64) -> f64) -> Findings {
        let noise = [1.0 - spread, 1.0, 1.0 + spread];
        let samples: Vec<Vec<f64>> =
            sizes.iter().map(|size| noise.map(|noise| noise * law(*size as f64)).to_vec()).collect();
        judge(sizes, &samples, Rule { cores, within: 0.05, resamples: 100, seed: 1 })
    }

    #[test]
    fn a_curve_with_a_peak_has_both_laws_and_a_picture_of_them() {
        let law = Usl { one: 0.01, sigma: 0.02, kappa: 0.004 };
        let own = found(&[1, 2, 4, 8, 16, 32], 16, 0.01, |n| law.seconds(n));
        let told = text(&own, 0.05);
        for part in
            ["% at most: serial share", "sigma (contention) 0.0", "kappa (coherence) 0.00", "peak at 1"]
        {
            assert!(told.contains(part), "{part} is not in\n{told}");
        }
        assert!(told.contains("left out of the fits: [32]") && !told.contains("NaN"), "{told}");
        let picture = chart(&own, "heat");
        assert_eq!(picture.curves.len(), 4);
        assert!(!draw(&picture).to_string().contains("NaN"));
    }

    #[test]
    fn every_line_of_json_can_be_read_back() {
        let law = Usl { one: 0.01, sigma: 0.02, kappa: 0.0 };
        let own = found(&[1, 2, 4, 8], 8, 0.01, |n| law.seconds(n));
        let lines = lines(&own, "heat", &json!({"elements": 7})).unwrap();
        assert_eq!(lines.len(), 4 + 3);
        for line in &lines {
            let text = line.to_string();
            assert!(!text.contains('\n') && serde_json::from_str::<Value>(&text).unwrap().is_object());
            assert_eq!((&line["bench"], &line["variant"]), (&json!("pool_size"), &json!("heat")));
        }
        assert_eq!(
            (&lines[1]["workers"], &lines[1]["n"], &lines[1]["unit"]),
            (&json!(2), &json!(3), &json!("s"))
        );
        assert_eq!(lines[1]["parameters"]["elements"], 7);
        assert!((lines[4]["found"]["serial"].as_f64().unwrap() - 0.02).abs() < 1e-6);
        assert!(lines[5]["found"]["peak"].is_null(), "no peak: {}", lines[5]);
        assert_eq!(lines[6]["recommended"], json!({"workers": 8, "best": 8}));
    }

    #[test]
    fn what_is_not_certain_and_what_cannot_be_fitted_is_told() {
        let told = text(&found(&[1, 2], 2, 0.5, |n| 1.0 - n / 100.0), 0.001);
        assert!(told.contains("that 2 are faster than 1 at all is not certain"), "{told}");
        assert!(told.contains("Amdahl's law: cannot be fitted: 2 sizes"), "{told}");
        let told = text(&found(&[], 2, 0.0, |_| 1.0), 0.05);
        assert!(told.contains("recommended: nothing"), "{told}");
    }
}
