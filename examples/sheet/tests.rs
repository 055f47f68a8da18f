//! The language: what expressions mean, and what is reported for those that are wrong.

use crate::eval::{Cell, evaluate};
use crate::{is_same, rows};
use proptest::prelude::*;

const COLUMNS: [f64; 4] = [3.0, -2.0, 0.5, 0.0];

fn cell(text: &str) -> Cell {
    evaluate((text.to_owned(), COLUMNS))
}

#[track_caller]
fn is(text: &str, value: f64) {
    assert!(is_same(&cell(text), &Ok(value)), "{text} is {:?}, not {value}", cell(text));
}

#[track_caller]
fn fails(text: &str, fault: &str) {
    assert_eq!(cell(text).map_err(|fault| fault.to_string()), Err(fault.to_owned()), "{text}");
}

#[test]
fn operators_bind_as_in_mathematics() {
    is("1 + 2 * 3", 7.0);
    is("(1 + 2) * 3", 9.0);
    is("10 - 4 - 3", 3.0);
    is("24 / 4 / 3", 2.0);
    is("2 * 3 ^ 2", 18.0);
    is("1 + 1 = 2", 1.0);
    is("1 < 2 = 1", 1.0);
}

#[test]
fn powers_bind_from_the_right() {
    is("2 ^ 3 ^ 2", 512.0);
    is("(2 ^ 3) ^ 2", 64.0);
    is("2 ^ -1", 0.5);
    is("2 ^ -1 ^ 2", 0.5);
    is("9 ^ 0.5", 3.0);
    is("0 ^ 0", 1.0);
}

#[test]
fn a_sign_binds_weaker_than_a_power() {
    is("-2 ^ 2", -4.0);
    is("(-2) ^ 2", 4.0);
    is("--2", 2.0);
    is("2 - -3", 5.0);
    is("+b", -2.0);
    is("-d", -0.0);
}

#[test]
fn columns_functions_and_blanks() {
    is("a", 3.0);
    is(" A+b\t*c ", 2.0);
    is("sum(a, b, c, d)", 1.5);
    is("MIN(a, b, c, d)", -2.0);
    is("MAX(a)", 3.0);
    is("Average(a, b)", 0.5);
    is("IF(a > b, 1e2, .5)", 100.0);
    is("IF(d, a, b)", -2.0);
}

#[test]
fn comparisons_give_one_or_zero() {
    for (text, holds) in
        [("a = 3", 1.0), ("a <> 3", 0.0), ("a <= 3", 1.0), ("a >= 4", 0.0), ("a < 3", 0.0), ("a > b", 1.0)]
    {
        is(text, holds);
    }
}

#[test]
fn rounding_takes_halves_away_from_zero() {
    is("ROUND(2.5, 0)", 3.0);
    is("ROUND(-2.5, 0)", -3.0);
    is("ROUND(2.71828, 1)", 2.7);
    is("ROUND(1250, -2)", 1300.0);
    is("ROUND(1e300, 20)", 1e300);
    is("ROUND(12, -400)", 0.0);
    is("ROUND(0.25, 400)", 0.25);
    fails("ROUND(1.7e308, -308)", "result too large at character 1");
}

#[test]
fn only_the_chosen_branch_is_evaluated() {
    is("IF(d = 0, 1, a / d)", 1.0);
    fails("IF(d = 0, a / d, 1)", "division by zero at character 13");
}

#[test]
fn faults_of_syntax_have_a_place() {
    fails("", "unexpected end at character 1");
    fails("1 +", "unexpected end at character 4");
    fails("1 + * 2", "unexpected '*' at character 5");
    fails("(a + b", "unexpected end at character 7");
    fails("a b", "unexpected 'b' at character 3");
    fails("a)", "unexpected ')' at character 2");
    fails("SUM()", "unexpected ')' at character 5");
    fails("MAX(a, )", "unexpected ')' at character 8");
    fails("1 § 2", "unexpected '§' at character 3");
}

