//! Values of expressions: 64-bit floats throughout, 1 and 0 for true and false.
//!
//! Every result is finite; otherwise the operator is at fault. Powers with small whole exponents
//! are products, so that the same bits come out wherever the program runs.

use crate::parse::{COLUMNS, Expression, Fault, Function, Kind, Link, Operator, parse};

/// A row of the sheet: an expression and the columns it refers to.
pub type Row = (String, [f64; COLUMNS]);
/// What a row's cell shows.
pub type Cell = Result<f64, Fault>;

/// The exponents up to here are computed by multiplying.
const MOST_PRODUCTS: f64 = 1024.0;
/// `ROUND` to more places than this, before or behind the point, is the same for all 64-bit floats.
const MOST_PLACES: f64 = 330.0;

/// Parses and evaluates a row's expression: the function that all ways of this program call.
pub fn evaluate((text, columns): Row) -> Cell {
    value(&parse(&text)?, &columns)
}

/// The value of an expression over a row's columns.
pub fn value(expression: &Expression, columns: &[f64; COLUMNS]) -> Cell {
    match expression {
        Expression::Number(number) => Ok(*number),
        Expression::Column(column) => Ok(columns[*column]),
        Expression::Negated(inner) => Ok(-value(inner, columns)?),
        Expression::Chain(first, rest) => {
            rest.iter().try_fold(value(first, columns)?, |left, ((operator, at), right): &Link| {
                binary(left, *operator, *at, value(right, columns)?)
            })
        }
        Expression::Power(base, at, exponent) => power(value(base, columns)?, value(exponent, columns)?, *at),
        Expression::Call(function, at, arguments) => call(*function, *at, arguments, columns),
    }
}

fn finite(value: f64, at: usize) -> Cell {
    if value.is_finite() { Ok(value) } else { Err(Kind::TooLarge.at(at)) }
}

fn binary(left: f64, operator: Operator, at: usize, right: f64) -> Cell {
    let truth = |holds| Ok(f64::from(u8::from(holds)));
    match operator {
        Operator::Equal => truth(left == right),
        Operator::Unequal => truth(left != right),
        Operator::AtMost => truth(left <= right),
        Operator::AtLeast => truth(left >= right),
        Operator::Less => truth(left < right),
        Operator::Greater => truth(left > right),
        Operator::Plus => finite(left + right, at),
        Operator::Minus => finite(left - right, at),
        Operator::Times => finite(left * right, at),
        Operator::Over if right == 0.0 => Err(Kind::DivisionByZero.at(at)),
        Operator::Over => finite(left / right, at),
    }
}

fn power(base: f64, exponent: f64, at: usize) -> Cell {
    if base == 0.0 && exponent < 0.0 {
        return Err(Kind::DivisionByZero.at(at));
    }
    if base < 0.0 && exponent.fract() != 0.0 {
        return Err(Kind::NotReal.at(at));
    }
    if exponent.fract() != 0.0 || exponent.abs() > MOST_PRODUCTS {
        return finite(base.powf(exponent), at);
    }
    let (mut square, mut left, mut product) = (base, exponent.abs() as u32, 1.0);
    while left > 0 {
        if left & 1 == 1 {
            product *= square;
        }
        square *= square;
        left >>= 1;
    }
    finite(if exponent < 0.0 { 1.0 / product } else { product }, at)
}

fn call(function: Function, at: usize, arguments: &[Expression], columns: &[f64; COLUMNS]) -> Cell {
    let of = |number: usize| value(&arguments[number], columns);
    let fold = |by: fn(f64, f64) -> f64| {
        (1..arguments.len()).try_fold(of(0)?, |so_far, number| finite(by(so_far, of(number)?), at))
    };
    match function {
        Function::Sum => fold(|a, b| a + b),
        Function::Min => fold(f64::min),
        Function::Max => fold(f64::max),
        Function::Average => Ok(fold(|a, b| a + b)? / arguments.len() as f64),
        // The branch not taken is not evaluated, and may be faulty.
        Function::If => of(if of(0)? != 0.0 { 1 } else { 2 }),
        Function::Round => finite(round(of(0)?, of(1)?), at),
    }
}

/// Rounds to that many decimal places, or to tens and hundreds if negative; halves away from zero, as in
/// spreadsheets. Returns the value unchanged if a float cannot hold that many digits.
fn round(number: f64, places: f64) -> f64 {
    let places = places.trunc().clamp(-MOST_PLACES, MOST_PLACES);
    let scale = (0..places.abs() as u32).fold(1.0, |scale: f64, _| scale * 10.0);
    if scale.is_infinite() {
        return if places < 0.0 { 0.0 } else { number };
    }
    if places < 0.0 {
        return (number / scale).round() * scale;
    }
    let whole = (number * scale).round();
    if whole.is_finite() { whole / scale } else { number }
}
