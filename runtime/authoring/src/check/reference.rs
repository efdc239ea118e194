//! What `record.py` has written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use runtime_graph::Head;
use safetensors::{Dtype, SafeTensors};

use crate::Error;

/// A tensor of the original's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Vec<f32>,
}

/// The tensors that were recorded, by name.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) tokens: Vec<u32>,
    /// The decoder's tokens, where `tokens` are those of a source.
    pub(crate) target: Option<Vec<u32>>,
    /// The head of the class that was recorded, where it is one that this program knows.
    pub(crate) head: Option<Head>,
    tensors: BTreeMap<String, Recorded>,
    /// The modules that have a tensor of the checkpoint, where they are others than it says or several.
    names: BTreeMap<String, Vec<String>>,
}

impl Reference {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::ReadReference { path: path.to_owned(), source })?;
        Self::of(&bytes).map_err(|reason| Error::Reference { path: path.to_owned(), reason })
    }

    fn of(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let metadata = |key: &str| header.metadata().as_ref().and_then(|metadata| metadata.get(key));
        let class = metadata("class");
        let names = metadata("names").map(|names| serde_json::from_str(names)).transpose();
        let names = names.map_err(|error| format!("its names of modules are none: {error}"))?.unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let (mut tokens, mut target, mut tensors) = (None, None, BTreeMap::new());
        for (name, view) in file.tensors() {
            match (name.as_str(), view.dtype()) {
                ("input_ids", Dtype::I64) => tokens = Some(ids(view.data())?),
                ("decoder_input_ids", Dtype::I64) => target = Some(ids(view.data())?),
                (_, Dtype::F32) => {
                    let numbers =
                        view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                    tensors.insert(name, Recorded { shape: view.shape().to_vec(), numbers });
                }
                (_, dtype) => return Err(format!("`{name}` is stored as {dtype:?}")),
            }
        }
        let tokens = tokens.filter(|tokens| !tokens.is_empty()).ok_or("it has no `input_ids`")?;
        let target = target.filter(|target| !target.is_empty());
        Ok(Self { tokens, target, head: class.and_then(|class| Head::of_class(class)), tensors, names })
    }

    /// Whether it was recorded which modules have the tensor.
    pub(crate) fn knows(&self, module: &str) -> bool {
        self.names.contains_key(module)
    }

    /// What the modules with a weight are called that the checkpoint calls `module`: those that look up rows of it, which
    /// are given no numbers, or the others.
    pub(crate) fn modules<'a>(&'a self, module: &'a str, look_up: bool) -> Vec<&'a str> {
        let Some(names) = self.names.get(module) else { return vec![module] };
        let fits = |name: &&str| {
            self.tensors.contains_key(&format!("{name}.output"))
                && self.tensors.contains_key(&format!("{name}.input")) != look_up
        };
        let found: Vec<&str> = names.iter().map(String::as_str).filter(fits).collect();
        if found.is_empty() { vec![module] } else { found }
    }

    /// Names and tensors.
    pub(crate) fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &Recorded)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor called `name`, or the only one of which the one name is the end of the other: a base model has names
    /// without what stands before them in a model with a head.
    pub(crate) fn find(&self, name: &str) -> Option<(&str, &Recorded)> {
        if let Some((known, tensor)) = self.tensors.get_key_value(name) {
            return Some((known, tensor));
        }
        let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'));
        let mut like = self.tensors().filter(|(known, _)| ends(known, name) || ends(name, known));
        like.next().filter(|_| like.next().is_none())
    }
}

fn ids(bytes: &[u8]) -> Result<Vec<u32>, String> {
    let ids = bytes.as_chunks::<8>().0.iter().map(|id| u32::try_from(i64::from_le_bytes(*id)));
    ids.collect::<Result<_, _>>().map_err(|_| "an id is no token's".to_owned())
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{TensorView, serialize};

    use super::*;

    fn file(tensors: &[(&str, Dtype, &[u8])]) -> Vec<u8> {
        let size = |dtype: Dtype| dtype.bitsize() / 8;
        let view =
            |dtype: Dtype, data| TensorView::new(dtype, vec![<[u8]>::len(data) / size(dtype)], data).expect("it fits");
        let metadata = [("class".to_owned(), "BertForMaskedLM".to_owned())].into();
        serialize(tensors.iter().map(|(name, dtype, data)| (*name, view(*dtype, data))), Some(metadata))
            .expect("a file")
    }

    #[test]
    fn names_are_found_with_and_without_what_stands_before_them() {
        let number = 1.5_f32.to_le_bytes();
        let one = 7_i64.to_le_bytes();
        let names = ["encoder.0.q.output", "head.output", "a.q.input", "b.q.input"];
        let tensors = names.map(|name| (name, Dtype::F32, &number[..]));
        let bytes = file(&[&tensors[..], &[("input_ids", Dtype::I64, &one[..])]].concat());
        let reference = Reference::of(&bytes).expect("a reference");
        assert_eq!((reference.tokens.as_slice(), reference.head), (&[7][..], Some(Head::MaskedLm)));
        for (asked, found) in [
            ("encoder.0.q.output", Some("encoder.0.q.output")),
            ("bert.encoder.0.q.output", Some("encoder.0.q.output")),
            ("0.q.output", Some("encoder.0.q.output")),
            ("ad.output", None),
            ("q.input", None),
        ] {
            assert_eq!(reference.find(asked).map(|(name, _)| name), found, "{asked}");
        }
    }

    #[test]
    fn modules_of_a_shared_or_renamed_tensor_are_those_that_take_what_the_operator_does() {
        let number = 1.5_f32.to_le_bytes();
        let one = 7_i64.to_le_bytes();
        let names = ["encoder.words.output", "decoder.words.output", "lm_head.input", "lm_head.output"];
        let tensors = names.map(|name| (name, Dtype::F32, &number[..]));
        let bytes = file(&[&tensors[..], &[("input_ids", Dtype::I64, &one[..])]].concat());
        let mut reference = Reference::of(&bytes).expect("a reference");
        let modules = ["shared", "encoder.words", "decoder.words", "lm_head"].map(str::to_owned).to_vec();
        reference.names = [("shared".to_owned(), modules), ("embed_out".to_owned(), vec!["lm_head".to_owned()])].into();
        assert_eq!(reference.modules("shared", true), ["encoder.words", "decoder.words"]);
        assert_eq!(reference.modules("shared", false), ["lm_head"]);
        assert_eq!(reference.modules("embed_out", false), ["lm_head"]);
        assert_eq!(reference.modules("embed_out", true), ["embed_out"], "none that looks up was recorded");
        assert_eq!(reference.modules("other", false), ["other"]);
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let one = (-1_i64).to_le_bytes();
        for (bytes, why) in [
            (b"not at all".to_vec(), "header"),
            (file(&[]), "no `input_ids`"),
            (file(&[("input_ids", Dtype::I64, &one)]), "no token"),
            (file(&[("x.output", Dtype::I64, &one)]), "stored as"),
        ] {
            let refused = Reference::of(&bytes).map(|_| ());
            assert!(refused.as_ref().is_err_and(|reason| reason.to_lowercase().contains(why)), "{refused:?}");
        }
    }
}
