//! Spreadsheet expressions, parsed with winnow's combinators.
//!
//! ```text
//! comparison = sum { ("=" | "<>" | "<=" | ">=" | "<" | ">") sum }
//! sum        = product { ("+" | "-") product }
//! product    = signed { ("*" | "/") signed }
//! signed     = ("-" | "+") signed | power
//! power      = primary [ "^" signed ]
//! primary    = number | column | function "(" comparison { "," comparison } ")" | "(" comparison ")"
//! ```
//!
//! `^` binds from the right and stronger than a sign before it, as in mathematics: `-2^2` is -4 and `2^3^2`
//! is 512 (spreadsheet programs differ in both). Case does not matter in names. Blanks may stand between any
//! two parts.

use serde::{Deserialize, Serialize};
use winnow::ascii::{float, multispace0};
use winnow::combinator::{alt, cut_err, delimited, dispatch, empty, eof, fail, opt, peek, preceded, repeat};
use winnow::error::{ErrMode, ParserError};
use winnow::stream::{Location, Stream};
use winnow::token::{any, one_of, take_while};
use winnow::{LocatingSlice, ModalResult, Parser, Stateful};

/// Columns of a row, a to d.
pub const COLUMNS: usize = 4;
/// Bytes of the longest expression: what spreadsheet programs allow.
const LONGEST: usize = 8192;
/// How deep signs, powers, brackets and calls may nest. Bounds the stack that an expression takes.
const DEEPEST: usize = 64;

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, thiserror::Error)]
#[error("{kind} at character {}", .at + 1)]
pub struct Fault {
    /// Characters before the place.
    pub at: usize,
    /// What is wrong there.
    pub kind: Kind,
}

/// What can be wrong with an expression.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, thiserror::Error)]
pub enum Kind {
    #[error("unexpected '{0}'")]
    Unexpected(char),
    #[error("unexpected end")]
    Ended,
    #[error("unknown column {0} (there are a, b, c and d)")]
    UnknownColumn(String),
    #[error("unknown function {0}")]
    UnknownFunction(String),
    #[error("{function} takes {takes} arguments, not {given}")]
    ArgumentCount { function: String, takes: usize, given: usize },
    #[error("brackets, signs or powers more than {DEEPEST} deep")]
    TooDeep,
    #[error("expression longer than {LONGEST} bytes")]
    TooLong,
    #[error("division by zero")]
    DivisionByZero,
    #[error("no real result")]
    NotReal,
    #[error("result too large")]
    TooLarge,
}

impl Kind {
    pub fn at(self, at: usize) -> Fault {
        Fault { at, kind: self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    Equal,
    Unequal,
    AtMost,
    AtLeast,
    Less,
    Greater,
    Plus,
    Minus,
    Times,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    Sum,
    Min,
    Max,
    Average,
    If,
    Round,
}

impl Function {
    fn named(name: &str) -> Option<Function> {
        use Function::{Average, If, Max, Min, Round, Sum};
        let named =
            [("SUM", Sum), ("MIN", Min), ("MAX", Max), ("AVERAGE", Average), ("IF", If), ("ROUND", Round)];
        named.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, function)| function)
    }

    /// How many arguments the function takes, unless it takes any number.
    fn takes(self) -> Option<usize> {
        match self {
            Function::If => Some(3),
            Function::Round => Some(2),
            Function::Sum | Function::Min | Function::Max | Function::Average => None,
        }
    }
}

/// A parsed expression. Places are characters from its beginning.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Number(f64),
    Column(usize),
    Negated(Box<Expression>),
    /// Operators of equal precedence, applied from the left: a list, so that long sums do not nest.
    Chain(Box<Expression>, Vec<Link>),
    Power(Box<Expression>, usize, Box<Expression>),
    Call(Function, usize, Vec<Expression>),
}

/// An operator, its place, and its right operand.
pub type Link = ((Operator, usize), Expression);

/// Text with the position in it, and how deep the parser is.
type Input<'t> = Stateful<LocatingSlice<&'t str>, usize>;
type Parsed<T> = ModalResult<T, Fault>;

impl ParserError<Input<'_>> for Fault {
    type Inner = Fault;

    fn from_input(input: &Input<'_>) -> Fault {
        let found = input.peek_token().map_or(Kind::Ended, Kind::Unexpected);
        found.at(input.current_token_start())
    }

    fn into_inner(self) -> Result<Fault, Fault> {
        Ok(self)
    }
}

/// Parses a whole expression.
///
/// # Errors
/// A [`Fault`] at the first character that does not fit.
pub fn parse(text: &str) -> Result<Expression, Fault> {
    if text.len() > LONGEST {
        return Err(Kind::TooLong.at(0));
    }
    let mut input = Stateful { input: LocatingSlice::new(text), state: 0 };
    let parsed = delimited(multispace0, comparison, eof).parse_next(&mut input);
    parsed.map_err(|error| match error {
        ErrMode::Backtrack(fault) | ErrMode::Cut(fault) => fault,
        ErrMode::Incomplete(_) => Kind::Ended.at(text.len()),
    })
}

