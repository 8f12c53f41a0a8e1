-- Leaves nothing of the figure before; benches/engine/databases.rs.
drop database if exists windlass_bench
  with (force)
