use rayon::prelude::*;

struct Config {
    speed: f64,
    drag: f64,
    step: f64,
    /// Against the shot, by layers of 100 m.
    winds: Vec<f64>,
}

/// How far a shot at that angle goes, in metres.
fn distance(degrees: f64, config: &Config) -> f64 {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (mut x, mut y, mut vx, mut vy) = (0.0, 0.0, config.speed * cos, config.speed * sin);
    while y >= 0.0 {
        let layer = (y / 100.0) as usize;
        let wind = config.winds[layer.min(config.winds.len() - 1)];
        let speed = (vx + wind).hypot(vy);
        vx -= config.step * config.drag * speed * (vx + wind);
        vy -= config.step * (9.81 + config.drag * speed * vy);
        (x, y) = (x + config.step * vx, y + config.step * vy);
    }
    x
}

pub fn main() {
    let config = Config { speed: 200.0, drag: 0.001, step: 0.05, winds: vec![2.0, 5.0, 9.0, 14.0] };
    let angles = (0..360).into_par_iter().map(|i| f64::from(i) / 4.0);
    let best = angles.map(|angle| (angle, distance(angle, &config))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((best, farthest)) = best {
        println!("{best:.2} degrees reach {farthest:.3} m");
    }
}
