//! Prefix sums, and prefixes under any associative operator.
