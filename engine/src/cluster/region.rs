//! Regions over a cluster: each driver's workers stay in one body, and exchange ghost rows as one of its steps.
//!
//! Only the driver talks to others. All ranks meet, rank 0 asks the driver by a queue and waits for its answer,
//! and all meet again. Meanwhile the region runs on a thread of its own.
//!
//! # Safety
//! The driver takes an array's rows apart by its address ([`GhostRows`]), while the region has borrowed it. It does
//! so only between a question and its answer. Rank 0 asks after all ranks have met, and they meet again after
//! the answer, so no phase is open anywhere in between; a rank that does not come along breaks the team, after
//! which no phase is opened any more. A question that is left over is answered while the arrays are still
//! borrowed: by [`Cluster::region`], which returns after the region and after the last answer.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::array::{ClusterArray, Ghosts};
use super::exchange::{Beyond, Opened};
use super::member::Cluster;
use crate::array::{Element, RangeRef, RangeRefMut, Shape, row_elems};
use crate::base::{Span, up_to_eight};
use crate::channel::Queue;
use crate::code::NoCapture;
use crate::launch::grant::{ArrayWire, Refusal, describe};
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::launch::region::{
    GhostRows, PhaseGhostHalo, PhaseMut, PhaseRef, PhaseWhole, RegionMut, RegionOperand,
};
use crate::launch::{Edge, Launch, LaunchError, RegionError, Team};
use crate::pool::Pool;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut, Range};
use std::panic::{Location, resume_unwind};

/// What rank 0 tells its driver.
#[derive(Serialize, Deserialize)]
enum Word {
    Exchange(Question),
    /// The region is over.
    Over,
}

/// An exchange that the ranks have agreed on.
#[derive(Hash, Serialize, Deserialize)]
struct Question {
    /// Segment and offset of each array.
    arrays: Vec<[u64; 2]>,
    edge: Kind,
    file: String,
    line: u32,
}

/// An edge, in bytes.
#[derive(Hash, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Shrink,
    Clamp,
    Wrap,
    Fill(Vec<u8>),
}

impl Kind {
    fn of<T: Element>(edge: &Edge<T>) -> Kind {
        match edge {
            Edge::Shrink => Kind::Shrink,
            Edge::Clamp => Kind::Clamp,
            Edge::Wrap => Kind::Wrap,
            Edge::Fill(value) => Kind::Fill(bytemuck::bytes_of(value).to_vec()),
        }
    }

    fn beyond(&self) -> Beyond<'_> {
        match self {
            Kind::Shrink => Beyond::Nothing,
            Kind::Clamp => Beyond::LastRow,
            Kind::Wrap => Beyond::OtherEnd,
            Kind::Fill(value) => Beyond::Element(value),
        }
    }
}

/// Between rank 0 and its driver.
#[derive(Clone, Copy)]
struct Wire<'t> {
    words: &'t Queue<Word>,
    /// Why not, if it could not be done.
    answers: &'t Queue<Option<String>>,
}

/// Tells the driver that the region is over, however it ended.
struct TellsEnd<'t>(&'t Queue<Word>);

impl Drop for TellsEnd<'_> {
    fn drop(&mut self) {
        // The driver looks whether the region runs, too.
        let _ = self.0.put(&Word::Over);
    }
}

