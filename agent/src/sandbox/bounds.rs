//! What a store may grow to.

use wasmtime::{ResourceLimiter, Result, bail};

use crate::config::Limits;

/// Core instances, memories and tables that a component may be made of. A component from a language's
/// usual tools has a handful.
const MOST_PARTS: usize = 64;

/// Counts the memories and tables of a store, all together, and traps the one that would exceed its limit.
pub(crate) struct Bounds {
    /// Bytes of linear memory.
    pub(crate) memory: usize,
    most_memory: usize,
    /// Elements of tables.
    pub(crate) table_elements: usize,
    most_table_elements: usize,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            most_memory: limits.memory.get(),
            table_elements: 0,
            most_table_elements: limits.table_elements as usize,
        }
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        if memory > self.most_memory {
            bail!("{memory} bytes of memory are more than its limit `memory`, which is {}", self.most_memory);
        }
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let elements = self.table_elements.saturating_add(desired.saturating_sub(current));
        if elements > self.most_table_elements {
            let most = self.most_table_elements;
            bail!("{elements} table elements are more than its limit `table-elements`, which is {most}");
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MOST_PARTS
    }

    fn memories(&self) -> usize {
        MOST_PARTS
    }

    fn tables(&self) -> usize {
        MOST_PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_a_store_count_together() {
        let mut bounds = Bounds::new(&Limits { memory: crate::config::Bytes(100), ..Limits::default() });

        assert!(bounds.memory_growing(0, 60, None).is_ok());
        assert!(bounds.memory_growing(0, 41, None).is_err());
        assert!(bounds.memory_growing(60, 100, None).is_ok());
        assert_eq!(bounds.memory, 100);
    }
}
