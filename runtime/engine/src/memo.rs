//! Results of sequences that were computed before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use runtime_models::Sequence;
use runtime_tensor::Matrix;

/// Remembers between `capacity` and twice `capacity` results, dropping the ones that were used least lately.
///
/// While a pipeline is being edited, the same texts are asked again and again with other thresholds or labels; what a
/// model says of a sequence depends on its weights only, so a memo belongs to one loaded model. Two generations of
/// entries stand in for a list in order of use: when the newer is full, the older is dropped.
#[derive(Debug)]
pub(crate) struct Memo {
    capacity: usize,
    entries: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    newer: HashMap<Sequence, Matrix>,
    older: HashMap<Sequence, Matrix>,
}

impl Memo {
    /// A memo that remembers nothing where `capacity` is 0.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: Mutex::default() }
    }

    pub(crate) fn get(&self, sequence: &Sequence) -> Option<Matrix> {
        if self.capacity == 0 {
            return None;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = entries.newer.get(sequence) {
            return Some(found.clone());
        }
        let (sequence, found) = entries.older.remove_entry(sequence)?;
        entries.insert(self.capacity, sequence, found.clone());
        Some(found)
    }

    pub(crate) fn put(&self, sequence: Sequence, result: Matrix) {
        if self.capacity > 0 {
            self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(self.capacity, sequence, result);
        }
    }
}

impl Generations {
    fn insert(&mut self, capacity: usize, sequence: Sequence, result: Matrix) {
        if self.newer.len() >= capacity {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(sequence, result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(id: u32) -> Sequence {
        Sequence { token_ids: vec![id], token_types: vec![0] }
    }

    fn result(id: u32) -> Matrix {
        Matrix { rows: 1, width: 1, data: vec![f32::from(u16::try_from(id).expect("small"))] }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let memo = Memo::new(10);
        for id in 0..100 {
            memo.put(sequence(id), result(id));
            assert_eq!(memo.get(&sequence(0)), Some(result(0)), "after {id}");
        }
        assert_eq!(memo.get(&sequence(99)), Some(result(99)));
        assert_eq!(memo.get(&sequence(50)), None);
        let entries = memo.entries.lock().expect("not poisoned");
        assert!(entries.newer.len() + entries.older.len() <= 20);
    }

    #[test]
    fn without_capacity_nothing_is_kept() {
        let memo = Memo::new(0);
        memo.put(sequence(1), result(1));
        assert_eq!(memo.get(&sequence(1)), None);
    }
}
