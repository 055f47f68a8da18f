//! Curves in a picture that can be read on a phone, too.

use crate::harness::Outcome;
use std::path::Path;
use svg::Document;
use svg::node::element::{Circle, Group, Line, Polyline, Rectangle, Style, Text, Title};

const SIZE: (f64, f64) = (480.0, 300.0);
/// Left, top, right, bottom of the plane.
const EDGE: (f64, f64, f64, f64) = (62.0, 34.0, 16.0, 48.0);
/// Height of a row of the legend, which has two columns.
const ROW: f64 = 22.0;
/// Ticks of the upright axis, about.
const TICKS: f64 = 5.0;
/// Room for a label of the other one.
const LABEL: f64 = 44.0;

/// Colours that differ in lightness too, and that a page in the dark can change.
const STYLE: &str = "text{font:14px system-ui,sans-serif;fill:#222}.title{font-weight:600}.ground{fill:#fff}\
    .grid{stroke:#ddd}.axis{stroke:#777}polyline{fill:none;stroke-width:2.5}.bar{stroke-width:1.5}\
    .dashed{stroke-dasharray:6 5;stroke-width:2}.mark{stroke:#777;stroke-dasharray:2 4}\
    .c0{stroke:#1f5fbf}.c1{stroke:#d1580c}.c2{stroke:#26803a}.c3{stroke:#9a3fa8}.c4{stroke:#777}\
    circle{fill:#fff;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.ground,circle{fill:#161616}.grid{stroke:#333}\
    .c0{stroke:#7fb0ff}.c1{stroke:#ffa366}.c2{stroke:#7fd494}.c3{stroke:#dd9be8}.c4{stroke:#aaa}}";
const COLOURS: usize = 5;

/// A point of a curve, with the ends of its interval, if it has one.
pub type Placed = (f64, f64, Option<(f64, f64)>);

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its points.
    pub points: Vec<Placed>,
    /// Whether it is computed, not measured.
    pub is_fit: bool,
}

/// A picture of curves. Values that are not above 0, or no numbers, are left out.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What the axes are.
    pub axes: (String, String),
    /// Whether both axes go by ratio; else the upright one begins at 0.
    pub is_log: bool,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Places on the flat axis that are pointed at, and their names.
    pub marks: Vec<(f64, String)>,
    /// Whether the flat axis is in bytes, so that 65536 is 64 Ki.
    pub is_bytes: bool,
}

/// From values to places in the picture.
struct Plane {
    x: (f64, f64),
    y: (f64, f64),
    is_log: bool,
}

impl Plane {
    fn of(chart: &Chart) -> Plane {
        let all = || chart.curves.iter().flat_map(|curve| &curve.points);
        let ends = all().flat_map(|(_, y, interval)| interval.map_or([*y; 2], |(low, high)| [low, high]));
        let (x, y) = (range(all().map(|point| point.0)), range(ends));
        // Room on both sides, also of a single point.
        let wide = |(low, high): (f64, f64), by: f64| (low / by, high * by);
        let margin = 0.5_f64.max((x.1 - x.0) * 0.04);
        match chart.is_log {
            true => Plane { x: wide(x, 1.3), y: wide(y, 1.2), is_log: true },
            false => Plane { x: (x.0 - margin, x.1 + margin), y: (0.0, y.1 * 1.06), is_log: false },
        }
    }

    /// Where a value lies between two others.
    fn share(&self, value: f64, (low, high): (f64, f64)) -> f64 {
        match self.is_log {
            true => (value / low).ln() / (high / low).ln(),
            false => (value - low) / (high - low),
        }
    }

    fn x(&self, value: f64) -> f64 {
        EDGE.0 + self.share(value, self.x) * (SIZE.0 - EDGE.0 - EDGE.2)
    }

    fn y(&self, value: f64) -> f64 {
        SIZE.1 - EDGE.3 - self.share(value, self.y) * (SIZE.1 - EDGE.1 - EDGE.3)
    }

    /// Round values for the upright axis.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.y;
        if self.is_log {
            let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let round = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
            return round.filter(|tick| (low..=high).contains(tick)).collect();
        }
        let raw = high / TICKS;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= raw).unwrap_or(10.0) * power;
        (0..).map(|k| f64::from(k) * step).take_while(|tick| *tick <= high).collect()
    }
}

/// The least and the largest of these values above 0; 1 where there is none.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let known = values.filter(|value| value.is_finite() && *value > 0.0);
    known
        .fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        })
        .unwrap_or((1.0, 1.0))
}

/// Refuses a file that cannot be made, before anything is measured for it.
pub fn check(file: Option<&Path>) -> Outcome<()> {
    let folder = file.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    match (file, folder) {
        (Some(file), _) if file.is_dir() => {
            Err(format!("{} is a folder, and should be a file", file.display()).into())
        }
        (_, Some(folder)) if !folder.is_dir() => {
            Err(format!("there is no folder {}", folder.display()).into())
        }
        _ => Ok(()),
    }
}

