//! What comes back from the board: results, the remains of dead members' tasks, and questions for room.
//!
//! # Safety
//! A slot's bytes, and a task's block, are read after its state said that the member is done with it, or after that
//! member's death was confirmed; lengths that a member wrote are compared with what the driver gave (README.md, rules 2 and 4).
#![allow(unsafe_code)]

use crate::base::atomic::Ordering;
use crate::sys::futex;
use crate::task::board::{Slot, Stage};
use crate::task::codec;
use crate::task::desk::{Books, Desk, Flight, refuse};
use crate::task::error::{ItemFault, TaskError};
use crate::task::heap;
use crate::task::insight::Entry;
use crate::task::parcel::{Arrival, Hurry, Packed, Parcel, Store};
use crate::task::serve::{ASKED, GRANTED, REFUSED};
use crate::team::roster::Obituary;
use std::sync::Arc;

/// Results taken at a time, so that slots come free while the next are delivered.
const AT_ONCE: usize = 256;
/// How often a task may come back from dead members that had not begun it.
const MAX_RETURNS: u32 = 3;

impl Desk {
    /// Takes what is there, and tells the receivers. Gives how many tasks came back.
    pub(crate) fn collect(self: &Arc<Desk>) -> usize {
        // Before the results: whoever died has left all that it ever will.
        let graves = if self.has_graves.swap(false, Ordering::AcqRel) {
            Some(std::mem::take(&mut *self.graves.lock()))
        } else {
            None
        };
        if self.board.was_asked() {
            self.answer();
        }
        let arrived = self.take_arrivals();
        let mut count = arrived.len();
        for (index, flight) in &arrived {
            self.deliver(*index, flight);
        }
        if let Some(graves) = graves {
            count += graves.iter().map(|obituary| self.bury(obituary)).sum::<usize>();
            if self.is_broken.load(Ordering::Acquire) {
                count += self.fail_all(&self.closed_error(), false);
            }
        }
        if count > 0 {
            let placed = {
                let mut books = self.books.lock();
                arrived.iter().for_each(|(index, _)| self.release(&mut books, *index));
                self.refill(&mut books)
            };
            self.call_out(placed);
            // The blocks go back to the shelf.
            drop(arrived);
            self.tell_followers();
        }
        count
    }

    /// Whether members have done tasks that were not taken yet.
    pub(crate) fn has_arrivals(&self) -> bool {
        let books = self.books.lock();
        self.has_graves.load(Ordering::Acquire)
            || books.taken.iter().enumerate().any(|(rank, taken)| self.board.done_count(rank) != *taken)
    }

    fn take_arrivals(&self) -> Vec<(usize, Flight)> {
        let mut arrived = Vec::new();
        let mut books = self.books.lock();
        for rank in 0..books.taken.len() {
            let done = self.board.done_count(rank);
            while books.taken[rank] != done && arrived.len() < AT_ONCE {
                let index = self.board.done_slot(rank, books.taken[rank]);
                books.taken[rank] += 1;
                arrived.extend(index.and_then(|index| self.take_done(&mut books, index)));
            }
        }
        arrived
    }

    /// Takes a task that its member has done.
    fn take_done(&self, books: &mut Books, index: usize) -> Option<(usize, Flight)> {
        if self.board.state(index).stage() != Some(Stage::Done) {
            return None;
        }
        let flight = books.flights[index].take()?;
        books.timed -= usize::from(flight.parcel.limit.is_some());
        Some((index, flight))
    }

    /// Tells a task's receiver what came out.
    fn deliver(&self, index: usize, flight: &Flight) {
        let (slot, parcel) = (self.board.slot(index), &flight.parcel);
        let items = parcel.packed.items;
        if let Some(luggage) = parcel.packed.luggage.as_ref()
            && slot.leases.load(Ordering::Relaxed) > 0
        {
            self.books.lock().kept.push(luggage.clone());
        }
        match self.results_of(index, slot, parcel) {
            // A thread that went on after its time: told long ago.
            _ if parcel.is_told => {}
            Ok((results, faults)) => {
                let (began, ended) = (slot.began.load(Ordering::Relaxed), slot.ended.load(Ordering::Relaxed));
                let rank = slot.rank.load(Ordering::Relaxed) as usize;
                let worked = ended.saturating_sub(began);
                self.costs.note(
                    parcel.body.key(),
                    items,
                    worked as f64 * self.rate.ns_per_tick(),
                    results.len(),
                );
                let queued = began.saturating_sub(parcel.queued);
                self.ledger.lock().note(Entry { rank, first: parcel.first, items, queued, worked });
                parcel.receiver.deliver(Arrival { first: parcel.first, items, results, faults });
            }
            Err(error) => parcel.receiver.fail(parcel.first, items, error),
        }
    }