impl Cluster {
    /// Runs `body` once on every worker of this driver's pool, all at the same time, and returns rank 0's result:
    /// [`Pool::region`](crate::Pool::region) over a cluster. Called by all drivers together.
    ///
    /// The body receives `&mut array` of a [`ClusterArray`] as a [`RegionArray`], whose grants stand in phases,
    /// and exchanges ghost rows by [`ClusterTeam::exchange`]. So a solver stays in one region for all of its
    /// steps. The region runs on a thread of its own, while this one attends to the messages.
    ///
    /// # Errors
    /// As for [`Pool::region`](crate::Pool::region), and [`Error::Sync`](crate::Error::Sync) if shared memory
    /// cannot be allocated.
    ///
    /// ```
    /// use phalanx::{Edge, cluster};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool()?;
    ///     let mut u = cluster.from_fn(&pool, 1000, 1, |i| if i == 500 { 1.0 } else { 0.0 })?;
    ///     let mut v = cluster.zeros::<f64, _>(&pool, 1000, 1)?;
    ///     cluster.region(&pool, (&mut u, &mut v, 20), |team, (mut u, mut v, steps)| {
    ///         for _ in 0..steps {
    ///             team.exchange(&mut u, Edge::Clamp)?;
    ///             team.phase((v.split_mut(), u.halo(1)), |(v, u)| {
    ///                 v.iter_mut().zip(u.windows(3)).for_each(|(v, u)| *v = (u[0] + u[1] + u[2]) / 3.0);
    ///             })?;
    ///             std::mem::swap(&mut u, &mut v);
    ///         }
    ///         Ok(0)
    ///     })?;
    ///     let sum = cluster.reduce(&pool, u.split(), 0.0, |u| u.iter().sum::<f64>(), |a, b| a + b)?;
    ///     assert!((sum - 1.0).abs() < 1e-12);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[track_caller]
    pub fn region<O, R, B>(&self, pool: &Pool, operands: O, body: B) -> Result<R, crate::Error>
    where
        O: RegionOperand + Send,
        R: Element,
        B: for<'w> Fn(&mut ClusterTeam<'_, 'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync,
    {
        const { NoCapture::<B>::OK };
        self.region_with(|| pool.launch(), operands, body)
    }

    /// Same as [`region`](Self::region), with options of the launch, which is made on the region's thread:
    /// `|| pool.launch().cancel(&stop)`.
    ///
    /// # Errors
    /// Same as [`region`](Self::region).
    #[track_caller]
    pub fn region_with<'p, O, R, B>(
        &self,
        launch: impl FnOnce() -> Launch<'p> + Send,
        mut operands: O,
        body: B,
    ) -> Result<R, crate::Error>
    where
        O: RegionOperand + Send,
        R: Element,
        B: for<'w> Fn(&mut ClusterTeam<'_, 'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync,
    {
        const { NoCapture::<B>::OK };
        let mut arrays = Vec::new();
        operands.ghosted(&mut arrays);
        let (words, answers) = (Queue::new()?, Queue::new()?);
        std::thread::scope(|scope| {
            let (words, answers) = (&words, &answers);
            let region = scope.spawn(move || {
                let _over = TellsEnd(words);
                launch().region((operands, words, answers), move |team, (handles, words, answers)| {
                    let wire = Wire { words: &words, answers: &answers };
                    body(&mut ClusterTeam { team, wire }, handles)
                })
            });
            while let Ok(Word::Exchange(question)) = words.get() {
                // A rank that has died does not wait for it.
                let _ = answers.put(&self.answer(&question, &arrays).err());
            }
            let ended = region.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok(ended?)
        })
    }

    /// Exchanges what rank 0 has asked for.
    fn answer(&self, question: &Question, arrays: &[GhostRows]) -> Result<(), String> {
        let mut opened = Vec::new();
        for (number, key) in question.arrays.iter().enumerate() {
            let array =
                arrays.iter().find(|array| array.key == *key).ok_or("the region has no such array")?;
            if question.arrays[..number].contains(key) {
                return Err("one array stands twice in an exchange".into());
            }
            // SAFETY: see the module; no array stands twice.
            opened.push(unsafe { open(array) });
        }
        let site = (question.file.as_str(), question.line);
        self.exchange_opened(&mut opened, question.edge.beyond(), site);
        Ok(())
    }
}

