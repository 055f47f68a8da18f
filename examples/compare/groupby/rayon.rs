use crate::splitmix::bits;
use rayon::prelude::*;
use std::collections::BTreeMap;

const CITIES: [&str; 8] = ["Accra", "Bern", "Cusco", "Dhaka", "Evora", "Fes", "Gent", "Hanoi"];

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let row = |i: u64| format!("{},{}\n", CITIES[bits(2 * i) as usize % 8], bits(2 * i + 1) % 400);
    let text: String = (0..50_000).map(row).collect();

    let cities = text
        .par_lines()
        .try_fold(BTreeMap::<&str, (u64, u64)>::new, |mut cities, line| {
            let (city, value) = line.split_once(',').ok_or("a line without a comma")?;
            let value: u64 = value.parse().map_err(|_| "a value that is no number")?;
            let (count, sum) = cities.entry(city).or_default();
            (*count, *sum) = (*count + 1, *sum + value);
            Ok::<_, &str>(cities)
        })
        .try_reduce(BTreeMap::new, |mut cities, more| {
            for (city, (n, more)) in more {
                let (count, sum) = cities.entry(city).or_default();
                (*count, *sum) = (*count + n, *sum + more);
            }
            Ok(cities)
        })?;
    for (city, (count, sum)) in cities {
        println!("{city} {count} {:.3}", sum as f64 / count as f64);
    }
    Ok(())
}
