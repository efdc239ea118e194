//! Powers of two, and that kernels are translated for each size of matrices, which needs no adapter.

use runtime_kernels::BlockType;
use wgpu::naga;

use super::{Cooperative, Halves, Operand, powers};
use crate::product::{Finish, Shape};
use crate::{Activation, Gpu, Precision, Stored, Weight, adapters, shader};

#[test]
fn powers_undo_each_other_and_bring_numbers_below_2_to_15() {
    for greatest in [0.0, 1e-45, f32::MIN_POSITIVE, 1e-30, 0.37, 1.0, 65504.0, 7e4, 1e30, f32::MAX] {
        let (power, inverse) = powers(greatest);
        assert!(power.is_normal() && inverse.is_normal(), "{greatest}: {power} and {inverse}");
        assert_eq!(power * inverse, 1.0, "{greatest}");
        assert!(greatest * power < 32768.0, "{greatest}: {}", greatest * power);
        assert!(greatest < 1e-33 || greatest * power >= 16384.0, "{greatest}: {}", greatest * power);
    }
    assert_eq!(powers(f32::NAN), powers(f32::MAX));
    assert_eq!(powers(f32::INFINITY), powers(f32::MAX));
}

/// Matrices of 16 by 16, as GPUs have them, are translated on any adapter; the software that runs them here has 8 by 8.
#[test]
fn kernels_are_translated_for_matrices_of_both_sizes() {
    let adapters = adapters();
    let none = std::env::var("RUNTIME_NO_GPU").is_ok_and(|value| value == "1");
    assert!(none || !adapters.is_empty(), "there is no GPU; RUNTIME_NO_GPU=1 goes without");
    let Some(adapter) = adapters.first() else { return };
    let gpu = Gpu::open(adapter).expect("an adapter opens");
    let to = gpu.scratch(1 << 12).expect("there is memory");
    let kinds = [BlockType::Q4_0, BlockType::Q5_1, BlockType::Q6_K, BlockType::Q4_K].map(Stored::Blocks);
    for stored in [Stored::F16, Stored::Bf16].into_iter().chain(kinds) {
        let (inputs, bytes) = match stored {
            Stored::Blocks(kind) => (kind.elements(), kind.bytes()),
            _ => (8, 16),
        };
        let weight =
            Weight::new(&gpu, stored, inputs, &[&vec![0; bytes]], Precision::AsStored).expect("there is memory");
        for (side, lanes, rows) in [(8, 8, 32), (8, 32, 64), (16, 32, 32), (16, 32, 64), (16, 32, 128), (16, 64, 64)] {
            for split in [false, true] {
                let numbers = to.clone();
                let x =
                    Operand::Halves(Halves { numbers, scales: to.clone(), fours: 8, plane: 8, terms: weight.terms() });
                let matrices = Cooperative { side, lanes };
                let shape = Shape::Cooperative { rows, outputs: 4 * side, matrices };
                let finish = Finish { bias: Some(&to), activation: Some(Activation::Silu), ..Finish::default() };
                let call = shape.call(&x, &weight, &weight.slabs[0], &finish, &to).flag("split", split);
                let call = if split { call.size("parts", 2).size("span", 32) } else { call };
                let call = call.size("rows", rows).size("outputs", 1).size("width", 1);
                let call = shape.constants(call.flag("experts", false), &weight, false).size("groups", 1);
                let source = shader::source(&call, true);
                let what = call.variant.to_string();
                let module = naga::front::wgsl::parse_str(&source)
                    .unwrap_or_else(|error| panic!("{what}: {}", error.emit_to_string(&source)));
                let mut validator =
                    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
                let info = validator
                    .validate(&module)
                    .unwrap_or_else(|error| panic!("{what}: {}", error.emit_to_string(&source)));
                let options = naga::back::spv::Options { lang_version: (1, 6), ..Default::default() };
                let words = naga::back::spv::write_vec(&module, &info, &options, None);
                assert!(words.is_ok(), "{what}: {words:?}");
            }
        }
    }
}
