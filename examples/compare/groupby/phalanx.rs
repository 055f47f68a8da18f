use crate::splitmix::bits;
use phalanx::Pool;
use std::collections::BTreeMap;

const CITIES: [&str; 8] = ["Accra", "Bern", "Cusco", "Dhaka", "Evora", "Fes", "Gent", "Hanoi"];

pub fn main() -> Result<(), phalanx::Error> {
    let row = |i: u64| format!("{},{}\n", CITIES[bits(2 * i) as usize % 8], bits(2 * i + 1) % 400);
    let text: String = (0..50_000).map(row).collect();

    let pool = Pool::new()?;
    let bytes = pool.from_slice(text.as_bytes())?;
    // Every part ends with a line.
    let cut = |i| text[..text.len() * i / 64].rfind('\n').map_or(0, |end| end + 1);
    let cuts: Vec<usize> = (0..=64).map(cut).collect();
    let cities = pool.try_fold(
        bytes.split_at(&cuts),
        BTreeMap::new,
        |cities: &mut BTreeMap<String, (u64, u64)>, part| {
            for line in String::from_utf8_lossy(part).lines() {
                let (city, value) = line.split_once(',').ok_or("a line without a comma")?;
                let value: u64 = value.parse().map_err(|_| "a value that is no number")?;
                let (count, sum) = cities.entry(city.to_owned()).or_default();
                (*count, *sum) = (*count + 1, *sum + value);
            }
            Ok::<(), String>(())
        },
        |cities, more| {
            for (city, (n, more)) in more {
                let (count, sum) = cities.entry(city).or_default();
                (*count, *sum) = (*count + n, *sum + more);
            }
        },
    )?;
    for (city, (count, sum)) in cities {
        println!("{city} {count} {:.3}", sum as f64 / count as f64);
    }
    Ok(())
}