    /// A done task's results and faults.
    fn results_of<'a>(
        &'a self,
        index: usize,
        slot: &Slot,
        parcel: &'a Parcel,
    ) -> Result<(&'a [u8], Vec<ItemFault>), TaskError> {
        let item = parcel.first;
        let corrupt = |what: &str| TaskError::Corrupt { item, what: what.into() };
        let all = self.result_bytes(index, parcel);
        let len = slot.result_len.load(Ordering::Relaxed) as usize;
        let payload = slot.payload.load(Ordering::Relaxed) as usize;
        if let (Some(verdict), 0) = (&parcel.verdict, len) {
            return Err(verdict.clone().of_item(item));
        }
        let bytes = all.get(..len).ok_or_else(|| corrupt("its results are longer than their room"))?;
        let (results, mut rest) =
            bytes.split_at_checked(payload).ok_or_else(|| corrupt("its results are longer than they say"))?;
        let mut faults = Vec::new();
        for _ in 0..slot.faults.load(Ordering::Relaxed) {
            let (fault, after) =
                codec::read::<ItemFault>(rest).map_err(|_| corrupt("its faults cannot be read"))?;
            faults.push(fault);
            rest = after;
        }
        Ok((results, faults))
    }

    /// Where a task's results are.
    fn result_bytes<'a>(&'a self, index: usize, parcel: &'a Parcel) -> &'a [u8] {
        match &parcel.granted {
            // SAFETY: the block's own bytes, the driver's now.
            Some(block) => unsafe { std::slice::from_raw_parts(block.ptr().as_ptr(), block.len()) },
            None => self.room_bytes(index, parcel),
        }
    }

    /// The room that a task came with, where results are as long as they fit.
    fn room_bytes<'a>(&'a self, index: usize, parcel: &'a Parcel) -> &'a [u8] {
        let packed = &parcel.packed;
        let base = match &packed.store {
            Store::Block(block) => block.ptr().as_ptr(),
            Store::Inline(_) => self.board.inline_bytes(index),
        };
        let (base, len) = (base.wrapping_add(packed.args_len), packed.room);
        // SAFETY: inside the block or slot by construction, and the driver's now.
        unsafe { std::slice::from_raw_parts(base, len) }
    }

    // ------------------------------------------------------------------------------------------- room

    /// Gives room to members that ask for it.
    #[cold]
    fn answer(&self) {
        let mut books = self.books.lock();
        for (index, flight) in books.flights.iter_mut().enumerate() {
            let Some(flight) = flight else { continue };
            let slot = self.board.slot(index);
            // Acquire: pairs with the Release in `ask_for_room`.
            if slot.grant.load(Ordering::Acquire) != ASKED {
                continue;
            }
            let wanted = slot.result_len.load(Ordering::Relaxed) as usize;
            let answer = match heap::take(wanted) {
                Ok(block) => {
                    slot.block.store(block.offset() as u64 + 1, Ordering::Relaxed);
                    slot.room.store(block.len() as u64, Ordering::Relaxed);
                    flight.parcel.granted = Some(block);
                    GRANTED
                }
                Err(source) => {
                    flight.parcel.verdict = Some(TaskError::Memory { item: 0, source: Arc::new(source) });
                    REFUSED
                }
            };
            // Release: the member that sees the answer sees where the room is.
            slot.grant.store(answer, Ordering::Release);
            futex::wake(&slot.grant, 1);
        }
    }

    // ------------------------------------------------------------------------------------------- death

    /// Deals with the tasks of a dead member; gives how many there were.
    #[cold]
    fn bury(self: &Arc<Desk>, obituary: &Obituary) -> usize {
        let mut remains: Vec<(usize, Flight)> = Vec::new();
        {
            let mut books = self.books.lock();
            for index in 0..books.flights.len() {
                let state = self.board.state(index);
                let is_its = state.member() == obituary.member
                    && matches!(state.stage(), Some(Stage::Running | Stage::Condemned | Stage::Done));
                if is_its && let Some(flight) = books.flights[index].take() {
                    books.timed -= usize::from(flight.parcel.limit.is_some());
                    remains.push((index, flight));
                }
            }
        }
        let count = remains.len();
        for (index, flight) in remains {
            let rest = if self.board.state(index).stage() == Some(Stage::Done) {
                self.deliver(index, &flight);
                None
            } else {
                self.salvage(index, &flight, obituary)
            };
            let mut books = self.books.lock();
            self.release(&mut books, index);
            if self.is_over.load(Ordering::Acquire) {
                // What waits has been failed already, under this lock.
                drop(books);
                rest.iter().for_each(|parcel| refuse(parcel, &TaskError::PoolClosed));
                continue;
            }
            books.backlog.extend(rest.into_iter().filter(|parcel| parcel.receiver.is_open()).map(|parcel| {
                let hurry = parcel.packed.luggage.as_ref().map(|_| Hurry::new(self.board));
                Parcel { hurry, ..parcel }
            }));
            let placed = self.refill(&mut books);
            drop(books);
            self.call_out(placed);
        }
        // A wake-up may have died with it.
        self.call_out(u32::try_from(self.board.waiting()).unwrap_or(u32::MAX));
        count
    }

    /// Delivers the items that a dead member had done, fails the one it was running, and gives the rest.
    fn salvage(&self, index: usize, flight: &Flight, obituary: &Obituary) -> Option<Parcel> {
        let (slot, parcel) = (self.board.slot(index), &flight.parcel);
        let items = parcel.packed.items;
        // Acquire: pairs with the Releases in `run_items`.
        let done = (slot.items_done.load(Ordering::Acquire) as usize).min(items);
        let begun = (slot.reading.load(Ordering::Acquire) as usize).min(items);
        let written = slot.written.load(Ordering::Relaxed) as usize;
        if done > 0
            // What did not fit was in the member's own memory, or in a block that it may have filled in part.
            && let Some(results) = self.room_bytes(index, parcel).get(..written)
        {
            let arrival = Arrival { first: parcel.first, items: done, results, faults: Vec::new() };
            parcel.receiver.deliver(arrival);
        }
        let lost = parcel.first + done;
        let error = match &parcel.verdict {
            Some(verdict) => verdict.clone().of_item(lost),
            None => TaskError::WorkerDied {
                item: lost,
                rank: obituary.rank,
                pid: obituary.pid,
                cause: obituary.cause,
                oom: obituary.oom,
            },
        };
        let may_retry = parcel.verdict.is_none() && parcel.retries > 0;
        let (mut from, mut at) = (done, slot.done_at.load(Ordering::Relaxed) as usize);
        let mut next = (parcel.retries - u32::from(may_retry), parcel.returns);
        if begun > done && !may_retry {
            parcel.receiver.fail(lost, begun - done, error.clone());
            (from, at) = (begun, slot.read.load(Ordering::Relaxed) as usize);
        } else if begun <= done {
            next = (parcel.retries, parcel.returns + 1);
        }
        if from >= items {
            return None;
        }
        let rest = if next.1 > MAX_RETURNS { Err(error) } else { parcel.packed.rest(from, at) };
        let first = parcel.first + from;
        match rest {
            Ok(packed) => Some(parcel.again(packed, first, next)),
            Err(error) => {
                parcel.receiver.fail(first, items - from, error.of_item(first));
                None
            }
        }
    }

    /// Fails everything that is under way or waits. Unless the members are gone, the bytes of what they may be running are never
    /// used again.
    pub(crate) fn fail_all(&self, error: &TaskError, are_gone: bool) -> usize {
        let (flights, backlog) = {
            let mut books = self.books.lock();
            let mut flights = Vec::new();
            for index in 0..books.flights.len() {
                if let Some(flight) = books.flights[index].take() {
                    books.under_way -= 1;
                    books.timed -= usize::from(flight.parcel.limit.is_some());
                    flights.push(flight);
                }
            }
            (flights, std::mem::take(&mut books.backlog))
        };
        let count = flights.len() + backlog.len();
        let parcels = flights.into_iter().map(|flight| flight.parcel).chain(backlog);
        for parcel in parcels {
            parcel.receiver.fail(parcel.first, parcel.packed.items, error.clone().of_item(parcel.first));
            if !are_gone {
                std::mem::forget(parcel);
            }
        }
        count
    }
}

impl Parcel {
    /// The same for other items: with so many retries left, and so many fruitless returns.
    fn again(&self, packed: Packed, first: usize, (retries, returns): (u32, u32)) -> Parcel {
        Parcel {
            body: self.body,
            packed,
            granted: None,
            receiver: self.receiver.clone(),
            first,
            limit: self.limit,
            retries,
            returns,
            verdict: None,
            is_told: false,
            queued: 0,
            hurry: None,
        }
    }
}
