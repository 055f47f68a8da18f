//! The two control segments as the driver owns them.
//!
//! # Safety
//! Both mappings live as long as the value that hands out the views.
#![allow(unsafe_code)]

use crate::memory::{AllocError, AllocOptions, MapAccess, MapOptions, Mapping, Segment};
use crate::sys::memory;
use crate::team::board::{Board, BoardLayout, ORDERS_BYTES, Orders};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Orders and board of one team.
pub(crate) struct Control {
    orders_fd: OwnedFd,
    orders: Mapping,
    board: Arc<Segment>,
    layout: BoardLayout,
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
        Ok(Control { orders_fd, orders, board, layout })
    }

    pub(crate) fn orders(&self) -> Orders {
        // SAFETY: mapped with this length for as long as `self`.
        unsafe { Orders::new(self.orders.base()) }
    }

    pub(crate) fn board(&self) -> Board {
        // SAFETY: mapped with this length for as long as `self`; new segments are zero.
        unsafe { Board::new(self.board.base(), self.layout) }
    }

    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.orders_fd.as_fd(), self.board.fd()]
    }
}