#[test]
fn faults_of_names_have_a_place() {
    fails("a + e", "unknown column e (there are a, b, c and d) at character 5");
    fails("inf", "unknown column inf (there are a, b, c and d) at character 1");
    fails("1 + SUMME(a)", "unknown function SUMME at character 5");
    fails("if(a, b)", "IF takes 3 arguments, not 2 at character 1");
}

#[test]
fn faults_of_values_have_a_place() {
    fails("1 / d", "division by zero at character 3");
    fails("d ^ -1", "division by zero at character 3");
    fails("b ^ c", "no real result at character 3");
    fails("1e200 * 1e200", "result too large at character 7");
    fails("1e999", "result too large at character 1");
}

#[test]
fn depth_and_length_are_bounded_but_long_sums_are_not_deep() {
    let deep = |n| "(".repeat(n) + "1" + &")".repeat(n);
    is(&deep(63), 1.0);
    fails(&deep(64), "brackets, signs or powers more than 64 deep at character 65");
    fails(&"-".repeat(8000), "brackets, signs or powers more than 64 deep at character 65");
    is(&("1".to_owned() + &"+1".repeat(4000)), 4001.0);
    fails(&"1".repeat(9000), "expression longer than 8192 bytes at character 1");
}

#[test]
fn rows_are_the_same_each_time_and_mostly_sound() {
    let faults = (0..5000)
        .filter(|&number| {
            assert_eq!(rows::row(number), rows::row(number));
            evaluate(rows::row(number)).is_err()
        })
        .count();
    assert!((1..500).contains(&faults), "{faults}");
}

/// An expression of a shape of its own, to compare the parser's with.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(u8),
    Negated(Box<Tree>),
    Binary(Box<Tree>, char, Box<Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    (0u8..9).prop_map(Tree::Leaf).prop_recursive(5, 40, 2, |inner| {
        let binary = (inner.clone(), prop::sample::select(vec!['<', '+', '-', '*']), inner.clone());
        prop_oneof![
            inner.prop_map(|inner| Tree::Negated(Box::new(inner))),
            binary.prop_map(|(left, sign, right)| Tree::Binary(Box::new(left), sign, Box::new(right))),
        ]
    })
}

impl Tree {
    fn value(&self) -> f64 {
        match self {
            Tree::Leaf(digit) => f64::from(*digit),
            Tree::Negated(inner) => -inner.value(),
            Tree::Binary(left, sign, right) => match (left.value(), sign, right.value()) {
                (left, '<', right) => f64::from(u8::from(left < right)),
                (left, '+', right) => left + right,
                (left, '-', right) => left - right,
                (left, _, right) => left * right,
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Tree::Binary(_, '<', _) => 0,
            Tree::Binary(_, '+' | '-', _) => 1,
            Tree::Binary(..) => 2,
            Tree::Negated(_) => 3,
            Tree::Leaf(_) => 4,
        }
    }

    /// With brackets only where it needs them, for something of this rank at least.
    fn text(&self, least: u8) -> String {
        let text = match self {
            Tree::Leaf(digit) => digit.to_string(),
            Tree::Negated(inner) => format!("-{}", inner.text(3)),
            Tree::Binary(left, sign, right) => {
                format!("{}{sign}{}", left.text(self.rank()), right.text(self.rank() + 1))
            }
        };
        if self.rank() < least { format!("({text})") } else { text }
    }
}

proptest! {
    #[test]
    fn brackets_are_needed_only_where_rank_says(tree in trees()) {
        let text = tree.text(0);
        prop_assert!(is_same(&cell(&text), &Ok(tree.value())), "{text} is {:?}", cell(&text));
    }

    #[test]
    fn any_text_gives_a_finite_value_or_a_place_in_it(text in "[-+*/^()<>=,.0-9a-fIFSUMé ]{0,40}") {
        match cell(&text) {
            Ok(value) => prop_assert!(value.is_finite()),
            Err(fault) => prop_assert!(fault.at <= text.chars().count()),
        }
    }
}
