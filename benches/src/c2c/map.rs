//! The times of all pairs, as text and as a heat map.

use std::fmt::Write as _;
use svg::Document;
use svg::node::element::{Rectangle, Style, Text, Title};

/// Of more CPUs only shades fit a terminal.
const NUMBERS: usize = 24;
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

const CELL: f64 = 34.0;
const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#222}.on{fill:#111}.ground{fill:#fff}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.ground{fill:#161616}}";

/// Times of pairs; that of a pair is the same both ways.
#[derive(Clone, Debug)]
pub struct Matrix {
    cpus: Vec<u32>,
    /// Row by row; NaN where nothing is known.
    times: Vec<f64>,
}

impl Matrix {
    /// Of these CPUs, with nothing known.
    pub fn new(cpus: Vec<u32>) -> Matrix {
        let times = vec![f64::NAN; cpus.len() * cpus.len()];
        Matrix { cpus, times }
    }

    /// Its CPUs.
    pub fn cpus(&self) -> &[u32] {
        &self.cpus
    }

    /// Sets the time between two of them, given by their places.
    pub fn set(&mut self, a: usize, b: usize, ns: f64) {
        let count = self.cpus.len();
        self.times[a * count + b] = ns;
        self.times[b * count + a] = ns;
    }

    /// The time between two of them.
    pub fn time(&self, a: usize, b: usize) -> f64 {
        self.times[a * self.cpus.len() + b]
    }

    /// The times of all pairs, each once.
    pub fn times(&self) -> impl Iterator<Item = f64> {
        let count = self.cpus.len();
        let pairs = (0..count).flat_map(move |a| (a + 1..count).map(move |b| (a, b)));
        pairs.map(|(a, b)| self.time(a, b)).filter(|ns| !ns.is_nan())
    }

    /// How many pairs are known.
    pub fn known(&self) -> usize {
        self.times().count()
    }

    /// Where a time lies between the shortest and the longest, 0 to 1, by ratio.
    fn heat(&self, ns: f64) -> f64 {
        let least = self.times().fold(f64::INFINITY, f64::min);
        let most = self.times().fold(0.0, f64::max);
        if most <= least { 0.0 } else { (ns / least).ln() / (most / least).ln() }
    }
}

/// The matrix as text: numbers, or shades where there are many CPUs.
pub fn text(matrix: &Matrix) -> String {
    let cpus = matrix.cpus();
    let mut text = String::new();
    if cpus.len() <= NUMBERS {
        let _ = write!(text, "{:>5}", "CPU");
        for cpu in cpus {
            let _ = write!(text, "{cpu:>6}");
        }
        text.push('\n');
    }
    for (a, cpu) in cpus.iter().enumerate() {
        let _ = write!(text, "{cpu:>5}");
        if cpus.len() > NUMBERS {
            text.push(' ');
        }
        for b in 0..cpus.len() {
            let time = matrix.time(a, b);
            let _ = match (cpus.len() <= NUMBERS, time.is_nan()) {
                (true, true) => write!(text, "{:>6}", "-"),
                (true, false) => write!(text, "{time:>6.0}"),
                (false, true) => write!(text, " "),
                (false, false) => {
                    let shade = (matrix.heat(time) * (SHADES.len() - 1) as f64).round() as usize;
                    write!(text, "{}", SHADES[shade.min(SHADES.len() - 1)])
                }
            };
        }
        text.push('\n');
    }
    let least = matrix.times().fold(f64::INFINITY, f64::min);
    let most = matrix.times().fold(0.0, f64::max);
    let _ = writeln!(text, "shortest {least:.0} ns, longest {most:.0} ns");
    text
}

/// The matrix as a heat map.
pub fn draw(matrix: &Matrix) -> Document {
    let cpus = matrix.cpus();
    let side = (cpus.len() + 1) as f64 * CELL + 8.0;
    let ground = Rectangle::new().set("class", "ground").set("width", side).set("height", side);
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, side, side))
        .set("width", side)
        .set("height", side)
        .set("role", "img")
        .add(Title::new("Nanoseconds of a cache line from CPU to CPU"))
        .add(Style::new(STYLE))
        .add(ground);
    let at = |place: usize| place as f64 * CELL;
    let label = |text: String, column: usize, row: usize| {
        let (x, y) = (at(column) + CELL / 2.0, at(row) + CELL / 2.0 + 4.0);
        Text::new(text).set("x", x).set("y", y).set("text-anchor", "middle")
    };
    document = document.add(label("CPU".into(), 0, 0));
    for (a, cpu) in cpus.iter().enumerate() {
        document = document.add(label(cpu.to_string(), a + 1, 0)).add(label(cpu.to_string(), 0, a + 1));
        for b in (0..cpus.len()).filter(|b| *b != a) {
            let time = matrix.time(a, b);
            let heat = matrix.heat(time);
            // From pale yellow to red, so that black numbers can be read on all.
            let fill = format!("hsl({:.0},85%,{:.0}%)", 55.0 - 50.0 * heat, 85.0 - 25.0 * heat);
            let cell = Rectangle::new()
                .set("x", at(b + 1) + 1.0)
                .set("y", at(a + 1) + 1.0)
                .set("width", CELL - 2.0)
                .set("height", CELL - 2.0)
                .set("rx", 3)
                .set("fill", fill);
            let title = Title::new(format!("CPUs {cpu} and {}: {time:.1} ns", cpus[b]));
            document = document.add(cell.add(title));
            document = document.add(label(format!("{time:.0}"), b + 1, a + 1).set("class", "on"));
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cpus_have_numbers_and_many_have_shades() {
        let filled = |count: u32| {
            let mut matrix = Matrix::new((0..count).collect());
            for a in 0..count as usize {
                for b in a + 1..count as usize {
                    matrix.set(a, b, if a == 0 { 100.0 } else { 20.0 });
                }
            }
            matrix
        };
        let few = text(&filled(3));
        assert_eq!(
            few,
            "  CPU     0     1     2\n    0     -   100   100\n    1   100     -    20\n    2   100    20     -\nshortest 20 ns, longest 100 ns\n"
        );
        let many = text(&filled(30));
        assert!(many.lines().next().unwrap().ends_with(&"█".repeat(29)) && many.contains("·"));
        let drawn = draw(&filled(3)).to_string();
        assert_eq!((drawn.matches("rx=\"3\"").count(), drawn.matches("class=\"on\"").count()), (6, 6));
    }
}
