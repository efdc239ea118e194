//! Manifests of WebAssembly artifacts, as the CNCF's working group lays them out:
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>.

use serde::Deserialize;

use super::error::OciError;
use super::reference::{Digest, OciReference};

/// What is asked for: the second and third only to be told from an absent one.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
                                   application/vnd.oci.image.index.v1+json, \
                                   application/vnd.docker.distribution.manifest.list.v2+json";

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// The component of an artifact.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// The component that a manifest names.
///
/// # Errors
/// Where it is an index, or the manifest of something else.
pub(crate) fn layer(reference: &OciReference, manifest: &[u8]) -> Result<Layer, OciError> {
    let wrong = |reason: String| OciError::NoPlugin { reference: reference.clone(), reason };
    let manifest: Manifest =
        serde_json::from_slice(manifest).map_err(|error| wrong(format!("its manifest is not understood: {error}")))?;
    if manifest.manifests.is_some() {
        return Err(OciError::Index { reference: reference.clone() });
    }
    if manifest.schema_version != 2 {
        return Err(wrong(format!("its manifest has the version {}, not 2", manifest.schema_version)));
    }
    match manifest.config {
        Some(config) if config.media_type == CONFIG => {}
        Some(config) => return Err(wrong(format!("its configuration is `{}`, not `{CONFIG}`", config.media_type))),
        None => return Err(wrong("it has no configuration".to_owned())),
    }
    match manifest.layers.unwrap_or_default().as_slice() {
        [layer] if layer.media_type == LAYER => {
            let digest = layer.digest.parse().map_err(|()| wrong("its layer has no SHA-256".to_owned()))?;
            Ok(Layer { digest, size: layer.size })
        }
        [other] => Err(wrong(format!("its layer is `{}`, not `{LAYER}`", other.media_type))),
        layers => Err(wrong(format!("it has {} layers, not one", layers.len()))),
    }
}
