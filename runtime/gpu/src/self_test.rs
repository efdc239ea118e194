//! Products whose results are known, which a GPU computes when it is opened: drivers err.

use half::f16;

use crate::{Error, Finish, Gpu, Precision, Read, Stored, Weight};

impl Gpu {
    /// Products of few rows and of many with weights in halves.
    pub(crate) fn self_test(&self) -> Result<(), Error> {
        self.least_half()?;
        if self.capabilities().cooperative.is_some() { self.whole_numbers() } else { Ok(()) }
    }

    /// A product with the least half that there is among its numbers: some drivers take it for 0.
    fn least_half(&self) -> Result<(), Error> {
        let weight: Vec<f16> = (0..5 * 8u8)
            .map(|at| if at == 8 { f16::from_bits(1) } else { f16::from_f32(f32::from(at % 7) - 3.0) })
            .collect();
        let x: Vec<f32> = (0..8u8).map(|at| if at == 0 { 16_777_216.0 } else { 0.5 * f32::from(at) }).collect();
        // The first product has 16 million beside small numbers, all of them exact; so is any order of adding them.
        self.check(&x, 8, &weight, 1e-6)?;
        // The same by the kernels for many rows.
        self.check(&x.repeat(19), 8, &weight, 1e-6)
    }

    /// Whole numbers, none of which tells from the others by rows or columns that are mixed up, for several matrices in each
    /// direction and an edge.
    fn whole_numbers(&self) -> Result<(), Error> {
        let number = |at: u32| u16::try_from(at.wrapping_mul(0x9e37_79b9) >> 27).map_or(0.0, f32::from) - 16.0;
        let weight: Vec<f16> = (0..21 * 40).map(|at| f16::from_f32(number(at))).collect();
        let x: Vec<f32> = (0..19 * 40).map(|at| number(at + 7919) / 32.0).collect();
        self.check(&x, 40, &weight, 1e-5)
    }

    fn check(&self, x: &[f32], inputs: usize, weight: &[f16], tolerance: f32) -> Result<(), Error> {
        let (rows, outputs) = (x.len() / inputs, weight.len() / inputs);
        let bytes: Vec<u8> = weight.iter().flat_map(|number| number.to_le_bytes()).collect();
        let there = Weight::new(self, Stored::F16, inputs, &[&bytes], Precision::AsStored)?;
        let mut recorder = self.record();
        let x_there = recorder.upload_f32(x)?;
        let to = self.scratch(4 * rows * outputs)?;
        recorder.product(&x_there, rows, &there, &Finish::default(), &to);
        let results = recorder.finish(&[Read::new(&to, 0, rows * outputs)])?;
        let mut found = results.f32(0).into_iter();
        for x in x.chunks_exact(inputs) {
            for (weight, found) in weight.chunks_exact(inputs).zip(&mut found) {
                let expected: f32 = weight.iter().zip(x).map(|(weight, x)| weight.to_f32() * x).sum();
                let off = (found - expected).abs();
                if off.is_nan() || off > tolerance * expected.abs().max(1.0) {
                    let adapter = self.adapter().name.clone();
                    return Err(Error::SelfTest { adapter, expected, found });
                }
            }
        }
        Ok(())
    }
}