/// The parser, its place, and the blanks behind it.
fn token<'t, T>(
    parser: impl Parser<Input<'t>, T, ErrMode<Fault>>,
) -> impl Parser<Input<'t>, (T, usize), ErrMode<Fault>> {
    (parser.with_span(), multispace0).map(|((parsed, span), _)| (parsed, span.start))
}

fn comparison(input: &mut Input<'_>) -> Parsed<Expression> {
    let operator = dispatch! {any;
        '=' => empty.value(Operator::Equal),
        '<' => alt(('>'.value(Operator::Unequal), '='.value(Operator::AtMost), empty.value(Operator::Less))),
        '>' => alt(('='.value(Operator::AtLeast), empty.value(Operator::Greater))),
        _ => fail,
    };
    chain(sum, operator).parse_next(input)
}

fn sum(input: &mut Input<'_>) -> Parsed<Expression> {
    let operator = dispatch! {any;
        '+' => empty.value(Operator::Plus),
        '-' => empty.value(Operator::Minus),
        _ => fail,
    };
    chain(product, operator).parse_next(input)
}

fn product(input: &mut Input<'_>) -> Parsed<Expression> {
    let operator = dispatch! {any;
        '*' => empty.value(Operator::Times),
        '/' => empty.value(Operator::Over),
        _ => fail,
    };
    chain(signed, operator).parse_next(input)
}

fn chain<'t>(
    operand: fn(&mut Input<'t>) -> Parsed<Expression>,
    operator: impl Parser<Input<'t>, Operator, ErrMode<Fault>>,
) -> impl Parser<Input<'t>, Expression, ErrMode<Fault>> {
    (operand, repeat(0.., (token(operator), cut_err(operand)))).map(|(first, rest): (_, Vec<Link>)| {
        if rest.is_empty() { first } else { Expression::Chain(Box::new(first), rest) }
    })
}

/// All recursion comes through here.
fn signed(input: &mut Input<'_>) -> Parsed<Expression> {
    if input.state == DEEPEST {
        return Err(ErrMode::Cut(Kind::TooDeep.at(input.current_token_start())));
    }
    input.state += 1;
    let parsed = match opt(token(one_of(['-', '+']))).parse_next(input)? {
        Some(('-', _)) => cut_err(signed).map(|inner| Expression::Negated(Box::new(inner))).parse_next(input),
        Some(_) => cut_err(signed).parse_next(input),
        None => power(input),
    };
    input.state -= 1;
    parsed
}

fn power(input: &mut Input<'_>) -> Parsed<Expression> {
    let base = primary(input)?;
    Ok(match opt((token('^'), cut_err(signed))).parse_next(input)? {
        Some(((_, at), exponent)) => Expression::Power(Box::new(base), at, Box::new(exponent)),
        None => base,
    })
}

fn primary(input: &mut Input<'_>) -> Parsed<Expression> {
    match peek(any).parse_next(input)? {
        '0'..='9' | '.' => number(input),
        'a'..='z' | 'A'..='Z' | '_' => named(input),
        '(' => delimited(token('('), cut_err(comparison), cut_err(token(')'))).parse_next(input),
        _ => fail(input),
    }
}

fn number(input: &mut Input<'_>) -> Parsed<Expression> {
    let (number, at) = token(float::<_, f64, _>).parse_next(input)?;
    if number.is_finite() { Ok(Expression::Number(number)) } else { Err(ErrMode::Cut(Kind::TooLarge.at(at))) }
}

fn named(input: &mut Input<'_>) -> Parsed<Expression> {
    let (name, at) =
        token(take_while(1.., |c: char| c.is_ascii_alphanumeric() || c == '_')).parse_next(input)?;
    let refuse = |kind: Kind| Err(ErrMode::Cut(kind.at(at)));
    if opt(token('(')).parse_next(input)?.is_none() {
        return match name.as_bytes() {
            [letter @ (b'a'..=b'd' | b'A'..=b'D')] => {
                Ok(Expression::Column(usize::from(letter.to_ascii_lowercase() - b'a')))
            }
            _ => refuse(Kind::UnknownColumn(name.to_owned())),
        };
    }
    let Some(function) = Function::named(name) else {
        return refuse(Kind::UnknownFunction(name.to_owned()));
    };
    let mut arguments = vec![cut_err(comparison).parse_next(input)?];
    let more: Vec<_> = repeat(0.., preceded(token(','), cut_err(comparison))).parse_next(input)?;
    arguments.extend(more);
    cut_err(token(')')).parse_next(input)?;
    let given = arguments.len();
    match function.takes().filter(|takes| *takes != given) {
        Some(takes) => refuse(Kind::ArgumentCount { function: name.to_ascii_uppercase(), takes, given }),
        None => Ok(Expression::Call(function, at, arguments)),
    }
}
