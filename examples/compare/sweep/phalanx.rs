use phalanx::{Captured, Pool};
use phalanx_kernels::reduce::argmax;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
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

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let config = Config { speed: 200.0, drag: 0.001, step: 0.05, winds: vec![2.0, 5.0, 9.0, 14.0] };
    let config = Captured::new(&config)?;
    let distances = pool.from_fn_with(360, &config, |i, config| distance(i as f64 / 4.0, config))?;
    let best = argmax(&pool, &distances)?;
    println!("{:.2} degrees reach {:.3} m", best as f64 / 4.0, distances.as_slice()[best]);
    Ok(())
}
