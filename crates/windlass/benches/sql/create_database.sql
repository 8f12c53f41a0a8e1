-- A fresh database. Caller: store_postgres.rs.
create database windlass_bench
