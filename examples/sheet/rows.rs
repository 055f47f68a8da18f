//! Rows of the sheet, made from their number: the same in every run on every machine.

use crate::eval::Row;
use crate::parse::COLUMNS;
use common::Dice;

/// One in this many rows has an unknown column, and one a missing end.
const FAULTY: u64 = 400;

/// Returns the row of this number, with an expression of some 40 characters, as people write them.
pub fn row(number: usize) -> Row {
    let mut dice = Dice::new(number as u64);
    let columns = columns(&mut dice);
    let mut text = String::new();
    expression(&mut dice, 3, &mut text);
    match dice.below(FAULTY) {
        0 => text.push_str(" + e"),
        1 => text.push_str(" *"),
        _ => (),
    }
    (text, columns)
}

/// Returns the row of this number, with an expression of one operator.
pub fn short_row(number: usize) -> Row {
    let mut dice = Dice::new(number as u64);
    let columns = columns(&mut dice);
    let mut text = String::new();
    operands(&mut dice, 1, &mut text);
    (text, columns)
}

/// Quarters from -25 to 25.
fn columns(dice: &mut Dice) -> [f64; COLUMNS] {
    std::array::from_fn(|_| (dice.below(201) as f64 - 100.0) / 4.0)
}

fn expression(dice: &mut Dice, depth: u32, text: &mut String) {
    if depth == 0 {
        return leaf(dice, text);
    }
    match dice.below(10) {
        0 => {
            leaf(dice, text);
            text.push_str(dice.one_of(["^2", "^3", "^-1"]));
        }
        1 => {
            text.push_str("-(");
            operands(dice, depth, text);
            text.push(')');
        }
        2 | 3 => {
            text.push('(');
            operands(dice, depth, text);
            text.push(')');
        }
        4 => {
            text.push_str("IF(");
            leaf(dice, text);
            text.push_str(dice.one_of([" = ", " <> ", " < ", " <= ", " > ", " >= "]));
            leaf(dice, text);
            rest_of_call(dice, depth, 2, text);
        }
        5 => {
            text.push_str("ROUND(");
            expression(dice, depth - 1, text);
            text.push_str(dice.one_of([", 0)", ", 2)", ", -1)"]));
        }
        6 => {
            text.push_str(dice.one_of(["SUM(", "MIN(", "MAX(", "AVERAGE("]));
            expression(dice, depth - 1, text);
            let more = 1 + dice.below(3);
            rest_of_call(dice, depth, more, text);
        }
        _ => operands(dice, depth, text),
    }
}

fn rest_of_call(dice: &mut Dice, depth: u32, arguments: u64, text: &mut String) {
    for _ in 0..arguments {
        text.push_str(", ");
        expression(dice, depth - 1, text);
    }
    text.push(')');
}

fn operands(dice: &mut Dice, depth: u32, text: &mut String) {
    expression(dice, depth - 1, text);
    text.push_str(dice.one_of([" + ", " - ", " * ", " / "]));
    expression(dice, depth - 1, text);
}

fn leaf(dice: &mut Dice, text: &mut String) {
    if dice.below(3) == 0 {
        text.push_str(dice.one_of(["1", "2", "0.5", "10", "3.25", "1e3"]));
    } else {
        text.push_str(dice.one_of(["a", "b", "c", "d"]));
    }
}
