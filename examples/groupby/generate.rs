//! Sales to try the program on: the same for every number of workers, with quotes, newlines in quotes,
//! letters of many scripts and empty cells.

use common::{Draft, Result, random};
use phalanx::{CancelToken, Captured, Pool};
use phalanx_kernels::scan::exclusive_sum;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Rows that are made at once.
const BLOCK: u64 = 1 << 14;
const HEADER: &str = "order,city,product,price,note\r\n";
const CITIES: [&str; 20] = [
    "Accra",
    "Bogotá",
    "Curaçao",
    "Đà Nẵng",
    "Évora",
    "Fès",
    "Göteborg",
    "Hà Nội",
    "İzmir",
    "Jõhvi",
    "Kraków",
    "Łódź",
    "Malmö",
    "東京",
    "Orléans",
    "Αθήνα",
    "Québec",
    "Казань",
    "São Paulo",
    "Zürich",
];
const PARTS: [&str; 20] = [
    "",
    " North",
    " South",
    " East",
    " West",
    " Centre",
    " Harbour",
    " Old Town",
    " Airport",
    " Market",
    " Park",
    " Hill",
    " Bridge",
    " Lake",
    " Station",
    " Gate",
    " Field",
    " Tower",
    " Mill",
    " Bay",
];
const NOTES: [&str; 4] = ["\"fragile, keep dry\"", "\"says \"\"thanks\"\"\"", "\"two\nlines\"", "gift"];

fn write_row(text: &mut Vec<u8>, row: u64) -> std::io::Result<()> {
    let dice = random(0, row);
    // The smaller of two numbers: some cities have more customers.
    let pick = |shift: u32| ((dice >> shift) & 0xff) as usize * 20 / 256;
    let (city, part) = (pick(0).min(pick(8)), pick(16).min(pick(24)));
    let (city, part, comma) = (CITIES[city], PARTS[part], part % 5 == 4);
    write!(text, "{row},")?;
    if comma {
        write!(text, "\"{city},{part}\",")?
    } else {
        write!(text, "{city}{part},")?
    }
    write!(text, "P{:04},", (dice >> 32) % 3000)?;
    let price = random(0, dice);
    if !price.is_multiple_of(50) {
        // From 1.00 to 999.99, cheap ones more often.
        let cents = 100 + (price >> 8) % 9_990 * ((price >> 32) % 11);
        write!(text, "{}.{:02}", cents / 100, cents % 100)?;
    }
    let note = if price >> 58 < 4 { NOTES[(price >> 58) as usize] } else { "" };
    write!(text, ",{note}\r\n")
}

fn block(index: usize, rows: u64) -> Vec<u8> {
    let first = index as u64 * BLOCK;
    let mut text = Vec::with_capacity(64 * BLOCK as usize);
    for row in first..rows.min(first + BLOCK) {
        // A vector takes all that is written to it.
        let _ = write_row(&mut text, row);
    }
    text
}

/// Writes a file of so many rows. Every block is made twice: to learn its length, and to write it in its
/// place.
pub fn generate(pool: &Pool, rows: u64, path: &Path) -> Result<()> {
    let stop = CancelToken::on_ctrl_c()?;
    let mut draft = Draft::create(path)?;
    draft.file().write_all(HEADER.as_bytes())?;
    let blocks = usize::try_from(rows.div_ceil(BLOCK))?;
    let (mut lengths, mut places) = (pool.zeros::<u64>(blocks)?, pool.zeros::<u64>(blocks)?);
    let operands = (lengths.split_out(), 0..blocks, rows);
    pool.launch().chunk(1).cancel(&stop).for_each(operands, |(length, index, rows)| {
        length[0] = block(index.start, rows).len() as u64;
    })?;
    exclusive_sum(pool, &mut places, &lengths)?;
    let name = Captured::new(&draft.path())?;
    let operands = (places.split(), 0..blocks, rows, &name);
    pool.launch().chunk(1).cancel(&stop).try_for_each(operands, |(place, index, rows, name)| {
        let file = OpenOptions::new().write(true).open(name).map_err(|error| error.to_string())?;
        let text = block(index.start, rows);
        file.write_all_at(&text, HEADER.len() as u64 + place[0]).map_err(|error| error.to_string())
    })?;
    draft.finish()
}
