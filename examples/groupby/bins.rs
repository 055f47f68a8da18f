//! Counts of values in narrow bins.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Bits of a float64 that a bin keeps: sign, exponent, and the first 7 bits of the fraction. A bin is at most
/// 1/128 of its values wide, so its middle is within 0.4% of each.
const DROPPED: u32 = 45;
/// Neighbouring bins that are kept together.
const PAGE: u32 = 16;

type Page = [u64; PAGE as usize];

/// Values in each bin, in pages of neighbouring bins. Between processes they travel as bytes, which are
/// copied, rather than number by number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "ByteBuf", into = "ByteBuf")]
pub struct Bins(FxHashMap<u32, Page>);

impl Bins {
    pub fn add(&mut self, value: f64) {
        let bin = bin(value);
        self.0.entry(bin / PAGE).or_default()[(bin % PAGE) as usize] += 1;
    }

    pub fn merge(&mut self, other: &Bins) {
        for (place, page) in &other.0 {
            self.0.entry(*place).or_default().iter_mut().zip(page).for_each(|(a, b)| *a += b);
        }
    }

    /// Bins that hold values, and how many, from the lowest values on.
    pub fn in_order(&self) -> Vec<(u32, u64)> {
        let page = |(place, page): (&u32, &Page)| {
            let first = place * PAGE;
            page.iter().zip(first..).map(|(count, bin)| (bin, *count)).collect::<Vec<_>>()
        };
        let mut bins: Vec<_> = self.0.iter().flat_map(page).filter(|(_, count)| *count > 0).collect();
        bins.sort_unstable();
        bins
    }
}

impl From<Bins> for ByteBuf {
    fn from(bins: Bins) -> ByteBuf {
        let words: Vec<u64> =
            bins.0.iter().flat_map(|(place, page)| [&[u64::from(*place)], &page[..]].concat()).collect();
        ByteBuf::from(bytemuck::cast_slice(&words).to_vec())
    }
}

impl From<ByteBuf> for Bins {
    fn from(bytes: ByteBuf) -> Bins {
        let words: Vec<u64> = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
        let pages = words.as_chunks::<{ PAGE as usize + 1 }>().0.iter();
        Bins(pages.map(|[place, page @ ..]| (*place as u32, *page)).collect())
    }
}

/// The bin of a value; larger values have no smaller bin.
fn bin(value: f64) -> u32 {
    // Minus zero is zero.
    let bits = (value + 0.0).to_bits();
    let key = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    (key >> DROPPED) as u32
}

/// The middle of a bin.
pub fn middle(bin: u32) -> f64 {
    let edge = |bin: u32| {
        let key = u64::from(bin) << DROPPED;
        if key >> 63 == 1 { f64::from_bits(key & !(1 << 63)) } else { f64::from_bits(!key) }
    };
    let low = edge(bin);
    if low == 0.0 { 0.0 } else { f64::midpoint(low, edge(bin + 1)) }
}
