//! One use of a kernel: which variant of it, with what.

use std::fmt;

use crate::{Buffer, Recorder};

/// Workgroups in a row of a dispatch; kernels have one number for each of them, and rows are stacked.
pub(crate) const WIDTH: u32 = 1 << 15;

/// A number, or a text, that a variant is compiled for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Constant {
    Number(usize),
    Flag(bool),
    Text(&'static str),
}

/// A kernel and what it is compiled for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub(crate) kernel: &'static str,
    pub(crate) constants: Vec<(&'static str, Constant)>,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kernel)?;
        for (name, constant) in &self.constants {
            match constant {
                Constant::Number(number) => write!(f, " {name}={number}")?,
                Constant::Flag(true) => write!(f, " {name}")?,
                Constant::Flag(false) => {}
                Constant::Text(text) => write!(f, " {name}={text}")?,
            }
        }
        Ok(())
    }
}

/// A buffer as a kernel sees it.
pub(crate) struct Binding<'a> {
    pub(crate) name: &'static str,
    /// The type of its elements in WGSL.
    pub(crate) element: &'static str,
    pub(crate) written: bool,
    pub(crate) buffer: &'a Buffer,
}

/// A number that a kernel is given.
#[derive(Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// Its type in WGSL.
    pub(crate) kind: &'static str,
    pub(crate) bits: u32,
}

/// One use of a kernel. Names and types of buffers and parameters are declared from here, so that both sides agree.
pub(crate) struct Call<'a> {
    pub(crate) variant: Variant,
    /// Extensions of WGSL that the kernel is written with.
    pub(crate) extensions: &'static [&'static str],
    bindings: Vec<Binding<'a>>,
    parameters: Vec<Parameter>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(kernel: &'static str) -> Self {
        let variant = Variant { kernel, constants: Vec::with_capacity(8) };
        Self { variant, extensions: &[], bindings: Vec::with_capacity(6), parameters: Vec::with_capacity(8) }
    }

    pub(crate) fn extensions(mut self, extensions: &'static [&'static str]) -> Self {
        self.extensions = extensions;
        self
    }

    pub(crate) fn number(mut self, name: &'static str, number: usize) -> Self {
        self.variant.constants.push((name, Constant::Number(number)));
        self
    }

    pub(crate) fn flag(mut self, name: &'static str, flag: bool) -> Self {
        self.variant.constants.push((name, Constant::Flag(flag)));
        self
    }

    pub(crate) fn text(mut self, name: &'static str, text: &'static str) -> Self {
        self.variant.constants.push((name, Constant::Text(text)));
        self
    }

    /// A buffer that is read.
    pub(crate) fn read(mut self, name: &'static str, element: &'static str, buffer: &'a Buffer) -> Self {
        self.bindings.push(Binding { name, element, written: false, buffer });
        self
    }

    /// A buffer that is read where it is there, and a flag of the same name that says so.
    pub(crate) fn maybe(self, name: &'static str, element: &'static str, buffer: Option<&'a Buffer>) -> Self {
        let call = self.flag(name, buffer.is_some());
        match buffer {
            Some(buffer) => call.read(name, element, buffer),
            None => call,
        }
    }

    /// A buffer that is written, or read and written.
    pub(crate) fn write(mut self, name: &'static str, element: &'static str, buffer: &'a Buffer) -> Self {
        self.bindings.push(Binding { name, element, written: true, buffer });
        self
    }

    /// A number that depends on the shapes at hand.
    ///
    /// # Panics
    /// Where it does not fit: so many rows have no buffer.
    pub(crate) fn size(mut self, name: &'static str, size: usize) -> Self {
        let bits = u32::try_from(size).expect("sizes have 32 bits");
        self.parameters.push(Parameter { name, kind: "u32", bits });
        self
    }

    pub(crate) fn float(mut self, name: &'static str, number: f32) -> Self {
        self.parameters.push(Parameter { name, kind: "f32", bits: number.to_bits() });
        self
    }

    pub(crate) fn bindings(&self) -> &[Binding<'a>] {
        &self.bindings
    }

    pub(crate) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Records it with so many workgroups.
    pub(crate) fn run(self, recorder: &mut Recorder, groups: usize) {
        recorder.call(&self.size("groups", groups), groups);
    }

    /// Records it with a thread for each of `count`, of which each workgroup has `threads`.
    pub(crate) fn run_each(self, recorder: &mut Recorder, count: usize, threads: usize) {
        self.number("threads", threads).size("count", count).run(recorder, count.div_ceil(threads));
    }
}
