//! A cancel token as an operand.
//!
//! # Safety
//! The flag is an atomic in a segment, which the operand's token keeps alive until no member is in the
//! launch. `handle::open` checks its place.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::handle;
use crate::launch::cancel::CancelToken;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, of};
use crate::shared::Atomic;
use crate::sync::{Borrowed, CreateError, Remote};
use crate::team::board::Board;
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use crate::team::orders::Orders;
use std::sync::atomic::Ordering;

/// A [`CancelToken`](crate::CancelToken) as a kernel sees it, in whichever process it runs.
///
/// ```
/// use phalanx::{CancelToken, LaunchError, Pool};
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let token = CancelToken::new();
/// let outcome = pool.for_each((0..1_000_000, &token), |(span, token)| {
///     if span.contains(&777_777) {
///         token.cancel();
///     }
/// });
/// assert!(matches!(outcome, Err(LaunchError::Cancelled { .. })));
/// assert!(token.is_cancelled());
/// # Ok(())
/// # }
/// ```
pub struct KernelToken {
    flag: Borrowed<'static, Atomic<u32>>,
    board: Board,
    orders: Orders,
    epoch: u64,
}

impl KernelToken {
    /// Cancels the token: this launch and all others that use it. Workers stop at their next chunk. The
    /// kernel that calls this runs on, so it should return.
    pub fn cancel(&self) {
        self.flag.store(1, Ordering::SeqCst);
        self.board.stop().fetch_max(self.epoch, Ordering::AcqRel);
        self.board.fork_join(&self.orders).notify();
    }

    /// Returns whether the token was cancelled, by the program or by any kernel. Reads one shared word.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst) != 0
    }
}

// SAFETY: see the module; what is reached is atomics.
unsafe impl Operand for &CancelToken {
    type Wire = [u64; 3];
    type Local = KernelToken;
    type View<'w> = &'w KernelToken;
    const LAYOUT: u64 = of(Tag::CancelToken);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        let no_memory =
            |error: CreateError| LaunchError::BadGrant { what: "a cancel token", why: error.to_string() };
        let flag = self.make_flag().map_err(no_memory)?;
        if let Some(segment) = flag.place().segment() {
            to.segment(segment);
        }
        to.tokens.push((*self).clone());
        Ok(())
    }
    fn wire(&self) -> [u64; 3] {
        // `describe` has made it before.
        self.flag().map(handle::wire).unwrap_or_default()
    }
    unsafe fn open(wire: &[u64; 3], context: &mut LaunchContext<'_>) -> Result<KernelToken, Fault> {
        // SAFETY: the entry keeps it no longer than the launch.
        let flag = unsafe { handle::open(wire, context) }?;
        let (board, orders) = (context.member.board, context.member.orders);
        Ok(KernelToken { flag, board, orders, epoch: context.order.epoch })
    }
    unsafe fn view<'w>(local: &KernelToken, _chunk: &Chunk) -> &'w KernelToken {
        // SAFETY: the entry keeps `local` in place until its last kernel call has returned, which is what
        // `'w` means.
        unsafe { &*std::ptr::from_ref(local) }
    }
}
