//! Where the records of a text begin, so that workers receive whole ones.
//!
//! | records | begin |
//! |---|---|
//! | [`Records::lines`] | at every line |
//! | [`Records::starting_with`] | at lines that begin with given bytes: FASTA, mailboxes, logs |
//! | [`Records::csv`] | at every line, except for newlines in quotes: RFC 4180 |
//! | [`Records::fastq`] | at every fourth line: header, sequence, `+`, qualities |
//!
//! [`Records::cuts`] divides a text into parts of about the same length that hold whole records. The cuts are
//! what [`split_at`](phalanx::SharedArray::split_at) takes:
//!
//! ```
//! # fn main() -> Result<(), phalanx::Error> {
//! # let pool = phalanx::Pool::builder().workers(2).build()?;
//! use phalanx_kernels::records::Records;
//!
//! let text = pool.from_slice(b"tea,3\n\"coffee,\nblack\",4\nwater,1\n")?;
//! let cuts = Records::csv().cuts(&pool, &text, 3)?;
//! assert_eq!(cuts, [0, 24, 24, 32]);
//! let lengths = pool.fold(
//!     text.split_at(&cuts),
//!     Vec::new,
//!     |lengths, part| lengths.push(part.len()),
//!     |lengths, more| lengths.extend(more),
//! )?;
//! assert_eq!(lengths, [24, 0, 8]);
//! # Ok(())
//! # }
//! ```
//!
//! Cuts depend on the text and the number of parts alone. A line ends with `\n`, before which a `\r` may
//! stand; a `\r` alone ends none.
#![deny(clippy::arithmetic_side_effects)]

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests;

use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::{Input, flat};
use crate::simd::vectorized;
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// Parts that a text may be divided into.
const MOST_PARTS: usize = 1 << 20;

/// What a record of a text is. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records<'a>(Rule<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule<'a> {
    /// At lines that begin with these bytes.
    StartingWith(&'a [u8]),
    Csv,
    Fastq,
}

impl<'a> Records<'a> {
    /// Every line is a record.
    pub const fn lines() -> Records<'static> {
        Records(Rule::StartingWith(b""))
    }

    /// A record begins at each line that begins with `first`, such as `>` in FASTA, and ends before the next.
    ///
    /// Lines before the first record belong to the first part.
    pub const fn starting_with(first: &'a [u8]) -> Records<'a> {
        Records(Rule::StartingWith(first))
    }

    /// Every line is a record, but a newline between double quotes does not end it (RFC 4180).
    ///
    /// Every double quote opens or closes, and two in a row within quotes, which stand for one, do both. So a
    /// quote inside a field that does not begin with one, which RFC 4180 forbids, counts too. A quote that is
    /// not closed reaches to the end of the text.
    pub const fn csv() -> Records<'static> {
        Records(Rule::Csv)
    }

    /// A record has four lines: `@` and a name, a sequence, `+`, and qualities, which may begin with `@` too.
    pub const fn fastq() -> Records<'static> {
        Records(Rule::Fastq)
    }

    /// Divides a text into parts of whole records.
    ///
    /// Returns `parts + 1` offsets in bytes, in ascending order. The first is 0 and the last is the length of
    /// the text. Each of the others is where the first record begins at or behind its even share of the text;
    /// so a part is empty if a record is longer than its share.
    ///
    /// Cost: for [`csv`](Self::csv) every byte read once, by all workers, since its quotes determine whether
    /// a place is inside a field. For the others, and after that, the caller reads about one record per part.
    ///
    /// # Errors
    /// `Argument` if there are no parts, or more than 2^20; `Memory`, `Launch`.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// use phalanx_kernels::records::Records;
    ///
    /// let genes = b">one\nACGT\nAC\n>two\nTT\n";
    /// assert_eq!(Records::lines().cuts(&pool, genes, 2)?, [0, 10, 21]);
    /// assert_eq!(Records::starting_with(b">").cuts(&pool, genes, 4)?, [0, 13, 13, 21, 21]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cuts(
        self,
        pool: &Pool,
        text: &(impl Input<Elem = u8, Dim = Ix1> + ?Sized),
        parts: usize,
    ) -> Result<Vec<usize>, KernelError> {
        if !(1..=MOST_PARTS).contains(&parts) {
            return Err(KernelError::argument(
                "parts",
                format!("{parts} is no number of parts from 1 to 2^20"),
            ));
        }
        let even = even(text.len(), parts);
        let quoted = if self.0 == Rule::Csv { quoted(pool, text, &even)? } else { vec![false; parts] };
        let text = flat(pool, text)?;
        let mut cuts = vec![0; parts.saturating_add(1)];
        cuts[parts] = text.len();
        for i in 1..parts {
            let last = cuts[i.saturating_sub(1)];
            // Of a record that is longer than many parts the end is looked for once.
            cuts[i] = if last >= even[i] { last } else { self.next(&text, even[i], quoted[i]) };
        }
        Ok(cuts)
    }

    /// Where the first record begins at or behind `from`, which is not 0; the end of the text if none does.
    fn next(self, text: &[u8], from: usize, is_quoted: bool) -> usize {
        let mut at = from.saturating_sub(1);
        match self.0 {
            Rule::Csv => unquoted_line(text, at, is_quoted),
            Rule::Fastq => loop {
                at = line(text, at);
                if at == text.len() || is_fastq(&text[at..]) {
                    return at;
                }
            },
            Rule::StartingWith(first) => loop {
                at = line(text, at);
                if at == text.len() || text[at..].starts_with(first) {
                    return at;
                }
            },
        }
    }
}

