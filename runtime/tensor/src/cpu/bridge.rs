//! Kernels over slices as candle operators.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, InplaceOp2, Layout, Result, Shape, Tensor};

/// An operator whose operands and result are contiguous single-precision tensors.
pub(super) struct Over<F> {
    name: &'static str,
    shape: Shape,
    kernel: F,
}

impl<F> Over<F> {
    /// `kernel` reads its operands and fills a result of sizes `dims`.
    pub(super) fn new<const N: usize>(name: &'static str, dims: &[usize], kernel: F) -> Self
    where
        F: Fn([&[f32]; N], &mut [f32]),
    {
        Self { name, shape: Shape::from_dims(dims), kernel }
    }

    fn fill<const N: usize>(&self, operands: [(&CpuStorage, &Layout); N]) -> Result<(CpuStorage, Shape)>
    where
        F: Fn([&[f32]; N], &mut [f32]),
    {
        let mut slices: [&[f32]; N] = [&[]; N];
        for (slice, (storage, layout)) in slices.iter_mut().zip(operands) {
            *slice = &storage.as_slice::<f32>()?[range(self.name, layout)?];
        }
        let mut result = vec![0.0; self.shape.elem_count()];
        (self.kernel)(slices, &mut result);
        Ok((CpuStorage::F32(result), self.shape.clone()))
    }
}

/// Applies an operator to as many operands as candle has a trait for.
pub(super) trait Apply<const N: usize> {
    fn apply(&self, operands: [&Tensor; N]) -> Result<Tensor>;
}

impl<F: Fn([&[f32]; 1], &mut [f32])> Apply<1> for Over<F> {
    fn apply(&self, [x]: [&Tensor; 1]) -> Result<Tensor> {
        x.apply_op1_no_bwd(&Unary(self))
    }
}

impl<F: Fn([&[f32]; 3], &mut [f32])> Apply<3> for Over<F> {
    fn apply(&self, [a, b, c]: [&Tensor; 3]) -> Result<Tensor> {
        a.apply_op3_no_bwd(b, c, &Ternary(self))
    }
}

struct Unary<'a, F>(&'a Over<F>);

impl<F: Fn([&[f32]; 1], &mut [f32])> CustomOp1 for Unary<'_, F> {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.fill([(storage, layout)])
    }
}

struct Ternary<'a, F>(&'a Over<F>);

impl<F: Fn([&[f32]; 3], &mut [f32])> CustomOp3 for Ternary<'_, F> {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.0.fill([(s1, l1), (s2, l2), (s3, l3)])
    }
}

/// An operator that changes its first operand with the help of the second.
pub(super) struct InPlace<F> {
    name: &'static str,
    kernel: F,
}

impl<F: Fn(&mut [f32], &[f32])> InPlace<F> {
    pub(super) fn new(name: &'static str, kernel: F) -> Self {
        Self { name, kernel }
    }
}

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for InPlace<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        let (changed, read) = (range(self.name, l1)?, range(self.name, l2)?);
        let CpuStorage::F32(numbers) = s1 else {
            return Err(candle_core::Error::Msg(format!("`{}` works on single precision only", self.name)));
        };
        (self.kernel)(&mut numbers[changed], &s2.as_slice::<f32>()?[read]);
        Ok(())
    }
}

fn range(name: &str, layout: &Layout) -> Result<std::ops::Range<usize>> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::Msg(format!("an operand of `{name}` is not contiguous")))?;
    Ok(start..end)
}
