//! The tree in which a reduction over the cluster is folded: neighbours in pairs, level by level, whoever has
//! them.
//!
//! Node `index` of level `k` covers the leaves from `index << k` to the next node of that level, as far as
//! there are leaves. A driver folds the nodes that lie wholly in its own leaves; all drivers finish the tree
//! from these.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use std::iter::Peekable;

/// A node, by its level and its number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    level: u32,
    index: usize,
}

impl Node {
    /// The only node of a level that covers all leaves.
    fn top(leaves: usize) -> Node {
        Node { level: leaves.next_power_of_two().trailing_zeros(), index: 0 }
    }

    fn span(self, leaves: usize) -> Span {
        let bound = |index: usize| index.checked_shl(self.level).unwrap_or(leaves).min(leaves);
        Span::new(bound(self.index), bound(self.index.saturating_add(1)))
    }

    fn children(self) -> Option<(Node, Node)> {
        let (level, index) = (self.level.checked_sub(1)?, self.index.saturating_mul(2));
        Some((Node { level, index }, Node { level, index: index.saturating_add(1) }))
    }
}

/// The largest nodes that lie in `own` of `leaves`, in order: at most two of a level.
pub(super) fn nodes(own: Span, leaves: usize) -> Vec<Node> {
    let (mut nodes, mut first) = (Vec::new(), own.lo);
    while first < own.hi {
        let aligned = Node::top(leaves).level.min(first.trailing_zeros());
        let node = (0..=aligned)
            .rev()
            .map(|level| Node { level, index: first.wrapping_shr(level) })
            .find(|node| node.span(leaves).hi <= own.hi);
        // A leaf lies in them.
        let Some(node) = node else { break };
        nodes.push(node);
        first = node.span(leaves).hi;
    }
    nodes
}

/// Folds the leaves of `own`, which these are, to the values of its [`nodes`].
pub(super) fn fold<V>(
    own: Span,
    leaves: usize,
    values: Vec<V>,
    mut combine: impl FnMut(V, V) -> V,
) -> Vec<V> {
    let given = own.range().map(|index| Node { level: 0, index }).zip(values);
    let mut given = given.peekable();
    nodes(own, leaves).into_iter().filter_map(|node| value(node, leaves, &mut given, &mut combine)).collect()
}

/// Folds the values of the nodes that cover all leaves, in order. `None` without leaves.
pub(super) fn finish<V>(
    leaves: usize,
    given: impl Iterator<Item = (Node, V)>,
    mut combine: impl FnMut(V, V) -> V,
) -> Option<V> {
    value(Node::top(leaves), leaves, &mut given.peekable(), &mut combine)
}

/// The value of a node, from the given ones.
fn value<V>(
    node: Node,
    leaves: usize,
    given: &mut Peekable<impl Iterator<Item = (Node, V)>>,
    combine: &mut impl FnMut(V, V) -> V,
) -> Option<V> {
    if node.span(leaves).is_empty() {
        return None;
    }
    if let Some((_, value)) = given.next_if(|(known, _)| *known == node) {
        return Some(value);
    }
    let (left, right) = node.children()?;
    match (value(left, leaves, given, combine), value(right, leaves, given, combine)) {
        (Some(left), Some(right)) => Some(combine(left, right)),
        (left, right) => left.or(right),
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::cluster::rows::Rows;
    use proptest::prelude::*;

    /// Folds texts, so that the result shows the tree.
    fn shape(len: usize, drivers: usize) -> (Option<String>, usize) {
        let rows = Rows::new(len);
        let join = |a: String, b: String| format!("({a} {b})");
        let (mut given, mut most) = (Vec::new(), 0);
        for me in 0..drivers {
            let own = rows.leaves_of(me, drivers);
            let folded = fold(own, rows.leaves(), own.range().map(|leaf| leaf.to_string()).collect(), join);
            let nodes = nodes(own, rows.leaves());
            assert_eq!(nodes.len(), folded.len());
            most = most.max(nodes.len());
            given.extend(nodes.into_iter().zip(folded));
        }
        (finish(rows.leaves(), given.into_iter(), join), most)
    }

    #[test]
    fn neighbours_are_folded_in_pairs() {
        assert_eq!(shape(0, 3).0, None);
        assert_eq!(shape(1, 3).0.as_deref(), Some("0"));
        assert_eq!(shape(5, 1).0.as_deref(), Some("(((0 1) (2 3)) 4)"));
        assert_eq!(shape(7, 4).0.as_deref(), Some("(((0 1) (2 3)) ((4 5) 6))"));
    }

    #[test]
    fn a_driver_sends_a_few_values_however_many_leaves_it_has() {
        for drivers in [1, 2, 3, 7, 64, 1000] {
            assert!(shape(1 << 20, drivers).1 <= 24, "{drivers} drivers");
        }
        assert_eq!((shape(1 << 20, 1).1, shape(1 << 20, 8).1), (1, 1));
    }

    proptest! {
        #[test]
        fn the_tree_is_the_same_for_any_number_of_drivers(len in 0usize..600, drivers in 1usize..20) {
            prop_assert_eq!(shape(len, drivers).0, shape(len, 1).0);
        }
    }
}
