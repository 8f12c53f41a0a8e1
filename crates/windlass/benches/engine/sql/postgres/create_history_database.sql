-- A fresh database for the drains beside a history; benches/engine/databases.rs.
create database windlass_bench_history