/// Draws it into a file.
pub fn save(file: &Path, chart: &Chart) -> Outcome<()> {
    Ok(svg::save(file, &draw(chart)).map_err(|error| format!("cannot write {}: {error}", file.display()))?)
}

/// Draws it.
pub fn draw(chart: &Chart) -> Document {
    let plane = Plane::of(chart);
    let height = height(chart);
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, SIZE.0, height))
        .set("width", SIZE.0)
        .set("height", height)
        .set("style", "max-width:100%;height:auto")
        .set("role", "img")
        .add(Title::new(&chart.title))
        .add(Style::new(STYLE))
        .add(Rectangle::new().set("class", "ground").set("width", SIZE.0).set("height", height))
        .add(text(&chart.title, 10.0, 20.0, "start").set("class", "title"))
        .add(scales(chart, &plane));
    for (place, name) in &chart.marks {
        let x = plane.x(*place);
        // Towards the middle, where there is room.
        let (anchor, by) = if x > SIZE.0 / 2.0 { ("end", -6.0) } else { ("start", 6.0) };
        document = document.add(line((x, EDGE.1), (x, SIZE.1 - EDGE.3), "mark")).add(text(
            name,
            x + by,
            EDGE.1 + 12.0,
            anchor,
        ));
    }
    for (index, own) in chart.curves.iter().enumerate() {
        document = document.add(curve(own, index, &plane)).add(legend(own, index));
    }
    document
}

/// Lines and labels of both axes.
fn scales(chart: &Chart, plane: &Plane) -> Group {
    let (left, right, bottom) = (EDGE.0, SIZE.0 - EDGE.2, SIZE.1 - EDGE.3);
    let mut group = Group::new();
    for tick in plane.ticks() {
        let y = plane.y(tick);
        group = group.add(line((left, y), (right, y), "grid")).add(text(
            &short(tick),
            left - 6.0,
            y + 5.0,
            "end",
        ));
    }
    let measured = chart.curves.iter().filter(|curve| !curve.is_fit);
    let mut xs: Vec<f64> = measured.flat_map(|curve| curve.points.iter().map(|point| point.0)).collect();
    xs.sort_unstable_by(f64::total_cmp);
    xs.dedup();
    xs.retain(|x| x.is_finite() && *x > 0.0);
    let mut free = 0.0;
    for x in xs.iter().map(|x| (*x, plane.x(*x))) {
        if x.1 - LABEL / 2.0 >= free {
            let label = if chart.is_bytes { binary(x.0) } else { short(x.0) };
            group = group.add(text(&label, x.1, bottom + 18.0, "middle"));
            free = x.1 + LABEL / 2.0;
        }
    }
    group
        .add(line((left, bottom), (right, bottom), "axis"))
        .add(text(&chart.axes.0, (left + right) / 2.0, bottom + 38.0, "middle"))
        .add(text(&chart.axes.1, right, 20.0, "end"))
}

fn curve(curve: &Curve, index: usize, plane: &Plane) -> Group {
    let colour = format!("c{}", index % COLOURS);
    let known: Vec<_> =
        curve.points.iter().filter(|(x, y, _)| [*x, *y].iter().all(|v| v.is_finite() && *v > 0.0)).collect();
    let places: Vec<String> =
        known.iter().map(|(x, y, _)| format!("{:.1},{:.1}", plane.x(*x), plane.y(*y))).collect();
    let class = if curve.is_fit { format!("{colour} dashed") } else { colour.clone() };
    let mut group = Group::new().add(Polyline::new().set("class", class).set("points", places.join(" ")));
    for (x, y, interval) in known.iter().filter(|_| !curve.is_fit) {
        if let Some((low, high)) = interval {
            let bar = line((plane.x(*x), plane.y(*low)), (plane.x(*x), plane.y(*high)), &colour);
            group = group.add(bar.set("class", format!("{colour} bar")));
        }
        let point = Circle::new().set("cx", plane.x(*x)).set("cy", plane.y(*y)).set("r", 4);
        let title = Title::new(format!("{}: {} at {}", curve.name, short(*y), short(*x)));
        group = group.add(point.set("class", colour.as_str()).add(title));
    }
    group
}

/// The curve's name with a piece of it.
fn legend(curve: &Curve, index: usize) -> Group {
    let (column, row) = ((index % 2) as f64, (index / 2) as f64);
    let (x, y) = (16.0 + column * 240.0, SIZE.1 + row * ROW + 8.0);
    let class = format!("c{}{}", index % COLOURS, if curve.is_fit { " dashed" } else { "" });
    let piece = Polyline::new().set("class", class).set("points", format!("{x},{y} {},{y}", x + 24.0));
    Group::new().add(piece).add(text(&curve.name, x + 32.0, y + 5.0, "start"))
}

fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Line {
    let line = Line::new().set("x1", from.0).set("y1", from.1).set("x2", to.0).set("y2", to.1);
    line.set("class", class)
}

fn text(content: &str, x: f64, y: f64, anchor: &str) -> Text {
    Text::new(content).set("x", x).set("y", y).set("text-anchor", anchor)
}