/// Takes an array apart by its address.
///
/// # Safety
/// Nobody else reads or writes the array for `'a`, and it is not opened twice.
unsafe fn open(array: &GhostRows) -> Opened<'_> {
    let GhostRows { own, own_bytes, width, row_bytes, .. } = *array;
    let ghosts = width.saturating_mul(row_bytes);
    // SAFETY: the ghost rows lie before and after the own rows in the array's storage (`ghosted`).
    let (before, after) = unsafe { (own.sub(ghosts), own.add(own_bytes)) };
    // SAFETY: mapped, initialised, and this function's alone by the caller's word.
    let before = unsafe { std::slice::from_raw_parts_mut(before.as_ptr(), ghosts) };
    // SAFETY: as above.
    let after = unsafe { std::slice::from_raw_parts_mut(after.as_ptr(), ghosts) };
    // SAFETY: as above; the own rows are only read.
    let own = unsafe { std::slice::from_raw_parts(own.as_ptr(), own_bytes) };
    Opened { shape: &array.shape, width, row_bytes, own, before, after, ghosts: None }
}

/// The ranks of a driver's region over a cluster: a [`Team`], whose steps it has, and the exchange of ghost rows.
pub struct ClusterTeam<'t, 'w> {
    team: &'t mut Team<'w>,
    wire: Wire<'t>,
}

impl<'w> Deref for ClusterTeam<'_, 'w> {
    type Target = Team<'w>;
    fn deref(&self) -> &Team<'w> {
        self.team
    }
}

impl<'w> DerefMut for ClusterTeam<'_, 'w> {
    fn deref_mut(&mut self) -> &mut Team<'w> {
        self.team
    }
}

impl ClusterTeam<'_, '_> {
    /// Fills the ghost rows of arrays with the nearest rows of this driver's neighbours, as
    /// [`Cluster::exchange`] does. A step of all ranks, which sees what earlier phases wrote.
    ///
    /// Costs three steps of the team, two messages through queues to the driver and back, and the exchange itself.
    /// With [`Edge::Shrink`] it costs nothing in a cluster of one.
    ///
    /// # Errors
    /// As for [`Team::phase`]. [`RegionError::Ghosts`] if ranks name different arrays or edges.
    #[track_caller]
    pub fn exchange<T: Element>(
        &mut self,
        mut arrays: impl RegionExchange<T>,
        edge: Edge<T>,
    ) -> Result<(), RegionError> {
        let failed = |why: String| RegionError::Ghosts { why };
        let site = Location::caller();
        let mut keys = Vec::new();
        let is_alone = arrays.keys(&mut keys);
        if !(is_alone && matches!(edge, Edge::Shrink)) {
            let (edge, file) = (Kind::of(&edge), site.file().to_owned());
            let question = Question { arrays: keys, edge, file, line: site.line() };
            let mut hasher = DefaultHasher::new();
            question.hash(&mut hasher);
            let own = hasher.finish();
            let first = self.team.broadcast(0, own)?;
            if first != own {
                let why = format!("rank {} exchanges something else than rank 0 ({site})", self.rank());
                return Err(failed(why));
            }
            if self.rank() == 0 {
                let lost =
                    |error: &dyn std::fmt::Display| failed(format!("the driver cannot be asked: {error}"));
                self.wire.words.put(&Word::Exchange(question)).map_err(|error| lost(&error))?;
                let answer = self.wire.answers.get().map_err(|error| lost(&error))?;
                answer.map_or(Ok(()), |why| Err(failed(why)))?;
            }
            self.team.barrier()?;
        }
        arrays.refresh(matches!(edge, Edge::Shrink));
        Ok(())
    }
}

/// Handles of arrays whose ghost rows are exchanged in one step: `&mut u`, or a tuple of up to 8 of these, all of
/// one element type.
pub trait RegionExchange<T: Element>: sealed::Sealed {
    /// Adds the arrays' names. Returns true if there is no other driver.
    #[doc(hidden)]
    fn keys(&self, to: &mut Vec<[u64; 2]>) -> bool;
    /// Marks ghost rows as fresh; with `shrinks`, there are none beyond the ends.
    #[doc(hidden)]
    fn refresh(&mut self, shrinks: bool);
}

