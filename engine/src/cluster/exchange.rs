//! `exchange`: each driver gets its neighbours' nearest rows as its ghost rows.
//!
//! Rows are sent from where they lie, and received where they are read. A notice goes along with them to each
//! neighbour, which says what the call is; it is looked at before anything is made of the rows.
#![deny(clippy::arithmetic_side_effects)]

use super::array::{ClusterArray, Ghosts};
use super::error::ClusterError;
use super::flight::InFlight;
use super::link::Link;
use super::meeting::{Call, Exchanged, Notice};
use super::member::Cluster;
use super::mpi::{Direction, Message};
use super::rows::{Rows, Side};
use crate::array::{Element, RangeRefMut, Shape, row_elems};
use crate::base::up_to_eight;
use crate::launch::Edge;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{Location, resume_unwind};

/// Rows on their way to the driver before, and to the one after, which may be the same.
const TO_BEFORE: i32 = 11;
const TO_AFTER: i32 = 12;

/// Arrays whose ghost rows are exchanged in one call: `&mut u`, or a tuple of up to 8 of these, all of one
/// element type.
pub trait Exchange<'a, T: Element>: sealed::Sealed {
    /// What can be read of them while ghost rows are under way: [`InFlight`], or a tuple of these.
    type InFlight: Send;

    /// Takes the arrays apart.
    #[doc(hidden)]
    fn open(self, opened: &mut Vec<Opened<'a>>) -> Self::InFlight;
}

mod sealed {
    pub trait Sealed {}
}

/// One array, taken apart, in bytes.
#[doc(hidden)]
pub struct Opened<'a> {
    pub(super) shape: &'a [usize],
    pub(super) width: usize,
    pub(super) row_bytes: usize,
    pub(super) own: &'a [u8],
    pub(super) before: &'a mut [u8],
    pub(super) after: &'a mut [u8],
    /// `None` where somebody else keeps account.
    pub(super) ghosts: Option<&'a mut Ghosts>,
}

/// What lies beyond the ends of the whole array: an [`Edge`] in bytes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Beyond<'e> {
    Nothing,
    LastRow,
    OtherEnd,
    Element(&'e [u8]),
}

impl<'e> Beyond<'e> {
    pub(super) fn of<T: Element>(edge: &'e Edge<T>) -> Beyond<'e> {
        match edge {
            Edge::Shrink => Beyond::Nothing,
            Edge::Clamp => Beyond::LastRow,
            Edge::Wrap => Beyond::OtherEnd,
            Edge::Fill(value) => Beyond::Element(bytemuck::bytes_of(value)),
        }
    }
}

/// A line of a file.
pub(super) type Site<'s> = (&'s str, u32);

impl<T, D> sealed::Sealed for &mut ClusterArray<T, D> {}

impl<'a, T: Element, D: Shape> Exchange<'a, T> for &'a mut ClusterArray<T, D> {
    type InFlight = InFlight<'a, T, D>;

    fn open(self, opened: &mut Vec<Opened<'a>>) -> InFlight<'a, T, D> {
        let (own_rows, width, stored) = (self.own, self.width, self.stored(self.own));
        let ClusterArray { storage, dim, ghosts, .. } = self;
        let (rest, after) = RangeRefMut::of(storage).divide_at(stored.end);
        let (before, own) = rest.divide_at(stored.start);
        let (before, own) = (before.range_mut(stored.start.saturating_sub(width)..), own.into_ref());
        let in_order = "rows of a row-major array lie one after the other";
        opened.push(Opened {
            shape: dim.slice(),
            width,
            row_bytes: row_elems(dim).saturating_mul(size_of::<T>()),
            own: bytemuck::cast_slice(own.view().to_slice().expect(in_order)),
            before: bytemuck::cast_slice_mut(before.into_view_mut().into_slice().expect(in_order)),
            after: bytemuck::cast_slice_mut(after.into_view_mut().into_slice().expect(in_order)),
            ghosts: Some(ghosts),
        });
        InFlight::new(own, own_rows, dim)
    }
}

macro_rules! tuples { ($( ($($o:ident $i:tt),+) )*) => { $(
    impl<$($o: sealed::Sealed),+> sealed::Sealed for ($($o,)+) {}

    impl<'a, T: Element, $($o: Exchange<'a, T>),+> Exchange<'a, T> for ($($o,)+) {
        type InFlight = ($($o::InFlight,)+);

        fn open(self, opened: &mut Vec<Opened<'a>>) -> Self::InFlight {
            ($( self.$i.open(opened), )+)
        }
    }
)* } }
up_to_eight!(tuples);