/// A value as short as a tick: 65536 is 65.5k, 0.002 is 2m.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        large if large >= 1e6 => (value / 1e6, "M"),
        large if large >= 1e4 => (value / 1e3, "k"),
        small if small > 0.0 && small < 1e-6 => (value * 1e9, "n"),
        small if small > 0.0 && small < 1e-3 => (value * 1e6, "u"),
        small if small > 0.0 && small < 1e-2 => (value * 1e3, "m"),
        _ => (value, ""),
    };
    let digits = if scaled.abs() >= 100.0 || scaled.fract() == 0.0 {
        0
    } else if scaled.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// A number of bytes as short as a tick: 4096 is 4 Ki.
fn binary(bytes: f64) -> String {
    let (scaled, unit) = match bytes {
        huge if huge >= GI => (bytes / GI, " Gi"),
        large if large >= 1024.0 * 1024.0 => (bytes / (1024.0 * 1024.0), " Mi"),
        small if small >= 1024.0 => (bytes / 1024.0, " Ki"),
        _ => (bytes, ""),
    };
    format!("{}{unit}", short(scaled))
}

const GI: f64 = 1024.0 * 1024.0 * 1024.0;

/// Pictures one below the other.
pub fn stacked(charts: &[Chart]) -> Document {
    let mut document = Document::new().set("width", SIZE.0).set("style", "max-width:100%;height:auto");
    let mut top = 0.0;
    for chart in charts {
        document = document.add(draw(chart).set("y", top));
        top += height(chart);
    }
    document.set("viewBox", (0.0, 0.0, SIZE.0, top)).set("height", top)
}

/// Draws several into a file.
pub fn save_all(file: &Path, charts: &[Chart]) -> Outcome<()> {
    Ok(svg::save(file, &stacked(charts))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?)
}

fn height(chart: &Chart) -> f64 {
    SIZE.1 + chart.curves.len().div_ceil(2) as f64 * ROW + 8.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<Placed>, is_log: bool) -> Chart {
        let measured = Curve { name: "measured".into(), points: points.clone(), is_fit: false };
        let fit = Curve { name: "fit".into(), points, is_fit: true };
        Chart {
            title: "a title".into(),
            axes: ("workers".into(), "speed-up".into()),
            is_log,
            curves: vec![measured, fit],
            marks: Vec::new(),
            is_bytes: false,
        }
    }

    #[test]
    fn measured_points_have_circles_and_bars_and_fits_are_dashed() {
        let points = vec![(1.0, 1.0, Some((0.9, 1.1))), (2.0, 1.8, Some((1.7, 1.9))), (4.0, 3.0, None)];
        let text = draw(&chart(points, true)).to_string();
        let count = |what: &str| text.matches(what).count();
        assert_eq!((count("<circle"), count(" bar\""), count(" dashed\"")), (3, 2, 2));
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn nothing_and_one_point_and_no_numbers_can_be_drawn() {
        for points in [vec![], vec![(1.0, 1.0, None)], vec![(2.0, f64::NAN, None), (3.0, 0.0, None)]] {
            for is_log in [false, true] {
                let text = draw(&chart(points.clone(), is_log)).to_string();
                assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
    }

    #[test]
    fn bytes_have_binary_ticks_and_every_mark_its_name() {
        let mut own = chart(vec![(4096.0, 1.0, None), (1_048_576.0, 9.0, None)], true);
        own.is_bytes = true;
        own.marks = vec![(32768.0, "L1".into()), (524_288.0, "L2".into())];
        let text = stacked(&[own.clone(), own]).to_string();
        for part in ["4 Ki", "1 Mi", "L1", "L2"] {
            assert!(text.matches(part).count() >= 2, "{part} is not in both pictures");
        }
        assert_eq!(text.matches("<svg").count(), 3);
    }

    #[test]
    fn files_in_folders_that_are_not_there_are_refused() {
        assert!(check(Some(Path::new("/no-such-folder/a.svg"))).is_err());
        assert!(check(Some(&std::env::temp_dir())).is_err());
        assert!(check(Some(Path::new("a.svg"))).is_ok() && check(None).is_ok());
    }

    #[test]
    fn ticks_are_round() {
        let plane = Plane { x: (0.0, 1.0), y: (0.0, 2.3), is_log: false };
        assert_eq!(plane.ticks(), [0.0, 0.5, 1.0, 1.5, 2.0]);
        let plane = Plane { x: (1.0, 2.0), y: (0.4, 23.0), is_log: true };
        assert_eq!(plane.ticks(), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(
            [0.5, 4096.0, 65536.0, 4_194_304.0, 12.0, 0.25].map(short),
            ["0.5", "4096", "65.5k", "4.19M", "12", "0.25"]
        );
        assert_eq!(
            [0.0, 0.02, 0.002, 2.5e-6, 4e-9, 1.0 / 3e4].map(short),
            ["0", "0.02", "2m", "2.5u", "4n", "33.3u"]
        );
    }
}
