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

/// Elements of all tables of a component, which hold its function pointers: a Python interpreter has 5,808. The host has a
/// pointer for each.
pub(crate) const TABLE_ELEMENTS: usize = 1 << 16;

/// Core instances, memories and tables of one component; those of interpreted languages have dozens.
const PARTS: usize = 256;

/// Says no to growth beyond the limit, and remembers it: the guest sees but a failed allocation and may end itself.
#[derive(Debug)]
pub(crate) struct Limiter {
    left: usize,
    elements: usize,
    denied: Option<Denied>,
}

/// What was asked for beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Memory,
    Tables,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.memory, elements: TABLE_ELEMENTS, denied: None }
    }

    /// What more was asked for than there may be, if anything: the last of it.
    pub(crate) fn denied(&self) -> Option<Denied> {
        self.denied
    }

    /// Takes what something grows by from what is left, or notes that it is not there.
    fn take(left: &mut usize, denied: &mut Option<Denied>, what: Denied, current: usize, desired: usize) -> bool {
        match left.checked_sub(desired.saturating_sub(current)) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => {
                *denied = Some(what);
                false
            }
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.left, &mut self.denied, Denied::Memory, current, desired))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.elements, &mut self.denied, Denied::Tables, current, desired))
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
        assert_eq!(limiter.denied(), None);
        assert!(!limiter.memory_growing(40, 41, None)?);
        assert_eq!(limiter.denied(), Some(Denied::Memory));
        Ok(())
    }

    #[test]
    fn tables_share_one_limit() -> wasmtime::Result<()> {
        let mut limiter = Limiter::new(&Limits::default());
        assert!(limiter.table_growing(0, TABLE_ELEMENTS - 5, None)?);
        assert!(limiter.table_growing(0, 5, None)?);
        assert!(!limiter.table_growing(5, 6, None)?);
        assert_eq!(limiter.denied(), Some(Denied::Tables));
        Ok(())
    }
}
