-- Leaves nothing of an earlier run; benches/engine/databases.rs.
drop database if exists windlass_bench_history
  with (force)
