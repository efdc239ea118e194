//! What a key may have.

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number of any width.
    Integer(i128),
    /// A single.
    F32(f32),
    /// A double.
    F64(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// Several of one kind.
    List(List),
}

/// Values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum List {
    /// Bytes, signed ones in two's complement.
    Bytes(Vec<u8>),
    /// Whole numbers of more than 8 bits; those above the range of `i64` are its highest.
    Integers(Vec<i64>),
    /// Singles and doubles.
    Floats(Vec<f64>),
    /// True or false.
    Bools(Vec<bool>),
    /// Texts.
    Texts(Vec<String>),
}

impl List {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(list) => list.len(),
            Self::Integers(list) => list.len(),
            Self::Floats(list) => list.len(),
            Self::Bools(list) => list.len(),
            Self::Texts(list) => list.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Integers(_) => "whole numbers",
            Self::Floats(_) => "numbers",
            Self::Bools(_) => "booleans",
            Self::Texts(_) => "texts",
        }
    }
}

impl Value {
    /// What it is, for messages: `a text`, `a list of 3 numbers`.
    pub fn kind(&self) -> String {
        match self {
            Self::Integer(number) => format!("the whole number {number}"),
            Self::F32(number) => format!("the number {number}"),
            Self::F64(number) => format!("the number {number}"),
            Self::Bool(flag) => format!("{flag}"),
            Self::Text(_) => "a text".to_owned(),
            Self::List(list) => format!("a list of {} {}", list.len(), list.kind()),
        }
    }
}
