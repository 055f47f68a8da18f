//! Sets of PUs (and of NUMA nodes) by their operating-system index.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A set of PUs, identified by operating-system index.
///
/// Formats and parses as a Linux CPU list: `0-3,8`. The empty set formats as the empty string. Parsed indices
/// must be below [`CpuSet::LIMIT`].
///
/// # Examples
/// ```
/// use phalanx::topology::CpuSet;
/// let set: CpuSet = "0-3,8".parse()?;
/// assert_eq!(set.len(), 5);
/// assert_eq!(set.to_string(), "0-3,8");
/// assert!(set.contains(8) && !set.contains(4));
/// # Ok::<(), phalanx::topology::CpuSetError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[doc(alias = "hwloc_cpuset_t")]
pub struct CpuSet {
    /// Invariant: the last word is not zero, so that equal sets are equal vectors.
    words: Vec<u64>,
}

/// A set of NUMA nodes, identified by operating-system index.
pub type NodeSet = CpuSet;

/// A text is not a valid set of CPUs.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuSetError {
    /// A part of the text is neither a number nor a range.
    #[error("'{part}' in the CPU list '{text}' is no index and no range; write for example 0-3,8")]
    Syntax {
        /// The whole text, shortened.
        text: String,
        /// The part at fault, shortened.
        part: String,
    },
    /// The end of a range is below its start.
    #[error("the range {first}-{last} runs downwards; write {last}-{first}")]
    Downwards {
        /// Its first index.
        first: u32,
        /// Its last index.
        last: u32,
    },
    /// An index is too large for any machine.
    #[error("CPU index {index} is not below {limit}, the largest number of CPUs this library knows", limit = CpuSet::LIMIT)]
    TooLarge {
        /// The index found.
        index: u64,
    },
    /// A bitmap is infinite.
    #[error("the bitmap '{text}' is infinite, so it is no set of existing CPUs")]
    Infinite {
        /// The text, shortened.
        text: String,
    },
}

crate::base::debug_is_display!(CpuSetError);

impl CpuSet {
    /// Upper bound (exclusive) of indices in parsed text: eight times the largest `NR_CPUS` of Linux (8192,
    /// x86-64 with MAXSMP).
    pub const LIMIT: u32 = 1 << 16;

    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a set of one PU.
    pub fn single(os_index: u32) -> Self {
        [os_index].into_iter().collect()
    }

    /// Adds a PU and returns true if it was not in the set. Memory use grows with the highest index (one bit
    /// each).
    pub fn insert(&mut self, os_index: u32) -> bool {
        let (word, bit) = (os_index as usize / 64, 1u64 << (os_index % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    /// Removes a PU and returns true if it was in the set.
    pub fn remove(&mut self, os_index: u32) -> bool {
        let was = self.contains(os_index);
        if was {
            self.words[os_index as usize / 64] &= !(1u64 << (os_index % 64));
            self.trim();
        }
        was
    }

    /// Returns true if the PU is in the set.
    pub fn contains(&self, os_index: u32) -> bool {
        self.words.get(os_index as usize / 64).is_some_and(|word| word >> (os_index % 64) & 1 == 1)
    }

    /// Returns the number of PUs.
    #[doc(alias = "hwloc_bitmap_weight")]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns true if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns the lowest index.
    pub fn first(&self) -> Option<u32> {
        self.iter().next()
    }

    /// Returns the highest index.
    pub fn last(&self) -> Option<u32> {
        let word = self.words.last()?;
        Some((self.words.len() as u32 - 1) * 64 + 63 - word.leading_zeros())
    }

    /// Iterates over the indices in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }

    /// Returns the PUs in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_words(self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect())
    }

    /// Returns the PUs in either set.
    pub fn union(&self, other: &Self) -> Self {
        let len = self.words.len().max(other.words.len());
        let word = |set: &Self, at| set.words.get(at).copied().unwrap_or(0);
        Self::from_words((0..len).map(|at| word(self, at) | word(other, at)).collect())
    }

    /// Returns the PUs of this set that are not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        let other_word = |at| other.words.get(at).copied().unwrap_or(0);
        Self::from_words(self.words.iter().enumerate().map(|(at, a)| a & !other_word(at)).collect())
    }

    /// Returns true if the sets have a PU in common.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Returns true if every PU of this set is in the other.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.iter().enumerate().all(|(at, a)| a & !other.words.get(at).copied().unwrap_or(0) == 0)
    }

