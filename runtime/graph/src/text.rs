//! A graph as text, a line for each node.

use std::fmt;

use crate::{AttentionOptions, CrossAttentionOptions, ExpertsOptions, Graph, Input, Node, Op, Relative, Rotary};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "graph {}", self.name)?;
        if let Some(tokens) = self.max_sequence {
            write!(f, ", sequences of at most {tokens} tokens")?;
        }
        writeln!(f)?;
        let mut layer = None;
        for (index, node) in self.nodes.iter().enumerate() {
            if node.layer != layer {
                layer = node.layer;
                match layer {
                    Some(layer) => writeln!(f, "layer {layer}")?,
                    None => writeln!(f, "no layer")?,
                }
            }
            writeln!(f, "  %{index} = {node}")?;
        }
        for output in &self.outputs {
            writeln!(f, "output {} = %{} : {}", output.name, output.value.0, self.node(output.value).shape)?;
        }
        Ok(())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.name())?;
        match &self.op {
            Op::Weight { name } => write!(f, " `{name}`")?,
            Op::Input(Input::Positions { first, padding } | Input::SourcePositions { first, padding }) => {
                write!(f, " first={first}")?;
                padding.map_or(Ok(()), |padding| write!(f, " padding={padding}"))?;
            }
            Op::LayerNorm { epsilon } | Op::RmsNorm { epsilon, offset: 0.0 } => write!(f, " epsilon={epsilon:e}")?,
            Op::RmsNorm { epsilon, offset } => write!(f, " epsilon={epsilon:e} offset={offset}")?,
            Op::Scale { factor } => write!(f, " factor={factor}")?,
            Op::Columns { start, width } => write!(f, " start={start} width={width}")?,
            Op::Rotary(Rotary { head_size, frequencies, factor }) => {
                write!(f, " head-size={head_size} frequencies={frequencies:?}")?;
                if *factor != 1.0 {
                    write!(f, " factor={factor}")?;
                }
            }
            Op::Join { parts } => write!(f, " parts={parts}")?,
            Op::Convolution { groups } => write!(f, " groups={groups}")?,
            Op::Activation(activation) => write!(f, " {}", activation.name())?,
            Op::Pool(pooling) => write!(f, " {}", pooling.name())?,
            Op::Attention(options) => attention(f, options)?,
            Op::CrossAttention(CrossAttentionOptions { heads, key_value_heads, scale }) => {
                write_heads(f, *heads, *key_value_heads)?;
                scale.map_or(Ok(()), |scale| write!(f, " scale={scale}"))?;
            }
            Op::Experts(ExpertsOptions { top_k, normalise, activation }) => {
                write!(f, " top-k={top_k} {}", activation.name())?;
                if *normalise {
                    f.write_str(" normalised")?;
                }
            }
            Op::Constant { numbers } => constant(f, numbers)?,
            Op::Sinusoids { rows, frequencies } => write!(f, " rows={rows} frequencies={frequencies:?}")?,
            Op::Received { number } => write!(f, " {number}")?,
            Op::Input(_)
            | Op::Rows
            | Op::Linear
            | Op::Transpose
            | Op::Binary(_)
            | Op::SelectRows
            | Op::CausalConvolution
            | Op::SelectiveScan => {}
        }
        for input in &self.inputs {
            write!(f, " %{}", input.0)?;
        }
        write!(f, " : {}", self.shape)?;
        match self.stored {
            Some(dtype) => write!(f, " {}", dtype.name()),
            None => Ok(()),
        }
    }
}

/// All numbers of a constant, or the first of many.
fn constant(f: &mut fmt::Formatter<'_>, numbers: &[f64]) -> fmt::Result {
    const SHOWN: usize = 32;
    let shown = &numbers[..numbers.len().min(SHOWN)];
    write!(f, " numbers={shown:?}")?;
    if shown.len() < numbers.len() { write!(f, " and {} more", numbers.len() - shown.len()) } else { Ok(()) }
}

fn write_heads(f: &mut fmt::Formatter<'_>, heads: u32, key_value_heads: u32) -> fmt::Result {
    write!(f, " heads={heads}")?;
    if key_value_heads == heads { Ok(()) } else { write!(f, " key-value-heads={key_value_heads}") }
}

fn attention(f: &mut fmt::Formatter<'_>, options: &AttentionOptions) -> fmt::Result {
    write_heads(f, options.heads, options.key_value_heads)?;
    if options.causal {
        f.write_str(" causal")?;
    }
    if let Some(scale) = options.scale {
        write!(f, " scale={scale}")?;
    }
    if let Some(window) = options.window {
        write!(f, " window={window}")?;
    }
    if let Some(cap) = options.soft_cap {
        write!(f, " soft-cap={cap}")?;
    }
    match options.relative {
        None => Ok(()),
        Some(Relative::Bias { max_distance }) => write!(f, " biased max-distance={max_distance}"),
        Some(Relative::Alibi) => f.write_str(" alibi"),
        Some(Relative::Disentangled { max_distance, .. }) => {
            f.write_str(" disentangled")?;
            max_distance.map_or(Ok(()), |distance| write!(f, " max-distance={distance}"))
        }
    }
}
