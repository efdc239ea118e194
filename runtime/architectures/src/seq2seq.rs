//! What BART and its kin have in common: an encoder and a decoder with the same names, and a vocabulary that both share.
//! Families say where their norms are, and what their positions are made of.

use runtime_graph::{Activation, AttentionOptions, Builder, Config, CrossAttentionOptions, Head, Refusal, Value};

/// The heads of encoder-decoder models; the base model is the encoder.
pub(crate) const HEADS: [Head; 2] = [Head::Base, Head::Seq2SeqLm];

/// The epsilon of PyTorch's layer norm, which no configuration changes.
const EPSILON: f64 = 1e-5;

/// How a family differs from others.
pub(crate) struct Family {
    /// Whether each part normalises its input, and the last layer's result is normalised too; else each sum is.
    pub(crate) norms_first: bool,
    /// Whether embeddings are normalised.
    pub(crate) embedding_norm: bool,
    pub(crate) positions: Positions,
}

/// Where positions come from.
#[derive(Clone, Copy)]
pub(crate) enum Positions {
    /// A learned table, in which the first position has this row.
    Learned { first: u32 },
    /// Sines in the first half of the columns, cosines in the second. Checkpoints may hold the table or leave it out.
    Sinusoids,
}

impl Family {
    /// Records the graph.
    pub(crate) fn build(&self, graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
        let model = Model::read(self, config)?;
        graph.max_sequence(model.max_positions);
        let first = match self.positions {
            Positions::Learned { first } => first,
            Positions::Sinusoids => 0,
        };
        if head == Head::Base {
            let states = model.encode(graph, &graph.token_ids(), &graph.positions(first));
            graph.output(head.output(), &states);
            return Ok(());
        }
        let states = model.encode(graph, &graph.source_ids(), &graph.source_positions(first));
        let decoded = model.decode(graph, &graph.token_ids(), &graph.positions(first), &states);
        graph.output(head.output(), &model.predict(graph, &decoded.select_rows()));
        Ok(())
    }
}

struct Model<'a> {
    family: &'a Family,
    encoder: Side,
    decoder: Side,
    activation: Activation,
    max_positions: u32,
    /// Whether embeddings are multiplied by the root of their width.
    scaled: bool,
    /// Whether encoder and decoder have one table of embeddings.
    shared: bool,
    /// Whether the output layer is that table.
    tied: bool,
}

/// The encoder or the decoder.
struct Side {
    name: &'static str,
    layers: u32,
    heads: u32,
}

/// What a layer attends to, itself or the source.
struct Attends<'a> {
    /// Its name within a layer.
    name: &'static str,
    norm: &'static str,
    /// The keys and values are of these where they are not of the layer's own input.
    over: Option<&'a Value>,
}

impl<'a> Model<'a> {
    fn read(family: &'a Family, config: &Config) -> Result<Self, Refusal> {
        let side = |name, layers: &str, heads: &str| {
            Ok(Side { name, layers: config.layers_or(layers, 12)?, heads: config.size_or(heads, 16)? })
        };
        Ok(Self {
            family,
            encoder: side("encoder", "encoder_layers", "encoder_attention_heads")?,
            decoder: side("decoder", "decoder_layers", "decoder_attention_heads")?,
            activation: config.activation_or("activation_function", Activation::Gelu)?,
            max_positions: config.size_or("max_position_embeddings", 1024)?,
            scaled: config.flag_or("scale_embedding", false)?,
            shared: config.flag_or("share_encoder_decoder_embeddings", true)?,
            tied: config.flag_or("tie_word_embeddings", true)?,
        })
    }

    /// The source's tokens as the decoder attends to them, `[n, hidden]`.
    fn encode(&self, graph: &Builder, ids: &Value, positions: &Value) -> Value {
        let mut x = self.embed(graph, &self.encoder, "model.decoder.embed_tokens.weight", ids, positions);
        for index in 0..self.encoder.layers {
            x = graph.layer(index, |graph| {
                let prefix = format!("model.encoder.layers.{index}");
                self.layer(graph, &self.encoder, &prefix, &x, None)
            });
        }
        self.last_norm(graph, &self.encoder, x)
    }

    /// The text's tokens as the output layer reads them, `[n, hidden]`.
    fn decode(&self, graph: &Builder, ids: &Value, positions: &Value, source: &Value) -> Value {
        let mut x = self.embed(graph, &self.decoder, "model.encoder.embed_tokens.weight", ids, positions);
        for index in 0..self.decoder.layers {
            x = graph.layer(index, |graph| {
                let prefix = format!("model.decoder.layers.{index}");
                self.layer(graph, &self.decoder, &prefix, &x, Some(source))
            });
        }
        self.last_norm(graph, &self.decoder, x)
    }

