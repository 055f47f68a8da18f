//! The functions of an MPI library that are called, in the types of its interface.
//!
//! # Safety
//! - All functions are called on the thread that initialized MPI, since a [`Table`] is not `Send`.
//! - A message's bytes are borrowed until [`Mpi::transfer`] returns, which it does only when MPI is done with
//!   all of them. Where MPI fails in between, or somebody gives up, the process ends instead. A message that
//!   is posted by itself holds its bytes on the heap, which do not move with it, and leaks them where it is
//!   dropped before MPI is done with them.
//! - Every other pointer is to a place on the stack or on the heap that outlives the call.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::super::error::ClusterError;
use super::abi::{Abi, Constants};
use super::call::{self, Direction, Message, Mpi, Posted, Unfinished};
use super::library::Opened;
use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;

/// Bytes of one message of MPI's: its counts are `int`.
const PIECE: usize = 1 << 30;
/// Room for texts: the largest of the libraries' (`MPI_MAX_LIBRARY_VERSION_STRING` of MPICH).
const TEXT_BYTES: usize = 8192;
/// `MPI_Isend` and `MPI_Irecv` differ in the constness of the buffer alone.
type Post<A> = unsafe extern "C" fn(
    *mut c_void,
    c_int,
    <A as Abi>::Datatype,
    c_int,
    c_int,
    <A as Abi>::Comm,
    *mut <A as Abi>::Request,
) -> c_int;

macro_rules! table {
    ($($field:ident: $symbol:literal ($($arg:ty),* $(,)?),)*) => {
        pub(super) struct Table<A: Abi> {
            constants: Constants<A>,
            /// Our own copy of the world.
            comm: A::Comm,
            name: String,
            /// Whether we initialized MPI, and so end it.
            is_ours: bool,
            isend: Post<A>,
            irecv: Post<A>,
            $($field: unsafe extern "C" fn($($arg),*) -> c_int,)*
            /// MPI is used by one thread.
            stays: PhantomData<*mut c_void>,
        }

        impl<A: Abi> Table<A> {
            fn load(library: &Opened) -> Result<Table<A>, ClusterError> {
                let constants = A::constants(library)?;
                Ok(Table {
                    comm: constants.world,
                    constants,
                    name: library.name.clone(),
                    is_ours: false,
                    isend: library.function("MPI_Isend")?,
                    irecv: library.function("MPI_Irecv")?,
                    $($field: library.function($symbol)?,)*
                    stays: PhantomData,
                })
            }
        }
    };
}

table! {
    initialized: "MPI_Initialized"(*mut c_int),
    finalized: "MPI_Finalized"(*mut c_int),
    init_thread: "MPI_Init_thread"(*mut c_int, *mut *mut *mut c_char, c_int, *mut c_int),
    finalize: "MPI_Finalize"(),
    abort: "MPI_Abort"(A::Comm, c_int),
    comm_dup: "MPI_Comm_dup"(A::Comm, *mut A::Comm),
    comm_free: "MPI_Comm_free"(*mut A::Comm),
    comm_rank: "MPI_Comm_rank"(A::Comm, *mut c_int),
    comm_size: "MPI_Comm_size"(A::Comm, *mut c_int),
    set_errhandler: "MPI_Comm_set_errhandler"(A::Comm, A::Errhandler),
    testall: "MPI_Testall"(c_int, *mut A::Request, *mut c_int, *mut c_void),
    test: "MPI_Test"(*mut A::Request, *mut c_int, *mut c_void),
    error_string: "MPI_Error_string"(c_int, *mut c_char, *mut c_int),
    library_version: "MPI_Get_library_version"(*mut c_char, *mut c_int),
}

