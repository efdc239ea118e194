//! `Dense`: a linear layer over the vector, with an activation.

use std::path::PathBuf;

use runtime_graph::Shape;
use runtime_models::ModelFolder;
use runtime_tensor::Weights;

use super::fields::JsonFile;
use super::{SentenceError, activation_name, dot};
use crate::Error;

/// `activation(x W^T + b)`, and `x` (or `x R^T`) in addition where there is a residual.
#[derive(Debug)]
pub(crate) struct Dense {
    folder: PathBuf,
    /// `[out, in]`
    weight: Vec<f32>,
    /// `[out]`
    bias: Option<Vec<f32>>,
    activation: Activation,
    residual: Residual,
    inputs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activation {
    Identity,
    Tanh,
    Relu,
    Sigmoid,
    Silu,
    Gelu,
}

const ACTIVATIONS: [(&str, Activation); 6] = [
    ("Identity", Activation::Identity),
    ("Tanh", Activation::Tanh),
    ("ReLU", Activation::Relu),
    ("Sigmoid", Activation::Sigmoid),
    ("SiLU", Activation::Silu),
    ("GELU", Activation::Gelu),
];

#[derive(Debug)]
enum Residual {
    No,
    Itself,
    /// `[out, in]`
    Projected(Vec<f32>),
}

impl Dense {
    /// The layer in a folder, with its own `model.safetensors`.
    ///
    /// # Errors
    /// Where its files are missing or wrong, or it asks for what is not supported.
    pub(super) fn read(folder: &ModelFolder) -> Result<Self, Error> {
        let file = JsonFile::read(folder, "config.json")?;
        file.check_names()?;
        let (inputs, outputs) = (file.required_size("in_features")?, file.required_size("out_features")?);
        let activation = file.text("activation_function")?.unwrap_or("torch.nn.modules.activation.Tanh");
        let found = ACTIVATIONS.iter().find(|(name, _)| activation_name(activation) == Some(name));
        let activation = found.map(|(_, activation)| *activation).ok_or_else(|| {
            let known = format!("one of {} of torch", ACTIVATIONS.map(|(name, _)| name).join(", "));
            file.wrong("activation_function", &activation.into(), &known)
        })?;
        let checkpoint = folder.checkpoint()?;
        let read = |name: &str, sizes: &[usize]| {
            let sizes: Vec<u32> = sizes.iter().map(|size| u32::try_from(*size).unwrap_or(u32::MAX)).collect();
            let read = || Ok(checkpoint.read(name)?.to_shape(name, &Shape::fixed(&sizes))?);
            let failed = |source| SentenceError::Weights { folder: folder.path().to_owned(), source };
            read().map_err(failed)
        };
        let residual = match file.boolean("use_residual")?.unwrap_or(false) {
            false => Residual::No,
            true if inputs == outputs => Residual::Itself,
            true => Residual::Projected(read("residual.weight", &[outputs, inputs])?),
        };
        let has_bias = file.boolean("bias")?.unwrap_or(true);
        Ok(Self {
            folder: folder.path().to_owned(),
            weight: read("linear.weight", &[outputs, inputs])?,
            bias: has_bias.then(|| read("linear.bias", &[outputs])).transpose()?,
            activation,
            residual,
            inputs,
        })
    }

    /// Numbers of the vectors that it gives, for those of so many.
    ///
    /// # Errors
    /// Where it takes others.
    pub(crate) fn width(&self, given: usize) -> Result<usize, SentenceError> {
        if given == self.inputs {
            return Ok(self.weight.len() / self.inputs);
        }
        Err(SentenceError::Width { folder: self.folder.clone(), expected: self.inputs, found: given })
    }

    pub(super) fn apply(&self, vector: &[f32]) -> Result<Vec<f32>, SentenceError> {
        self.width(vector.len())?;
        let mut out = product(&self.weight, vector);
        if let Some(bias) = &self.bias {
            add(&mut out, bias);
        }
        out.iter_mut().for_each(|x| *x = self.activation.apply(*x));
        match &self.residual {
            Residual::No => {}
            Residual::Itself => add(&mut out, vector),
            Residual::Projected(weight) => add(&mut out, &product(weight, vector)),
        }
        Ok(out)
    }
}

fn product(weight: &[f32], vector: &[f32]) -> Vec<f32> {
    weight.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect()
}

fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

impl Activation {
    fn apply(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::Tanh => x.tanh(),
            Self::Relu => x.max(0.0),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Silu => x / (1.0 + (-x).exp()),
            Self::Gelu => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
        }
    }
}