    /// `[r, hidden]` to `[r, vocabulary]`.
    fn predict(&self, graph: &Builder, x: &Value) -> Value {
        let tables = [
            "lm_head.weight",
            "model.shared.weight",
            "model.decoder.embed_tokens.weight",
            "model.encoder.embed_tokens.weight",
        ];
        let weight = match (self.tied, self.shared) {
            (false, _) => graph.tensor(tables[0]),
            (true, false) => graph.first_tensor(&[tables[0], tables[2]]),
            (true, true) => graph.first_tensor(&tables),
        };
        let bias = graph.find("final_logits_bias").map(|bias| graph.tensor(&bias.name));
        x.linear(&weight, bias.as_ref())
    }

    /// Words and positions: `[n, hidden]`. A checkpoint may hold a shared table under any of its names.
    fn embed(&self, graph: &Builder, side: &Side, others: &str, ids: &Value, positions: &Value) -> Value {
        let name = |part: &str| format!("model.{}.{part}", side.name);
        let own = name("embed_tokens.weight");
        let table = match self.shared {
            true => graph.first_tensor(&[&own, "model.shared.weight", others, "lm_head.weight"]),
            false => graph.tensor(&own),
        };
        let words = table.rows(ids);
        let width = words.shape().width().unwrap_or_default();
        let words = if self.scaled { words.scale(f64::from(width).sqrt()) } else { words };
        let table = name("embed_positions.weight");
        let table = match self.family.positions {
            Positions::Sinusoids if graph.find(&table).is_none() => {
                let frequency = |index: u32| 10_000f64.powf(-2.0 * f64::from(index) / f64::from(width));
                graph.sinusoids(self.max_positions, (0..width / 2).map(frequency).collect())
            }
            _ => graph.tensor(&table),
        };
        let x = &words + &table.rows(positions);
        if self.family.embedding_norm { graph.norm(&name("layernorm_embedding"), EPSILON).forward(&x) } else { x }
    }

    fn last_norm(&self, graph: &Builder, side: &Side, x: Value) -> Value {
        match self.family.norms_first {
            true => graph.norm(&format!("model.{}.layer_norm", side.name), EPSILON).forward(&x),
            false => x,
        }
    }

    /// Attention, to the source as well where there is one, and feed-forward: `[n, hidden]` to `[n, hidden]`.
    fn layer(&self, graph: &Builder, side: &Side, prefix: &str, x: &Value, source: Option<&Value>) -> Value {
        let linear = |part: &str, x: &Value| graph.linear(&format!("{prefix}.{part}")).forward(x);
        let own = Attends { name: "self_attn", norm: "self_attn_layer_norm", over: None };
        let other = Attends { name: "encoder_attn", norm: "encoder_attn_layer_norm", over: source };
        let causal = source.is_some();
        let attends = [Some(own), source.map(|_| other)].into_iter().flatten();
        let x = attends.fold(x.clone(), |x, Attends { name, norm, over }| {
            self.part(graph, &format!("{prefix}.{norm}"), &x, |x| {
                let query = linear(&format!("{name}.q_proj"), x);
                let [key, value] =
                    ["k_proj", "v_proj"].map(|part| linear(&format!("{name}.{part}"), over.unwrap_or(x)));
                let attended = match over {
                    Some(_) => query.cross_attention(&key, &value, CrossAttentionOptions::new(side.heads)),
                    None => {
                        let options = AttentionOptions { causal, ..AttentionOptions::bidirectional(side.heads) };
                        query.attention(&key, &value, options)
                    }
                };
                linear(&format!("{name}.out_proj"), &attended)
            })
        });
        self.part(graph, &format!("{prefix}.final_layer_norm"), &x, |x| {
            linear("fc2", &linear("fc1", x).activation(self.activation))
        })
    }

    /// Adds what `compute` makes of `x` to it, with a norm before or after.
    fn part(&self, graph: &Builder, norm: &str, x: &Value, compute: impl FnOnce(&Value) -> Value) -> Value {
        let norm = graph.norm(norm, EPSILON);
        if self.family.norms_first { &compute(&norm.forward(x)) + x } else { norm.forward(&(&compute(x) + x)) }
    }
}