impl<A: Abi> Table<A> {
    /// Loads the functions and initializes MPI, unless the program has done that.
    pub(super) fn start(library: &Opened) -> Result<Table<A>, ClusterError> {
        let mut table = Table::<A>::load(library)?;
        if table.answer("MPI_Finalized", table.finalized)? != 0 {
            return Err(ClusterError::Finalized);
        }
        if table.answer("MPI_Initialized", table.initialized)? == 0 {
            let (no_arguments, mut provided) = (std::ptr::null_mut(), 0);
            // SAFETY: int MPI_Init_thread(int *, char ***, int, int *); null arguments are allowed (MPI-2.0
            // on).
            let rc = unsafe {
                (table.init_thread)(no_arguments, std::ptr::null_mut(), A::SERIALIZED, &raw mut provided)
            };
            table.checked("MPI_Init_thread", rc)?;
            table.is_ours = true;
        }
        let mut comm = table.constants.world;
        // SAFETY: MPI is initialized; the world is a communicator.
        let rc = unsafe { (table.comm_dup)(table.constants.world, &raw mut comm) };
        table.checked("MPI_Comm_dup", rc)?;
        table.comm = comm;
        // SAFETY: our own communicator.
        let rc = unsafe { (table.set_errhandler)(comm, table.constants.errors_return) };
        table.checked("MPI_Comm_set_errhandler", rc)?;
        Ok(table)
    }

    /// Calls a function that answers with one number.
    fn answer(
        &self,
        call: &str,
        function: unsafe extern "C" fn(*mut c_int) -> c_int,
    ) -> Result<c_int, ClusterError> {
        let mut number = 0;
        // SAFETY: the place outlives the call, which is allowed at any time.
        let rc = unsafe { function(&raw mut number) };
        self.checked(call, rc).map(|()| number)
    }

    fn checked(&self, call: &str, rc: c_int) -> Result<(), ClusterError> {
        if rc == 0 {
            return Ok(());
        }
        let reason = self.text(|buffer, len| {
            // SAFETY: the buffer is longer than any library's texts.
            unsafe { (self.error_string)(rc, buffer, len) }
        });
        Err(ClusterError::Library { library: self.name.clone(), call: call.to_owned(), reason })
    }

    /// Ends the job if a call failed while messages are under way: their memory cannot be given back.
    fn insist(&self, call: &str, rc: c_int) {
        if let Err(error) = self.checked(call, rc) {
            self.abort(1, &error.to_string());
        }
    }

    fn text(&self, write: impl FnOnce(*mut c_char, *mut c_int) -> c_int) -> String {
        let (mut buffer, mut len) = (vec![0u8; TEXT_BYTES], 0);
        if write(buffer.as_mut_ptr().cast(), &raw mut len) != 0 {
            return "without a reason".into();
        }
        buffer.truncate(usize::try_from(len).unwrap_or(0));
        String::from_utf8_lossy(&buffer).trim_end_matches(['\0', '\n']).to_owned()
    }

    /// Starts all messages, receives first. Each request stands beside the number of its message.
    fn start_all(&self, messages: &mut [Message<'_>]) -> (Vec<A::Request>, Vec<usize>) {
        let (mut requests, mut of) = (Vec::new(), Vec::new());
        for is_receive in [true, false] {
            for (number, message) in messages.iter_mut().enumerate() {
                let peer = c_int::try_from(message.peer).unwrap_or(c_int::MAX);
                let (function, call, base, len) = match &mut message.direction {
                    Direction::From(bytes) if is_receive => {
                        (self.irecv, "MPI_Irecv", bytes.as_mut_ptr(), bytes.len())
                    }
                    Direction::To(bytes) if !is_receive => {
                        (self.isend, "MPI_Isend", bytes.as_ptr().cast_mut(), bytes.len())
                    }
                    _ => continue,
                };
                for start in (0..len).step_by(PIECE) {
                    let count = len.saturating_sub(start).min(PIECE) as c_int;
                    let mut request = self.constants.no_request;
                    // SAFETY: `start + count` is at most the message's length; the bytes are borrowed until
                    // the request is done. What is sent is only read.
                    let rc = unsafe {
                        function(
                            base.add(start).cast(),
                            count,
                            self.constants.byte,
                            peer,
                            message.tag,
                            self.comm,
                            &raw mut request,
                        )
                    };
                    self.insist(call, rc);
                    requests.push(request);
                    of.push(number);
                }
            }
        }
        (requests, of)
    }

    /// Whether all of them are done.
    fn are_done(&self, requests: &mut [A::Request]) -> bool {
        let count = c_int::try_from(requests.len()).unwrap_or(c_int::MAX);
        let mut is_done = 0;
        // SAFETY: `count` requests of ours.
        let rc = unsafe {
            (self.testall)(
                count,
                requests.as_mut_ptr(),
                &raw mut is_done,
                std::ptr::without_provenance_mut(A::IGNORE),
            )
        };
        self.insist("MPI_Testall", rc);
        is_done != 0
    }

    /// The first of these messages that is not done.
    fn unfinished(
        &self,
        requests: &mut [A::Request],
        of: &[usize],
        among: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        requests.iter_mut().zip(of).filter(|(_, number)| among(**number)).find_map(|(request, number)| {
            let mut is_done = 0;
            // SAFETY: a request of ours; one that is done becomes null, of which MPI says that it is done.
            let rc = unsafe {
                (self.test)(request, &raw mut is_done, std::ptr::without_provenance_mut(A::IGNORE))
            };
            self.insist("MPI_Test", rc);
            (is_done == 0).then_some(*number)
        })
    }
}

impl<A: Abi> Mpi for Table<A> {
    fn rank(&self) -> Result<usize, ClusterError> {
        let mut rank = 0;
        // SAFETY: our own communicator.
        let rc = unsafe { (self.comm_rank)(self.comm, &raw mut rank) };
        self.checked("MPI_Comm_rank", rc).map(|()| usize::try_from(rank).unwrap_or(0))
    }

