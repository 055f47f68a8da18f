//! A bar for each variant, with what most samples lie in.

use super::lines::Figure;
use crate::report::shown;
use svg::Document;
use svg::node::element::{Line, Rectangle, Style, Text, Title};

const WIDTH: f64 = 480.0;
const ROW: f64 = 44.0;
/// Room for values at the right.
const VALUE: f64 = 104.0;

const STYLE: &str = "text{font:14px system-ui,sans-serif;fill:#222}.ours{fill:#1f5fbf}.peer{fill:#b9c3d0}\
    .spread{stroke:#555;stroke-width:1.5}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.ours{fill:#7fb0ff}.peer{fill:#4b5563}.spread{stroke:#bbb}}";

/// Draws figures of one unit. The longest bar, spread included, is as long as there is room.
pub fn draw(title: &str, figures: &[Figure]) -> Document {
    let reach = |own: &Figure| own.range.map_or(own.median, |(_, high)| high.max(own.median));
    // A few samples that took very long would make all bars short.
    let medians = figures.iter().map(|own| own.median).fold(0.0, f64::max);
    let most = figures.iter().map(reach).fold(0.0, f64::max).min(medians * 2.0);
    let x = |value: f64| match most > 0.0 && value.is_finite() {
        true => (value / most).clamp(0.0, 1.0) * (WIDTH - VALUE),
        false => 0.0,
    };
    let height = figures.len() as f64 * ROW + 4.0;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("style", "max-width:100%;height:auto")
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(STYLE));
    for (at, own) in figures.iter().enumerate() {
        let top = at as f64 * ROW;
        let class = if own.variant.starts_with("phalanx") { "ours" } else { "peer" };
        let bar = Rectangle::new()
            .set("class", class)
            .set("y", top + 20.0)
            .set("width", x(own.median).max(1.0))
            .set("height", 16)
            .set("rx", 2);
        document = document.add(Text::new(&own.variant).set("x", 0).set("y", top + 14.0)).add(bar);
        if let Some((low, high)) = own.range {
            let y = top + 28.0;
            let spread = Line::new().set("class", "spread").set("x1", x(low)).set("x2", x(high));
            document = document.add(spread.set("y1", y).set("y2", y));
        }
        let value = Text::new(shown(own.median, &own.unit)).set("x", WIDTH).set("y", top + 33.0);
        document = document.add(value.set("text-anchor", "end"));
    }
    document
}
