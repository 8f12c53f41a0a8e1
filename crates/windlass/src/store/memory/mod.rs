//! The contract in memory.
