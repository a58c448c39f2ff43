//! An expression as written.

use std::ops::Range;

use model::Tag;

/// A part of an expression, with its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) at: Range<usize>,
    pub(crate) kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExprKind {
    Literal(Literal),
    List(Vec<Expr>),
    Path(Path),
    Call {
        function: String,
        function_at: Range<usize>,
        arguments: Vec<Expr>,
    },
    Not(Box<Expr>),
    /// Two or more.
    And(Vec<Expr>),
    /// Two or more.
    Or(Vec<Expr>),
    Compare {
        op: Op,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    In {
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Sum {
        first: Box<Expr>,
        /// One or more; `true` where it is taken away.
        terms: Vec<(bool, Expr)>,
    },
    /// What could not be read, and was reported.
    Broken,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Number(f64),
    Condition(bool),
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Op {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }

    pub(crate) fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// A reference: attributes, item and value numbers, parts of a person's name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    /// Whether it begins with `it`, the element of the `any` or `all` around it.
    pub(crate) is_of_it: bool,
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) at: Range<usize>,
    pub(crate) kind: PartKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PartKind {
    Name(String),
    Number(u32),
    Private { creator: String, group: u16, element: u8 },
    Tag(Tag),
}
