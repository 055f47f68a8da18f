//! Every chunk is claimed once, whoever comes first.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]

use super::*;

fn states(size: usize) -> Vec<Line<StepState>> {
    (0..size).map(|_| Line::default()).collect()
}

/// All that one rank gets.
fn all(states: &[Line<StepState>], rank: usize, step: u32, counts: &[usize]) -> Vec<(usize, usize)> {
    let mut claims = ChunkClaims::new(states, rank, states.len(), step);
    std::iter::from_fn(|| claims.next(|owner| counts[owner])).collect()
}

#[cfg(not(loom))]
#[test]
fn a_rank_alone_takes_its_own_from_the_front_and_others_from_the_back() {
    let states = states(3);
    states.iter().for_each(|state| open(&state.claims, 7));
    let taken = all(&states, 1, 7, &[2, 3, 1]);
    assert_eq!(taken, [(1, 0), (1, 1), (1, 2), (2, 0), (0, 1), (0, 0)]);
    assert_eq!(all(&states, 0, 7, &[2, 3, 1]), []);
}

#[cfg(not(loom))]
#[test]
fn nothing_is_taken_of_a_rank_that_is_at_another_step() {
    let states = states(2);
    open(&states[0].claims, 4);
    open(&states[1].claims, 5);
    assert_eq!(all(&states, 0, 4, &[2, 2]), [(0, 0), (0, 1)]);
    assert_eq!(all(&states, 1, u32::MAX, &[2, 2]), []);
}

#[cfg(not(loom))]
#[test]
fn however_many_claim_at_once_each_chunk_is_claimed_once() {
    let (states, counts) = (states(4), [16, 0, 5, 16]);
    for step in 0..200 {
        states.iter().for_each(|state| open(&state.claims, step));
        let states = &states[..];
        let mut taken: Vec<_> = std::thread::scope(|scope| {
            let ranks: Vec<_> =
                (0..4).map(|rank| scope.spawn(move || all(states, rank, step, &counts))).collect();
            ranks.into_iter().flat_map(|rank| rank.join().unwrap()).collect()
        });
        taken.sort_unstable();
        let want: Vec<_> = counts
            .iter()
            .enumerate()
            .flat_map(|(owner, count)| (0..*count).map(move |chunk| (owner, chunk)))
            .collect();
        assert_eq!(taken, want);
    }
}

#[cfg(loom)]
#[test]
fn two_ranks_share_chunks_while_one_goes_on_to_the_next_step() {
    loom::model(|| {
        let states = loom::sync::Arc::new(states(2));
        states.iter().for_each(|state| open(&state.claims, 1));
        let other = {
            let states = states.clone();
            loom::thread::spawn(move || {
                let taken = all(&states, 1, 1, &[1, 2]);
                // It cannot get past the next meeting before the first has come there, but opens its word.
                open(&states[1].claims, 2);
                taken
            })
        };
        let mut taken = all(&states, 0, 1, &[1, 2]);
        taken.extend(other.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [(0, 0), (1, 0), (1, 1)]);
    });
}