    fn size(&self) -> Result<usize, ClusterError> {
        let mut size = 0;
        // SAFETY: our own communicator.
        let rc = unsafe { (self.comm_size)(self.comm, &raw mut size) };
        self.checked("MPI_Comm_size", rc).map(|()| usize::try_from(size).unwrap_or(0))
    }

    fn version(&self) -> String {
        let whole = self.text(|buffer, len| {
            // SAFETY: the buffer is as long as the longest that a library needs.
            unsafe { (self.library_version)(buffer, len) }
        });
        let line = whole.lines().next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
        match words[..] {
            ["MPICH", "Version:", version, ..] => format!("MPICH {version}"),
            ["Open", "MPI", version, ..] => format!("Open MPI {}", version.trim_start_matches('v')),
            _ => line.trim().to_owned(),
        }
    }

    fn transfer(
        &self,
        messages: &mut [Message<'_>],
        heads: usize,
        wait: &mut dyn FnMut(Unfinished<'_>),
        check: &mut dyn FnMut(&[Message<'_>]),
    ) {
        let (mut requests, of) = self.start_all(messages);
        while self.unfinished(&mut requests, &of, |number| number < heads).is_some() {
            wait(&mut || self.unfinished(&mut requests, &of, |number| number < heads));
        }
        check(messages.get(..heads).unwrap_or_default());
        while !self.are_done(&mut requests) {
            wait(&mut || self.unfinished(&mut requests, &of, |_| true));
        }
    }

    fn post(&self, peer: usize, tag: i32, mut bytes: Vec<u8>, is_receive: bool) -> Posted {
        let direction = if is_receive { Direction::From(&mut bytes) } else { Direction::To(&bytes) };
        let (requests, _) = self.start_all(&mut [Message { peer, tag, direction }]);
        Posted::new(bytes, Box::new(requests))
    }

    fn is_done(&self, posted: &mut Posted) -> bool {
        let requests = posted.requests.downcast_mut::<Vec<A::Request>>();
        posted.is_done = posted.is_done || requests.is_some_and(|requests| self.are_done(requests));
        posted.is_done
    }

    fn abort(&self, status: i32, why: &str) -> ! {
        call::say_last(why);
        // SAFETY: the world is a communicator. The call ends this process, among others.
        unsafe { (self.abort)(self.constants.world, status) };
        crate::sys::process::exit_now(status)
    }

    fn end(&mut self) {
        let mut comm = self.comm;
        // SAFETY: our own communicator, on which nothing is under way; it is not used after this.
        let rc = unsafe { (self.comm_free)(&raw mut comm) };
        self.insist("MPI_Comm_free", rc);
        if self.is_ours {
            // SAFETY: MPI is initialized, by us, and this is its end.
            let rc = unsafe { (self.finalize)() };
            self.insist("MPI_Finalize", rc);
        }
    }
}