mod sealed {
    pub trait Sealed {}
}

/// The handle of an array over a cluster that a region may write (`&mut array`): no access to data, only the means
/// to grant it in a phase. Its grants are of this driver's rows.
pub struct RegionArray<'w, T, D> {
    storage: RegionMut<'w, T, D>,
    key: [u64; 2],
    at: Place,
    ghosts: Ghosts,
}

/// Where an array lies in its storage, and in the whole array.
#[derive(Clone, Copy)]
struct Place {
    own: Span,
    front: usize,
    width: usize,
    /// Whether the driver has the whole array's first rows, and its last ones; whether it is the only driver.
    is_first: bool,
    is_last: bool,
    is_alone: bool,
}

impl Place {
    fn words(self) -> [u64; 7] {
        let Place { own, front, width, is_first, is_last, is_alone } = self;
        let numbers = [own.lo, own.hi, front, width].map(|number| number as u64);
        let [lo, hi, front, width] = numbers;
        let [is_first, is_last, is_alone] = [is_first, is_last, is_alone].map(u64::from);
        [lo, hi, front, width, is_first, is_last, is_alone]
    }

    fn from_words([lo, hi, front, width, is_first, is_last, is_alone]: [u64; 7]) -> Place {
        let [lo, hi, front, width] = [lo, hi, front, width].map(|number| number as usize);
        let [is_first, is_last, is_alone] = [is_first, is_last, is_alone].map(|flag| flag != 0);
        Place { own: Span::new(lo, hi), front, width, is_first, is_last, is_alone }
    }
}

impl<T: Element, D: Shape> ClusterArray<T, D> {
    fn place(&self) -> Place {
        let ClusterArray { own, front, width, is_alone, .. } = *self;
        let (is_first, is_last) = (own.lo == 0, own.hi == self.dim.slice()[0]);
        Place { own, front, width, is_first, is_last, is_alone }
    }
}

/// By what rank 0 names an array to the driver.
fn key_of(storage: &ArrayWire) -> [u64; 2] {
    let [segment, offset, ..] = storage.words();
    [segment, offset]
}

// SAFETY: a handle gives no access to data; phases do, by the storage's own handle.
unsafe impl<T: Element, D: Shape> RegionOperand for &mut ClusterArray<T, D> {
    type Wire = (ArrayWire, [u64; 7]);
    type Handle<'w> = RegionArray<'w, T, D>;
    const LAYOUT: u64 = sized(Tag::RegionArray, size_of::<T>());
    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(&RangeRef::of(&self.storage), "an array over a cluster, of a region", true, to)
    }
    fn wire(&self) -> Self::Wire {
        (ArrayWire::of(&RangeRef::of(&self.storage)), self.place().words())
    }
    fn ghosted(&mut self, to: &mut Vec<GhostRows>) {
        let (key, stored) = (key_of(&ArrayWire::of(&RangeRef::of(&self.storage))), self.stored(self.own));
        self.ghosts = Ghosts::Stale(Location::caller());
        let row_bytes = row_elems(&self.dim).saturating_mul(size_of::<T>());
        let own = RangeRefMut::of(&mut self.storage).range_mut(stored);
        let own_bytes = own.len().saturating_mul(size_of::<T>());
        to.push(GhostRows {
            key,
            shape: self.dim.slice().to_vec(),
            row_bytes,
            width: self.width,
            own: own.base().cast(),
            own_bytes,
        });
    }
    unsafe fn handle<'w>(
        (storage, place): &Self::Wire,
        context: &mut LaunchContext<'_>,
    ) -> Result<Self::Handle<'w>, Fault> {
        let (key, at) = (key_of(storage), Place::from_words(*place));
        // SAFETY: the wire of this very kind, by the caller's promise.
        let storage = unsafe { <&mut crate::SharedArray<T, D> as RegionOperand>::handle(storage, context) }?;
        let rows = at.own.len().checked_add(at.front).and_then(|rows| rows.checked_add(at.width));
        if rows.is_none_or(|rows| rows > storage.rows()) || at.front < at.width {
            return Err(fault(FaultKind::Corrupt, "the ghost rows of an array make no sense"));
        }
        Ok(RegionArray { storage, key, at, ghosts: Ghosts::Stale(Location::caller()) })
    }
}