impl Cluster {
    /// Fills the ghost rows of arrays with the nearest rows of this driver's neighbours; beyond the ends of
    /// the whole array, with what `edge` says. Called by all drivers together, after the rows were written and
    /// before a launch reads them by [`ClusterArray::halo`].
    ///
    /// Several arrays of one element type go in one call: `(&mut u, &mut v)`. Blocks until this driver's
    /// neighbours have called it, too; others are not waited for. Costs one message to and from each
    /// neighbour, and one for each array, straight from and to the arrays' memory; none where a driver is its
    /// own neighbour.
    ///
    /// # Errors
    /// None as yet. Drivers that make different calls, or exchange arrays of different shapes, end the job with
    /// the text of [`ClusterError::Disagree`], since rows are under way when that shows.
    ///
    /// ```
    /// use phalanx::{Edge, cluster};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool()?;
    ///     let mut u = cluster.from_fn(&pool, 1000, 1, |i| i as f64)?;
    ///     let mut slope = cluster.zeros::<f64, _>(&pool, 1000, 0)?;
    ///     cluster.exchange(&mut u, Edge::Wrap)?;
    ///     pool.for_each((slope.split_out(), u.halo(1)), |(slope, u)| {
    ///         slope.iter_mut().zip(u.windows(3)).for_each(|(slope, u)| *slope = (u[2] - u[0]) / 2.0);
    ///     })?;
    ///     assert!(slope.my_rows().zip(&slope.view()).all(|(i, slope)| *slope == 1.0 || i == 0 || i == 999));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[doc(alias = "MPI_Neighbor_alltoall")]
    #[track_caller]
    pub fn exchange<'a, T: Element>(
        &self,
        arrays: impl Exchange<'a, T>,
        edge: Edge<T>,
    ) -> Result<(), ClusterError> {
        let mut opened = Vec::new();
        arrays.open(&mut opened);
        let site = Location::caller();
        self.exchange_opened(&mut opened, Beyond::of(&edge), (site.file(), site.line()));
        Ok(())
    }

    /// Exchanges the ghost rows of arrays that were taken apart.
    pub(super) fn exchange_opened(&self, opened: &mut [Opened<'_>], beyond: Beyond<'_>, site: Site<'_>) {
        let neighbours = self.at_home(opened, beyond);
        if let Some(link) = &self.link {
            let notice = self.notice(opened, beyond, site);
            transfer(link, &notice, opened, &neighbours);
        }
        settle(opened, &neighbours, beyond);
    }

    /// Same as [`exchange`](Self::exchange), and calls `work` while rows are under way. `work` receives what
    /// of the arrays can be read meanwhile, which is this driver's rows without its ghost rows
    /// ([`InFlight`]), and usually launches over the inner rows; the outer ones follow after the exchange.
    ///
    /// `work` runs on a thread of its own, while this one attends to the messages. Starting it costs some ten
    /// microseconds, so short messages are better exchanged first. Where no driver is waited for, `work` runs
    /// here. A panic of `work` goes on here when the rows have arrived.
    ///
    /// # Errors
    /// As for [`exchange`](Self::exchange). What `work` returns is inside.
    ///
    /// ```
    /// use phalanx::{Edge, cluster};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool()?;
    ///     let sum = |(sums, u): (&mut [u64], &[u64])| {
    ///         sums.iter_mut().zip(u.windows(3)).for_each(|(sum, u)| *sum = u.iter().sum());
    ///     };
    ///     let mut u = cluster.from_fn(&pool, 1000, 1, |i| i as u64)?;
    ///     let mut sums = cluster.zeros(&pool, 1000, 0)?;
    ///     let inner = u.inner_rows(1);
    ///     cluster.exchange_while(&mut u, Edge::Fill(0), |u| {
    ///         pool.for_each((sums.range_mut(inner.clone()).split_out(), u.halo_range(inner, 1)), sum)
    ///     })??;
    ///     for outer in u.outer_rows(1) {
    ///         pool.for_each((sums.range_mut(outer.clone()).split_out(), u.halo_range(outer, 1)), sum)?;
    ///     }
    ///     let first = sums.my_rows().start;
    ///     assert!(sums.my_rows().all(|i| i == 999 || i == 0 || sums.view()[i - first] == 3 * i as u64));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[track_caller]
    pub fn exchange_while<'a, T: Element, X: Exchange<'a, T>, R: Send>(
        &self,
        arrays: X,
        edge: Edge<T>,
        work: impl FnOnce(X::InFlight) -> R + Send,
    ) -> Result<R, ClusterError> {
        let mut opened = Vec::new();
        let in_flight = arrays.open(&mut opened);
        let (beyond, site) = (Beyond::of(&edge), Location::caller());
        let neighbours = self.at_home(&mut opened, beyond);
        let is_apart = neighbours.iter().flatten().any(|side| matches!(side, Side::Driver(_)));
        let notice = self.notice(&opened, beyond, (site.file(), site.line()));
        let result = match &self.link {
            Some(link) if is_apart => std::thread::scope(|scope| {
                let work = scope.spawn(|| work(in_flight));
                transfer(link, &notice, &mut opened, &neighbours);
                work.join().unwrap_or_else(|panic| resume_unwind(panic))
            }),
            _ => work(in_flight),
        };
        settle(&mut opened, &neighbours, beyond);
        Ok(result)
    }

    /// Fills the ghost rows that no other driver fills. Returns who fills them on each side of each array.
    fn at_home(&self, opened: &mut [Opened<'_>], beyond: Beyond<'_>) -> Vec<[Side; 2]> {
        let wraps = beyond == Beyond::OtherEnd;
        let sides = opened.iter_mut().map(|array| {
            let rows = array.shape.first().copied().unwrap_or(0);
            let sides = Rows::new(rows).sides(self.me(), self.size(), wraps);
            array.fill(sides, beyond);
            sides
        });
        sides.collect()
    }

    /// What the neighbours are told of the next exchange.
    fn notice(&self, opened: &[Opened<'_>], beyond: Beyond<'_>, site: Site<'_>) -> Notice {
        let number = self.exchanges.get().wrapping_add(1);
        self.exchanges.set(number);
        let mut hasher = DefaultHasher::new();
        (number, beyond).hash(&mut hasher);
        for array in opened {
            (array.shape, array.width, array.row_bytes).hash(&mut hasher);
        }
        let (shape, width) = opened.first().map_or((&[][..], 0), |array| (array.shape, array.width));
        let mut told = Exchanged::default();
        told[..4].copy_from_slice(&[number, opened.len() as u64, width as u64, shape.len() as u64]);
        told[4..].iter_mut().zip(shape).for_each(|(to, from)| *to = *from as u64);
        Notice::at(Call::Exchange, hasher.finish(), bytemuck::bytes_of(&told), site)
    }
}

impl Opened<'_> {
    fn ghost_bytes(&self) -> usize {
        self.width.saturating_mul(self.row_bytes)
    }

    /// Fills what lies beyond the ends of the whole array, and what comes from this driver itself.
    fn fill(&mut self, [before, after]: [Side; 2], beyond: Beyond<'_>) {
        let own = self.own;
        let (first, last) = (own.get(..self.row_bytes), own.len().checked_sub(self.row_bytes));
        match before {
            Side::Me => self.before.copy_from_slice(&own[own.len().saturating_sub(self.ghost_bytes())..]),
            Side::End => fill_beyond(self.before, first, beyond),
            Side::Driver(_) | Side::Nobody => {}
        }
        match after {
            Side::Me => self.after.copy_from_slice(&own[..self.ghost_bytes()]),
            Side::End => fill_beyond(self.after, last.and_then(|last| own.get(last..)), beyond),
            Side::Driver(_) | Side::Nobody => {}
        }
    }

    /// The messages to and from both sides.
    fn messages<'m>(&'m mut self, [before, after]: [Side; 2], to: &mut Vec<Message<'m>>) {
        let ghosts = self.ghost_bytes();
        // A driver without rows has no neighbours; any other has rows enough (`Rows::check`).
        let first = self.own.get(..ghosts).unwrap_or_default();
        let last = self.own.get(self.own.len().saturating_sub(ghosts)..).unwrap_or_default();
        let mut both = |peer, (receive, from): (i32, &'m mut [u8]), (send, bytes)| {
            to.push(Message { peer, tag: receive, direction: Direction::From(from) });
            to.push(Message { peer, tag: send, direction: Direction::To(bytes) });
        };
        if let Side::Driver(peer) = before {
            both(peer, (TO_AFTER, &mut *self.before), (TO_BEFORE, first));
        }
        if let Side::Driver(peer) = after {
            both(peer, (TO_BEFORE, &mut *self.after), (TO_AFTER, last));
        }
    }
}

