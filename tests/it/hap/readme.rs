//! The README's walk-through, block by block.
