//! Scaling and the roofs as pictures.

use super::peak::Peak;
use super::roof::Position;
use super::show::Scaling;
use crate::sizing::chart::{Chart, Curve};

/// Points of a roof.
const SMOOTH: i32 = 40;

/// How many times the work of the smallest size is done in its time, for each kind of scaling.
pub fn gains(name: &str, scalings: &[Scaling<'_>]) -> Chart {
    let mut curves: Vec<Curve> = scalings
        .iter()
        .map(|own| Curve {
            name: if own.is_weak { "weak".into() } else { "strong".into() },
            points: own.rows.iter().map(|row| (row.size as f64, own.gain(row).0, None)).collect(),
            is_fit: false,
        })
        .collect();
    if let Some(own) = scalings.first() {
        let linear = own.rows.iter().map(|row| (row.size as f64, own.gain(row).1, None));
        curves.push(Curve { name: "linear".into(), points: linear.collect(), is_fit: true });
    }
    Chart {
        title: format!("Scaling of {name}"),
        axes: ("workers".into(), "work in the same time".into()),
        is_log: false,
        is_bytes: false,
        curves,
        marks: Vec::new(),
    }
}

/// The roofs, and the workload where it has both operations and bytes.
pub fn roofline(name: &str, peak: &Peak, position: Option<&Position>) -> Chart {
    let own = position.filter(|own| own.intensity > 0.0 && own.intensity.is_finite());
    let ridge = peak.flops / peak.bytes;
    let ends = own.map_or((ridge, ridge), |own| (ridge.min(own.intensity), ridge.max(own.intensity)));
    let (low, high) = (ends.0 / 8.0, ends.1 * 8.0);
    let roof = |intensity: f64| peak.flops.min(peak.bytes * intensity) / 1e9;
    let at = |k: i32| low * (high / low).powf(f64::from(k) / f64::from(SMOOTH));
    let points = (0..=SMOOTH).map(|k| (at(k), roof(at(k)), None)).collect();
    let mut curves = vec![Curve { name: "roofs".into(), points, is_fit: true }];
    if let Some(own) = own {
        let reached = |share: f64| share * roof(own.intensity);
        let interval = Some((reached(own.share.low), reached(own.share.high)));
        let point = (own.intensity, reached(own.share.value), interval);
        curves.push(Curve { name: name.into(), points: vec![point], is_fit: false });
    }
    Chart {
        title: format!("{name} under the roofs"),
        axes: ("flop per byte".into(), "Gflop/s".into()),
        is_log: true,
        is_bytes: false,
        curves,
        marks: vec![(ridge, "the roofs meet".into())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::roof::Bound;
    use crate::sizing::bootstrap::Interval;
    use crate::sizing::chart::draw;

    #[test]
    fn the_workload_lies_at_its_share_of_the_roof() {
        let peak = Peak { flops: 1e11, bytes: 2e10, mib: 64 };
        let share = Interval { value: 0.5, low: 0.4, high: 0.6 };
        let own = Position { intensity: 1.0, bound: Bound::Memory, least: 0.1, share };
        let chart = roofline("triad", &peak, Some(&own));
        assert_eq!(chart.curves[1].points, [(1.0, 10.0, Some((8.0, 12.0)))]);
        let highest = chart.curves[0].points.iter().map(|point| point.1).fold(0.0, f64::max);
        assert!((highest - 100.0).abs() < 1e-9 && chart.marks[0].0 == 5.0);
        for intensity in [0.0, f64::INFINITY] {
            let chart = roofline("x", &peak, Some(&Position { intensity, ..own }));
            assert!(chart.curves.len() == 1 && !draw(&chart).to_string().contains("NaN"));
        }
        assert!(!draw(&gains("x", &[])).to_string().contains("NaN"));
    }
}
