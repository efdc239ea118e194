//! Results of sequences that were computed before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use runtime_models::Sequence;
use runtime_tensor::Matrix;
use sha2::{Digest, Sha256};

/// Remembers results of between one and two times `capacity` bytes, dropping the ones that were used least lately.
///
/// While a pipeline is being edited, the same texts are asked again and again with other thresholds or labels; what a
/// model says of a sequence depends on its weights only, so a memo belongs to one loaded model. Two generations of
/// entries stand in for a list in order of use: when the newer is full, the older is dropped.
#[derive(Debug)]
pub(crate) struct Memo {
    capacity: usize,
    entries: Mutex<Entries>,
}

/// A sequence's digest, which takes less room than its tokens.
type Key = [u8; 32];

#[derive(Debug, Default)]
struct Entries {
    newer: HashMap<Key, Matrix>,
    older: HashMap<Key, Matrix>,
    /// Bytes of the newer ones.
    bytes: usize,
}

impl Memo {
    /// A memo that remembers nothing where `capacity`, in bytes, is 0.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: Mutex::default() }
    }

    pub(crate) fn get(&self, sequence: &Sequence) -> Option<Matrix> {
        if self.capacity == 0 {
            return None;
        }
        let key = digest(sequence);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = entries.newer.get(&key) {
            return Some(found.clone());
        }
        let found = entries.older.remove(&key)?;
        entries.insert(self.capacity, key, found.clone());
        Some(found)
    }

    pub(crate) fn put(&self, sequence: &Sequence, result: &Matrix) {
        if self.capacity > 0 {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.insert(self.capacity, digest(sequence), result.clone());
        }
    }
}

impl Entries {
    fn insert(&mut self, capacity: usize, key: Key, result: Matrix) {
        if self.bytes >= capacity {
            self.older = std::mem::take(&mut self.newer);
            self.bytes = 0;
        }
        self.bytes += bytes(&result);
        if let Some(replaced) = self.newer.insert(key, result) {
            self.bytes -= bytes(&replaced);
        }
    }
}

/// Bytes of an entry: key, matrix and numbers.
fn bytes(result: &Matrix) -> usize {
    size_of::<Key>() + size_of::<Matrix>() + size_of_val(&*result.data)
}

/// Of ids, types and rows, each in 4 bytes, with the number of ids in front, so that no two sequences are written alike.
fn digest(sequence: &Sequence) -> Key {
    let mut hash = Sha256::new_with_prefix(sequence.token_ids.len().to_le_bytes());
    for number in sequence.token_ids.iter().chain(&sequence.token_types).chain(&sequence.rows) {
        hash.update(number.to_le_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(id: u32) -> Sequence {
        Sequence { token_ids: vec![id], token_types: vec![0], rows: Vec::new() }
    }

    fn result(id: u32) -> Matrix {
        Matrix { rows: 1, width: 1, data: vec![f32::from(u16::try_from(id).expect("small"))] }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let capacity = 10 * bytes(&result(0));
        let memo = Memo::new(capacity);
        for id in 0..100 {
            memo.put(&sequence(id), &result(id));
            assert_eq!(memo.get(&sequence(0)), Some(result(0)), "after {id}");
        }
        assert_eq!(memo.get(&sequence(99)), Some(result(99)));
        assert_eq!(memo.get(&sequence(50)), None);
        let entries = memo.entries.lock().expect("not poisoned");
        let held: usize = entries.newer.values().chain(entries.older.values()).map(bytes).sum();
        assert!(held <= 2 * capacity, "{held} bytes");
    }

    #[test]
    fn types_and_rows_tell_sequences_apart() {
        let memo = Memo::new(1 << 10);
        let of = |types: [u32; 2], rows: &[u32]| Sequence {
            token_ids: vec![1, 2],
            token_types: types.to_vec(),
            rows: rows.to_vec(),
        };
        memo.put(&of([0, 0], &[1]), &result(1));
        assert_eq!(memo.get(&of([0, 1], &[1])), None);
        assert_eq!(memo.get(&of([0, 0], &[0])), None);
        assert_eq!(memo.get(&of([0, 0], &[1])), Some(result(1)));
    }

    #[test]
    fn without_capacity_nothing_is_kept() {
        let memo = Memo::new(0);
        memo.put(&sequence(1), &result(1));
        assert_eq!(memo.get(&sequence(1)), None);
    }
}
