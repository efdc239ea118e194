//! What a plugin may use, and the part of it that wasmtime asks for while a plugin runs.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// What a plugin may use in each call. The defaults leave the largest known graph room to spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the component's file; by default 32 MiB, for a guest that brings a Python interpreter has 18.
    ///
    /// It is also what bounds the time to compile it, which no deadline does.
    pub component: u64,
    /// Bytes of memory, over all of a component's memories; by default 64 MiB.
    pub memory: usize,
    /// Wall time of one call; by default 2 s, where a Python guest takes 14 ms.
    pub deadline: Duration,
    /// Bytes of native stack; by default 512 KiB.
    pub stack: usize,
    /// Handles of values held at once; by default 2^19, twice as many as a graph has nodes.
    pub handles: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component: 32 << 20,
            memory: 64 << 20,
            deadline: Duration::from_secs(2),
            stack: 512 << 10,
            handles: 1 << 19,
        }
    }
}

/// Elements of a table, which hold a component's function pointers.
const TABLE_ELEMENTS: usize = 1 << 16;

/// Core instances, memories and tables of one component; those of interpreted languages have dozens.
const PARTS: usize = 256;

/// Says no to growth beyond the limit, and remembers it: the guest sees but a failed allocation and may end itself.
#[derive(Debug)]
pub(crate) struct Limiter {
    left: usize,
    denied: bool,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.memory, denied: false }
    }

    /// Whether more memory was asked for than there may be.
    pub(crate) fn denied(&self) -> bool {
        self.denied
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let left = self.left.checked_sub(desired.saturating_sub(current));
        self.denied |= left.is_none();
        self.left = left.unwrap_or(self.left);
        Ok(left.is_some())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= TABLE_ELEMENTS;
        self.denied |= !granted;
        Ok(granted)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_share_one_limit_and_a_denial_is_remembered() -> wasmtime::Result<()> {
        let mut limiter = Limiter::new(&Limits { memory: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None)?);
        assert!(limiter.memory_growing(0, 40, None)?);
        assert!(!limiter.denied());
        assert!(!limiter.memory_growing(40, 41, None)?);
        assert!(limiter.denied());
        Ok(())
    }
}