impl<T: Element, D: Shape> RegionArray<'_, T, D> {
    /// Returns which rows of the whole array this driver has. As an operand of a phase it tells the kernel which
    /// rows are this rank's.
    pub fn my_rows(&self) -> Range<usize> {
        self.at.own.range()
    }

    /// Grants read and write access to this rank's rows. Ghost rows are stale from now on.
    #[track_caller]
    pub fn split_mut(&mut self) -> PhaseMut<'_, T, D> {
        self.ghosts = Ghosts::Stale(Location::caller());
        self.storage.range_mut(self.stored().range()).split_mut()
    }

    /// Grants read access to this rank's rows.
    pub fn split(&self) -> PhaseRef<'_, T, D> {
        self.storage.range(self.stored().range()).split()
    }

    /// Grants read access to all rows of this driver.
    pub fn mine(&self) -> PhaseWhole<'_, T, D> {
        self.storage.range(self.stored().range()).whole()
    }

    /// Grants read access to this rank's rows and to `k` rows on each side, ghost rows among them. See
    /// [`ClusterArray::halo`]; the phase fails with [`RegionError::Ghosts`] where a launch would be refused.
    pub fn halo(&self, k: usize) -> PhaseGhostHalo<'_, T, D> {
        let stored = self.stored();
        let (before, after, refusal) = match self.ghosts {
            _ if k > self.at.width => (0, 0, Some(Refusal::Narrow { k, width: self.at.width })),
            Ghosts::Stale(site) if k > 0 => (0, 0, Some(Refusal::Stale(site))),
            Ghosts::Stale(_) => (0, 0, None),
            Ghosts::Fresh { before, after } => (before.min(k), after.min(k), None),
        };
        let seen = Span::new(stored.lo.saturating_sub(before), stored.hi.saturating_add(after));
        self.storage.ghost_halo(seen, (before, stored.len()), k, refusal)
    }

    /// Where the driver's rows lie in the storage.
    fn stored(&self) -> Span {
        let Place { own, front, .. } = self.at;
        Span::new(front, front.saturating_add(own.len()))
    }
}

impl<T, D> sealed::Sealed for &mut RegionArray<'_, T, D> {}

impl<T: Element, D: Shape> RegionExchange<T> for &mut RegionArray<'_, T, D> {
    fn keys(&self, to: &mut Vec<[u64; 2]>) -> bool {
        to.push(self.key);
        self.at.is_alone
    }
    fn refresh(&mut self, shrinks: bool) {
        let Place { own, width, is_first, is_last, .. } = self.at;
        let rows = |is_end: bool| if own.is_empty() || (shrinks && is_end) { 0 } else { width };
        self.ghosts = Ghosts::Fresh { before: rows(is_first), after: rows(is_last) };
    }
}

macro_rules! tuples { ($( ($($o:ident $i:tt),+) )*) => { $(
    impl<$($o: sealed::Sealed),+> sealed::Sealed for ($($o,)+) {}

    impl<T: Element, $($o: RegionExchange<T>),+> RegionExchange<T> for ($($o,)+) {
        fn keys(&self, to: &mut Vec<[u64; 2]>) -> bool {
            let mut is_alone = true;
            $( is_alone &= self.$i.keys(to); )+
            is_alone
        }
        fn refresh(&mut self, shrinks: bool) {
            $( self.$i.refresh(shrinks); )+
        }
    }
)* } }
up_to_eight!(tuples);
