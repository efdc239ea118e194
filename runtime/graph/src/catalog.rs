//! The names, shapes and types of a checkpoint's tensors: all of the weights that an architecture gets to see.

use std::collections::BTreeMap;

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a single.
    BF16,
}

impl DType {
    /// The name in safetensors, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        }
    }

    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

/// What is known of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the checkpoint, which may differ from the one asked for.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<u32>,
    /// How it is stored.
    pub dtype: DType,
}

/// A checkpoint's tensors by name, found also under the other names that the same tensor goes by.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    tensors: BTreeMap<String, (Vec<u32>, DType)>,
    /// Tensors of types that nothing can be computed with, with those types' names.
    unusable: BTreeMap<String, String>,
    prefix: String,
}

impl Catalog {
    /// A catalog of `(name, shape, dtype)`.
    ///
    /// `prefix` is the architecture's base-model prefix (`bert` in `bert.encoder.layer.0...`), which a checkpoint of
    /// the bare encoder leaves out; empty where there is none.
    pub fn new<N: Into<String>>(tensors: impl IntoIterator<Item = (N, Vec<u32>, DType)>, prefix: &str) -> Self {
        let tensors = tensors.into_iter().map(|(name, shape, dtype)| (name.into(), (shape, dtype))).collect();
        Self { tensors, unusable: BTreeMap::new(), prefix: prefix.to_owned() }
    }

    /// Adds `(name, type)` of tensors that no architecture can use, so that asking for one is told as what it is.
    #[must_use]
    pub fn with_unusable(mut self, tensors: impl IntoIterator<Item = (String, String)>) -> Self {
        self.unusable.extend(tensors);
        self
    }

    /// Adds more `(name, shape, dtype)`.
    #[must_use]
    pub fn with_tensors(mut self, tensors: impl IntoIterator<Item = (String, Vec<u32>, DType)>) -> Self {
        self.tensors.extend(tensors.into_iter().map(|(name, shape, dtype)| (name, (shape, dtype))));
        self
    }

    /// The tensor called `name`: as written, without the base-model prefix, or under the names that TensorFlow
    /// checkpoints had for a layer norm (`gamma` for `weight`, `beta` for `bias`).
    pub fn find(&self, name: &str) -> Option<TensorInfo> {
        self.names(name).find_map(|name| {
            self.entry(name)
                .or_else(|| self.entry(&name.replace("LayerNorm.weight", "LayerNorm.gamma")))
                .or_else(|| self.entry(&name.replace("LayerNorm.bias", "LayerNorm.beta")))
        })
    }

    /// The type of the tensor called `name`, where there is one that cannot be used.
    pub fn unusable(&self, name: &str) -> Option<&str> {
        self.names(name).find_map(|name| self.unusable.get(name)).map(String::as_str)
    }

    /// `name` as written and without the base-model prefix.
    fn names<'a>(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let bare = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('.'));
        [Some(name), bare].into_iter().flatten()
    }

    fn entry(&self, name: &str) -> Option<TensorInfo> {
        let (shape, dtype) = self.tensors.get(name)?;
        Some(TensorInfo { name: name.to_owned(), shape: shape.clone(), dtype: *dtype })
    }

    /// The name most like `name`.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let likeness = |known: &str| strsim::normalized_levenshtein(name, known);
        let best = self.tensors.keys().map(|known| (likeness(known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|(likeness, _)| *likeness > 0.6).map(|(_, known)| known.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let names = ["embeddings.LayerNorm.gamma", "embeddings.LayerNorm.beta", "classifier.weight"];
        Catalog::new(names.map(|name| (name, vec![4], DType::F32)), "bert")
    }

    #[test]
    fn other_names_of_the_same_tensor_are_found() {
        let catalog = catalog();
        for (asked, found) in [
            ("bert.embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma"),
            ("embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta"),
            ("classifier.weight", "classifier.weight"),
        ] {
            assert_eq!(catalog.find(asked).map(|info| info.name).as_deref(), Some(found));
        }
        assert_eq!(catalog.find("bertclassifier.weight"), None);
        assert_eq!(catalog.find("pooler.weight"), None);
    }

    #[test]
    fn a_tensor_of_another_type_is_known_as_such() {
        let catalog = catalog().with_unusable([("pooler.weight".to_owned(), "I64".to_owned())]);
        assert_eq!(catalog.unusable("bert.pooler.weight"), Some("I64"));
        assert_eq!(catalog.find("pooler.weight"), None);
        assert_eq!(catalog.unusable("classifier.weight"), None);
    }

    #[test]
    fn a_misspelt_name_has_a_nearest_one() {
        assert_eq!(catalog().nearest("clasifier.weight"), Some("classifier.weight"));
        assert_eq!(catalog().nearest("q"), None);
    }
}
