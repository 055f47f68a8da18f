use crate::splitmix::bits;
use phalanx::Pool;
use std::collections::BTreeMap;

const CITIES: [&str; 8] = ["Accra", "Bern", "Cusco", "Dhaka", "Evora", "Fes", "Gent", "Hanoi"];

/// Count and sum by name.
type Totals = BTreeMap<String, (u64, u64)>;

fn add(totals: &mut Totals, city: &str, count: u64, sum: u64) {
    let total = totals.entry(city.to_owned()).or_default();
    *total = (total.0 + count, total.1 + sum);
}

pub fn main() -> Result<(), phalanx::Error> {
    let row = |i: u64| format!("{},{}\n", CITIES[bits(2 * i) as usize % 8], bits(2 * i + 1) % 400);
    let text: String = (0..50_000).map(row).collect();

    let pool = Pool::new()?;
    let bytes = pool.from_slice(text.as_bytes())?;
    // Every part ends with a line.
    let last_end = |bytes: &[u8]| bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let cuts: Vec<usize> = (0..=64).map(|i| last_end(&bytes.as_slice()[..bytes.len() * i / 64])).collect();
    let totals = pool.try_fold(
        bytes.split_at(&cuts),
        Totals::new,
        |totals, part| {
            for line in String::from_utf8_lossy(part).lines() {
                let (city, value) = line.split_once(',').ok_or("a line without a comma")?;
                add(totals, city, 1, value.parse().map_err(|_| "a value that is no number")?);
            }
            Ok::<(), String>(())
        },
        |totals, more| more.iter().for_each(|(city, &(count, sum))| add(totals, city, count, sum)),
    )?;
    for (city, (count, sum)) in totals {
        println!("{city} {count} {:.3}", sum as f64 / count as f64);
    }
    Ok(())
}