/// The borders of equal shares.
#[expect(clippy::arithmetic_side_effects, reason = "products of 64 bits by 21, and there are parts")]
fn even(len: usize, parts: usize) -> Vec<usize> {
    (0..=parts as u128).map(|part| (len as u128 * part / parts as u128) as usize).collect()
}

/// Whether each border lies inside quotes: whether an odd number of them stands before it.
fn quoted(
    pool: &Pool,
    text: &(impl Input<Elem = u8, Dim = Ix1> + ?Sized),
    borders: &[usize],
) -> Result<Vec<bool>, KernelError> {
    let mut odd = SharedArray::<u8>::zeros(borders.len().saturating_sub(1))?;
    if is_inline(text.len()) {
        let text = text.elements();
        for (odd, border) in odd.as_mut_slice().iter_mut().zip(borders.windows(2)) {
            *odd = quotes(&text[border[0]..border[1]]);
        }
    } else {
        let text = text.share(pool)?;
        let operands = (text.split_at(borders), odd.split_out());
        repeatable(pool).for_each(operands, |(part, odd)| odd[0] = quotes(part))?;
    }
    let before = odd.as_slice().iter().scan(0, |all, odd| Some(std::mem::replace(all, *all ^ odd) == 1));
    Ok(before.collect())
}

/// Whether the number of quotes is odd, as 1 or 0.
fn quotes(text: &[u8]) -> u8 {
    vectorized(
        #[inline(always)]
        || {
            text.iter().fold(
                0,
                #[inline(always)]
                |odd, byte| odd ^ u8::from(*byte == b'"'),
            )
        },
    )
}

/// Where the next line begins behind the first newline from `at` on.
fn line(text: &[u8], at: usize) -> usize {
    let newline = text[at..].iter().position(|byte| *byte == b'\n');
    newline.map_or(text.len(), |newline| at.saturating_add(newline).saturating_add(1))
}

/// The same for newlines outside quotes; `is_quoted` tells of the byte behind `at`.
fn unquoted_line(text: &[u8], at: usize, mut is_quoted: bool) -> usize {
    let next = at.saturating_add(1);
    if text[at] == b'\n' && !is_quoted {
        return next;
    }
    for (byte, next) in text[next..].iter().zip(next.saturating_add(1)..) {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => return next,
            _ => {}
        }
    }
    text.len()
}

/// Whether a record begins with this line. Qualities may begin with `@`, but two lines behind them stands a
/// sequence, which has no `+`.
fn is_fastq(text: &[u8]) -> bool {
    let third = text.splitn(4, |byte| *byte == b'\n').nth(2);
    text[0] == b'@' && third.is_some_and(|line| line.starts_with(b"+"))
}
