//! The kinds of steps that the ranks of a region make together.

/// What kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum StepKind {
    Phase = 1,
    Barrier,
    Broadcast,
    AllReduce,
    ReduceChunks,
    /// The second meeting of a reduce_chunks. It has its own kind so that a rank that left the first half by
    /// a caught panic and begins another reduce_chunks is not mistaken for one that ends it.
    ReduceEnd,
    Leave,
    Sweep,
}

impl StepKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            StepKind::Phase => "a phase",
            StepKind::Sweep => "a sweep",
            StepKind::Barrier => "a barrier",
            StepKind::Broadcast => "a broadcast",
            StepKind::AllReduce => "an all_reduce",
            StepKind::ReduceChunks => "a reduce_chunks",
            StepKind::ReduceEnd => "the end of a reduce_chunks",
            StepKind::Leave => "the body's end",
        }
    }

    pub(super) fn name_of(code: u64) -> &'static str {
        let kinds = [
            Self::Phase,
            Self::Barrier,
            Self::Broadcast,
            Self::AllReduce,
            Self::ReduceChunks,
            Self::ReduceEnd,
            Self::Leave,
            Self::Sweep,
        ];
        kinds.into_iter().find(|kind| *kind as u64 == code).map_or("an unknown step", StepKind::name)
    }
}