    /// The set as 64-bit words, lowest bit of the first word for index 0, as system calls take it.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The set for words in the form of [`CpuSet::words`].
    pub(crate) fn from_words(words: Vec<u64>) -> Self {
        let mut set = Self { words };
        set.trim();
        set
    }

    /// Reads a bitmap as hwloc and sysfs print it: 32-bit words, highest first, hexadecimal with or without
    /// `0x`, separated by commas, an empty word standing for zero.
    #[doc(alias = "hwloc_bitmap_sscanf")]
    pub(crate) fn from_bitmap(text: &str) -> Result<Self, CpuSetError> {
        let text = text.trim();
        if text.starts_with("0xf...f") {
            return Err(CpuSetError::Infinite { text: shortened(text) });
        }
        let count = text.split(',').count();
        if count > Self::LIMIT as usize / 32 {
            return Err(CpuSetError::TooLarge { index: count as u64 * 32 - 1 });
        }
        let mut words = vec![0u64; count.div_ceil(2)];
        for (at, part) in text.rsplit(',').enumerate() {
            let digits = part.trim().trim_start_matches("0x");
            if digits.is_empty() {
                continue;
            }
            let value = u32::from_str_radix(digits, 16)
                .map_err(|_| CpuSetError::Syntax { text: shortened(text), part: shortened(part) })?;
            words[at / 2] |= u64::from(value) << (32 * (at % 2));
        }
        Ok(Self::from_words(words))
    }

    /// Reads a list as it stands, order and repetitions kept: `4,0-1` returns 4, 0, 1.
    pub(crate) fn parse_ordered(text: &str) -> Result<Vec<u32>, CpuSetError> {
        let syntax = |part: &str| CpuSetError::Syntax { text: shortened(text), part: shortened(part) };
        let index = |part: &str| {
            let value: u64 = part.trim().parse().map_err(|_| syntax(part))?;
            match u32::try_from(value) {
                Ok(index) if index < Self::LIMIT => Ok(index),
                _ => Err(CpuSetError::TooLarge { index: value }),
            }
        };
        let mut list = Vec::new();
        if text.trim().is_empty() {
            return Ok(list);
        }
        for part in text.split(',') {
            match part.split_once('-') {
                None => list.push(index(part)?),
                Some((first, last)) => {
                    let (first, last) = (index(first)?, index(last)?);
                    if first > last {
                        return Err(CpuSetError::Downwards { first, last });
                    }
                    list.extend(first..=last);
                }
            }
            if list.len() > Self::LIMIT as usize {
                return Err(CpuSetError::TooLarge { index: list.len() as u64 });
            }
        }
        Ok(list)
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }
}

