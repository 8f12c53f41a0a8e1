-- A fresh database for each figure; benches/engine/databases.rs.
create database windlass_bench