/// Fills ghost rows beyond an end of the whole array, whose last row this is.
fn fill_beyond(ghosts: &mut [u8], row: Option<&[u8]>, beyond: Beyond<'_>) {
    let piece = match beyond {
        Beyond::Element(value) => value,
        Beyond::LastRow => row.unwrap_or_default(),
        // The ring is closed by others; what a shrunken view leaves out needs nothing.
        Beyond::Nothing | Beyond::OtherEnd => return,
    };
    if !piece.is_empty() {
        ghosts.chunks_exact_mut(piece.len()).for_each(|ghost| ghost.copy_from_slice(piece));
    }
}

/// Sends and receives the rows of all arrays.
fn transfer(link: &Link, notice: &Notice, opened: &mut [Opened<'_>], sides: &[[Side; 2]]) {
    let mut peers = Vec::new();
    let mut rows = Vec::new();
    for (array, sides) in opened.iter_mut().zip(sides).filter(|(array, _)| array.width > 0) {
        array.messages(*sides, &mut rows);
    }
    for message in &rows {
        if !peers.contains(&message.peer) {
            peers.push(message.peer);
        }
    }
    link.exchange(notice, &peers, rows);
}

/// Says how many ghost rows of each array can be read.
fn settle(opened: &mut [Opened<'_>], sides: &[[Side; 2]], beyond: Beyond<'_>) {
    for (array, sides) in opened.iter_mut().zip(sides) {
        let width = array.width;
        let [before, after] = sides.map(|side| match side {
            Side::Nobody => 0,
            Side::End if beyond == Beyond::Nothing => 0,
            _ => width,
        });
        if let Some(ghosts) = &mut array.ghosts {
            **ghosts = Ghosts::Fresh { before, after };
        }
    }
}
