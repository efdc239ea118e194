//! `similarity`: how alike two texts are, by their vectors.

use runtime_models::ModelFolder;
use runtime_tasks::{Embedding as Options, TaskKind};

use super::scores::{check_finite, number};
use super::{Fields, SentenceEmbedding, TaskAnswer};
use crate::sentence::{SentenceError, SimilarityFunction};
use crate::{Error, LoadOptions, Registry};

/// Compares texts by the function that the folder names, else by the cosine.
pub struct Similarity {
    vectors: SentenceEmbedding,
    function: SimilarityFunction,
}

impl Similarity {
    /// Loads the transformer of a folder and its modules.
    ///
    /// # Errors
    /// As [`SentenceEmbedding::load`], and where the folder names an unknown function.
    pub fn load(
        registry: &Registry,
        folder: &ModelFolder,
        how: LoadOptions<'_>,
        options: &Options,
        truncate: bool,
    ) -> Result<Self, Error> {
        let vectors = SentenceEmbedding::load(registry, folder, how, (TaskKind::Similarity, options), truncate)?;
        let function = match vectors.similarity.as_deref() {
            None => SimilarityFunction::Cosine,
            Some(name) => SimilarityFunction::named(name).ok_or_else(|| SentenceError::Field {
                path: folder.file("config_sentence_transformers.json"),
                field: "similarity_fn_name".to_owned(),
                found: format!("`{name}`"),
                expected: format!("one of {}", SimilarityFunction::NAMES.map(|(name, _)| name).join(", ")),
            })?,
        };
        Ok(Self { vectors, function })
    }

    /// How alike `text` and `text_pair` are: a number, greater for what is more alike.
    ///
    /// # Errors
    /// Where a field is missing or wrong, a text is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let texts = [input.text("text")?, input.text("text_pair")?];
        let (vectors, answer) = self.vectors.embed(&texts).await?;
        let score = self.function.of(&vectors[0], &vectors[1]);
        check_finite(&[score])?;
        Ok(TaskAnswer { result: number(score), ..answer })
    }
}
