use crate::splitmix::bits;
use rayon::prelude::*;
use std::collections::BTreeMap;

const CITIES: [&str; 8] = ["Accra", "Bern", "Cusco", "Dhaka", "Evora", "Fes", "Gent", "Hanoi"];

/// Count and sum by name.
type Totals<'a> = BTreeMap<&'a str, (u64, u64)>;

fn add<'a>(totals: &mut Totals<'a>, city: &'a str, count: u64, sum: u64) {
    let total = totals.entry(city).or_default();
    *total = (total.0 + count, total.1 + sum);
}

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let row = |i: u64| format!("{},{}\n", CITIES[bits(2 * i) as usize % 8], bits(2 * i + 1) % 400);
    let text: String = (0..50_000).map(row).collect();

    let totals = text
        .par_lines()
        .try_fold(Totals::new, |mut totals, line| {
            let (city, value) = line.split_once(',').ok_or("a line without a comma")?;
            add(&mut totals, city, 1, value.parse().map_err(|_| "a value that is no number")?);
            Ok::<_, &str>(totals)
        })
        .try_reduce(Totals::new, |mut totals, more| {
            more.iter().for_each(|(city, &(count, sum))| add(&mut totals, city, count, sum));
            Ok(totals)
        })?;
    for (city, (count, sum)) in totals {
        println!("{city} {count} {:.3}", sum as f64 / count as f64);
    }
    Ok(())
}
