//! The two control segments as the driver owns them.
//!
//! # Safety
//! All mappings live as long as the value that hands out the views. The views borrow nothing: the crew, which
//! owns this, keeps them to itself and to members that hold or borrow the crew.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::memory::{AllocError, AllocOptions, MapAccess, MapOptions, Mapping, Segment, Zeros};
use crate::sys::memory;
use crate::team::board::{Board, BoardLayout};
use crate::team::orders::{ORDERS_BYTES, Orders};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Where the board begins, behind the orders in the same memory: on a page of its own.
const BOARD_AT: usize = ORDERS_BYTES.next_multiple_of(64 << 10);

/// Orders and board of one team.
pub(crate) enum Control {
    Shared {
        orders_fd: OwnedFd,
        orders: Mapping,
        board: Arc<Segment>,
        layout: BoardLayout,
        /// Where all members are threads, who is still in the launch stands here and not on the board.
        pending: Option<Zeros>,
    },
    /// Of a team without members: plain memory, of which a forked child has a copy.
    Private { zeros: Zeros, layout: BoardLayout },
}

impl Control {
    /// Makes the segments for a team of `size`.
    pub(crate) fn new(size: usize) -> Result<Control, AllocError> {
        let os = |call| move |error| AllocError::from_os(call, ORDERS_BYTES, error);
        let orders_fd = memory::create_memfd("phalanx-orders", false).map_err(os("memfd_create"))?;
        memory::set_len(orders_fd.as_fd(), ORDERS_BYTES).map_err(os("ftruncate"))?;
        memory::reserve(orders_fd.as_fd(), 0, ORDERS_BYTES).map_err(os("fallocate"))?;
        let orders =
            Mapping::map(orders_fd.as_fd(), ORDERS_BYTES, MapAccess::ReadWrite, MapOptions::default())
                .map_err(os("mmap"))?;
        // Our own mapping stays writable; nobody can make another such.
        memory::seal_against_writers(orders_fd.as_fd()).map_err(os("F_ADD_SEALS"))?;
        let layout = BoardLayout::new(size);
        let board = Segment::create(layout.len_bytes, &AllocOptions::default())?;
        Ok(Control::Shared { orders_fd, orders, board, layout, pending: None })
    }

    /// The same for a team of threads. The words that end a launch lie in the driver's own memory: whatever
    /// becomes of the board, a launch does not end while a thread is in it, as the thread would go on with
    /// operands that are gone.
    pub(crate) fn of_threads(size: usize) -> Result<Control, AllocError> {
        let mut control = Control::new(size)?;
        if let Control::Shared { pending, layout, .. } = &mut control {
            *pending = Some(Zeros::new(layout.pending_bytes())?);
        }
        Ok(control)
    }

    /// The same for a team whose launches run in the caller.
    #[expect(clippy::arithmetic_side_effects, reason = "a layout has some MiB at most")]
    pub(crate) fn private(size: usize) -> Result<Control, AllocError> {
        let layout = BoardLayout::new(size);
        let zeros = Zeros::new(BOARD_AT + layout.len_bytes)?;
        Ok(Control::Private { zeros, layout })
    }

    pub(crate) fn orders(&self) -> Orders {
        let base = match self {
            Control::Shared { orders, .. } => orders.base(),
            Control::Private { zeros, .. } => zeros.base(),
        };
        // SAFETY: mapped with this length for as long as `self`.
        unsafe { Orders::new(base) }
    }

    pub(crate) fn board(&self) -> Board {
        let (base, layout) = match self {
            Control::Shared { board, layout, .. } => (board.base(), layout),
            // SAFETY: the zeros are longer by as much; before the board are the orders.
            Control::Private { zeros, layout } => (unsafe { zeros.base().add(BOARD_AT) }, layout),
        };
        // SAFETY: mapped with this length for as long as `self`; new memory is zero.
        let board = unsafe { Board::new(base, *layout) };
        match self {
            // SAFETY: zeroed, of that length and aligned to a page, for as long as `self`.
            Control::Shared { pending: Some(pending), .. } => unsafe { board.with_pending(pending.base()) },
            _ => board,
        }
    }

    /// Descriptors of orders and board, for members in other processes.
    pub(crate) fn fds(&self) -> Option<[BorrowedFd<'_>; 2]> {
        match self {
            Control::Shared { orders_fd, board, .. } => Some([orders_fd.as_fd(), board.fd()]),
            Control::Private { .. } => None,
        }
    }
}
