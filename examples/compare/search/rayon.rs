use crate::splitmix::unit;
use rayon::prelude::*;

pub fn main() {
    let x: Vec<f64> = (0..500_000).into_par_iter().map(unit).collect();
    match x.par_iter().position_first(|&x| x > 0.9999) {
        Some(first) => println!("the first is x[{first}] = {:.6}", x[first]),
        None => println!("there is none"),
    }
    println!("any below 0: {}", x.par_iter().any(|&x| x < 0.0));
    println!("all below 1: {}", x.par_iter().all(|&x| x < 1.0));
}
