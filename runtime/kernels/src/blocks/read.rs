//! Blocks as files hold them, taken apart into one form.

use half::f16;

use super::{BlockType, LARGEST, Layout};

/// The numbers of a block, each a byte, with its factors. What a type does not have is 1.
pub struct Unpacked {
    /// Those that count are from 0 on.
    pub quants: [u8; LARGEST],
    /// Of the whole block.
    pub scale: f32,
    /// The same for least numbers.
    pub min: f32,
    /// Of each group.
    pub scales: [i8; 16],
    /// The same for least numbers.
    pub mins: [i8; 16],
}

impl Unpacked {
    /// Reads one block.
    pub fn read(kind: BlockType, bytes: &[u8]) -> Self {
        let mut block = Self { quants: [0; LARGEST], scale: 0.0, min: 0.0, scales: [1; 16], mins: [1; 16] };
        match kind {
            BlockType::Q4_0 => {
                block.scale = half(bytes, 0);
                block.nibbles(&bytes[2..]);
            }
            BlockType::Q4_1 => {
                (block.scale, block.min) = (half(bytes, 0), half(bytes, 2));
                block.nibbles(&bytes[4..]);
            }
            BlockType::Q5_0 => {
                block.scale = half(bytes, 0);
                block.nibbles(&bytes[6..]);
                block.fifth_bits(&bytes[2..6]);
            }
            BlockType::Q5_1 => {
                (block.scale, block.min) = (half(bytes, 0), half(bytes, 2));
                block.nibbles(&bytes[8..]);
                block.fifth_bits(&bytes[4..8]);
            }
            BlockType::Q8_0 => {
                block.scale = half(bytes, 0);
                block.bytes(&bytes[2..]);
            }
            BlockType::Q8_1 => {
                block.scale = half(bytes, 0);
                block.bytes(&bytes[4..]);
            }
            BlockType::Q2_K => block.q2_k(bytes),
            BlockType::Q3_K => block.q3_k(bytes),
            BlockType::Q4_K => {
                block.six_bit_factors(bytes);
                block.pairs_of_groups(&bytes[16..]);
            }
            BlockType::Q5_K => {
                block.six_bit_factors(bytes);
                block.pairs_of_groups(&bytes[48..]);
                for (group, quants) in block.quants.chunks_exact_mut(32).enumerate() {
                    for (quant, high) in quants.iter_mut().zip(&bytes[16..48]) {
                        *quant |= (high >> group & 1) << 4;
                    }
                }
            }
            BlockType::Q6_K => block.q6_k(bytes),
            BlockType::Q8_K => {
                block.scale = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                block.bytes(&bytes[4..260]);
            }
        }
        block
    }

    /// 16 bytes with a number of the block's first half in the low bits, one of its second half in the high ones.
    fn nibbles(&mut self, bytes: &[u8]) {
        let (low, high) = self.quants[..32].split_at_mut(16);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
            (*low, *high) = (byte & 15, byte >> 4);
        }
    }

    /// The highest bit of each of 32 numbers.
    fn fifth_bits(&mut self, bits: &[u8]) {
        for (index, quant) in self.quants[..32].iter_mut().enumerate() {
            *quant |= (bits[index / 8] >> (index % 8) & 1) << 4;
        }
    }

    /// Bytes with a sign, of which the least becomes 0.
    fn bytes(&mut self, bytes: &[u8]) {
        for (quant, byte) in self.quants.iter_mut().zip(bytes) {
            *quant = byte ^ 0x80;
        }
    }

    /// Each 32 bytes hold four times 32 numbers, the first in the lowest two bits.
    fn quarters(&mut self, bytes: &[u8]) {
        for (quants, bytes) in self.quants.chunks_exact_mut(128).zip(bytes.chunks_exact(32)) {
            for (part, quants) in quants.chunks_exact_mut(32).enumerate() {
                for (quant, byte) in quants.iter_mut().zip(bytes) {
                    *quant = byte >> (2 * part) & 3;
                }
            }
        }
    }

    fn q2_k(&mut self, bytes: &[u8]) {
        for ((scale, min), byte) in self.scales.iter_mut().zip(&mut self.mins).zip(&bytes[..16]) {
            (*scale, *min) = ((byte & 15).cast_signed(), (byte >> 4).cast_signed());
        }
        self.quarters(&bytes[16..80]);
        (self.scale, self.min) = (half(bytes, 80), -half(bytes, 82));
    }

    fn q3_k(&mut self, bytes: &[u8]) {
        self.quarters(&bytes[32..96]);
        for (part, quants) in self.quants.chunks_exact_mut(32).enumerate() {
            for (quant, high) in quants.iter_mut().zip(&bytes[..32]) {
                *quant |= (high >> part & 1) << 2;
            }
        }
        let factors = &bytes[96..108];
        for (group, scale) in self.scales.iter_mut().enumerate() {
            let low = factors[group % 8] >> (group / 8 * 4) & 15;
            let high = factors[8 + group % 4] >> (group / 4 * 2) & 3;
            *scale = (low | high << 4).cast_signed() - 32;
        }
        self.scale = half(bytes, 108);
    }

    /// The factors of `Q4_K` and `Q5_K`: of the block, then those of groups in 12 bytes.
    fn six_bit_factors(&mut self, bytes: &[u8]) {
        (self.scale, self.min) = (half(bytes, 0), -half(bytes, 2));
        let bytes = &bytes[4..16];
        for group in 0..8 {
            let (scale, min) = if group < 4 {
                (bytes[group] & 63, bytes[group + 4] & 63)
            } else {
                let low = bytes[group + 4];
                (low & 15 | bytes[group - 4] >> 6 << 4, low >> 4 | bytes[group] >> 6 << 4)
            };
            (self.scales[group], self.mins[group]) = (scale.cast_signed(), min.cast_signed());
        }
    }

    /// Each 32 bytes hold a group in their low bits and the next one in their high bits.
    fn pairs_of_groups(&mut self, bytes: &[u8]) {
        for (quants, bytes) in self.quants.chunks_exact_mut(64).zip(bytes.chunks_exact(32)) {
            let (low, high) = quants.split_at_mut(32);
            for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
                (*low, *high) = (byte & 15, byte >> 4);
            }
        }
    }

    fn q6_k(&mut self, bytes: &[u8]) {
        let (low, high) = (bytes[..128].chunks_exact(64), bytes[128..192].chunks_exact(32));
        for ((quants, low), high) in self.quants.chunks_exact_mut(128).zip(low).zip(high) {
            for (index, quant) in quants.iter_mut().enumerate() {
                let (part, at) = (index / 32, index % 32);
                let low = low[index % 64] >> (part / 2 * 4) & 15;
                *quant = low | (high[at] >> (2 * part) & 3) << 4;
            }
        }
        for (scale, byte) in self.scales.iter_mut().zip(&bytes[192..208]) {
            *scale = byte.cast_signed();
        }
        self.scale = half(bytes, 208);
    }

    /// Fills `to` with the numbers in single precision.
    pub(super) fn dequantize(&self, layout: Layout, to: &mut [f32]) {
        let groups = self.quants.chunks_exact(layout.group).zip(self.scales.iter().zip(&self.mins));
        for (to, (quants, (scale, min))) in to.chunks_exact_mut(layout.group).zip(groups) {
            let (scale, min) = (self.scale * f32::from(*scale), self.min * f32::from(*min));
            for (to, quant) in to.iter_mut().zip(quants) {
                let x = scale * f32::from(i16::from(*quant) - i16::from(layout.zero));
                *to = if layout.min { x + min } else { x };
            }
        }
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}