/// Keeps an error text short whatever the input was.
pub(crate) fn shortened(text: &str) -> String {
    const KEPT: usize = 60;
    match text.char_indices().nth(KEPT) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

impl FromStr for CpuSet {
    type Err = CpuSetError;

    fn from_str(text: &str) -> Result<Self, CpuSetError> {
        Ok(Self::parse_ordered(text)?.into_iter().collect())
    }
}

impl TryFrom<String> for CpuSet {
    type Error = CpuSetError;

    fn try_from(text: String) -> Result<Self, CpuSetError> {
        text.parse()
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> String {
        set.to_string()
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut indices = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = indices.next() {
            let mut last = first;
            while indices.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(indices: I) -> Self {
        let mut set = Self::new();
        set.extend(indices);
        set
    }
}

impl Extend<u32> for CpuSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, indices: I) {
        for index in indices {
            self.insert(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(text: &str) -> CpuSet {
        text.parse().unwrap()
    }

    #[test]
    fn lists_print_as_they_were_written() {
        for text in ["", "0", "0-1", "0-3,8", "1,3,5", "63-64", "191", "0-65535"] {
            assert_eq!(set(text).to_string(), text);
        }
        assert_eq!(set(" 3 , 0 - 1\n").to_string(), "0-1,3");
    }

    #[test]
    fn bad_lists_are_refused_with_the_part_at_fault() {
        for text in ["x", "1-", "-1", "1,,2", "0x3", "1-2-3", "1;2"] {
            assert!(matches!(text.parse::<CpuSet>(), Err(CpuSetError::Syntax { .. })), "{text}");
        }
        assert_eq!("3-1".parse::<CpuSet>(), Err(CpuSetError::Downwards { first: 3, last: 1 }));
        for text in ["65536", "0-4000000000", "99999999999"] {
            assert!(matches!(text.parse::<CpuSet>(), Err(CpuSetError::TooLarge { .. })), "{text}");
        }
        assert!("0-65535,0-65535".parse::<CpuSet>().is_err(), "a long text cannot fill the memory");
        let error = "9".repeat(5000).parse::<CpuSet>().unwrap_err();
        assert!(error.to_string().len() < 300);
    }

    #[test]
    fn bitmaps_of_hwloc_and_sysfs_are_read() {
        let bitmap = |text| CpuSet::from_bitmap(text).unwrap().to_string();
        assert_eq!(bitmap("0x0000ffff"), "0-15");
        assert_eq!(bitmap("0x000000ff,,,,,,0x000000ff"), "0-7,192-199");
        assert_eq!(bitmap("0x00000001,,,,,,0x0"), "192");
        assert_eq!(bitmap("ff\n"), "0-7");
        assert_eq!(bitmap("0x0"), "");
        assert!(matches!(CpuSet::from_bitmap("0xf...f,0x0"), Err(CpuSetError::Infinite { .. })));
        assert!(matches!(CpuSet::from_bitmap("0xzz"), Err(CpuSetError::Syntax { .. })));
        assert!(matches!(CpuSet::from_bitmap("0x1ffffffff"), Err(CpuSetError::Syntax { .. })));
        assert!(matches!(CpuSet::from_bitmap(&",".repeat(100_000)), Err(CpuSetError::TooLarge { .. })));
    }

    #[test]
    fn serde_uses_the_list() {
        let text = serde_json::to_string(&set("0-3,8")).unwrap();
        assert_eq!(text, "\"0-3,8\"");
        assert_eq!(serde_json::from_str::<CpuSet>(&text).unwrap(), set("0-3,8"));
        assert!(serde_json::from_str::<CpuSet>("\"nonsense\"").is_err());
    }

    proptest! {
        #[test]
        fn sets_behave_like_sets(a in prop::collection::btree_set(0u32..300, 0..40),
                                 b in prop::collection::btree_set(0u32..300, 0..40)) {
            let (x, y): (CpuSet, CpuSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            let list = |set: &CpuSet| set.iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(list(&x.union(&y)), a.union(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(list(&x.intersection(&y)), a.intersection(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(list(&x.difference(&y)), a.difference(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(x.intersects(&y), !a.is_disjoint(&b));
            prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
            prop_assert_eq!((x.len(), x.first(), x.last()), (a.len(), a.first().copied(), a.last().copied()));
            prop_assert_eq!(&x.to_string().parse::<CpuSet>().unwrap(), &x);
            prop_assert_eq!(x.is_empty(), a.is_empty());
            let mut z = x.clone();
            for &index in &b {
                prop_assert_eq!(z.remove(index), a.contains(&index));
            }
            prop_assert_eq!(z, x.difference(&y));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<CpuSet>();
            let _ = CpuSet::from_bitmap(&text);
        }
    }
}
