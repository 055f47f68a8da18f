//! Tests of the queues.

mod thread;
