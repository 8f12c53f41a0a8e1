-- No figure pays for writing out what the one before it left; benches/engine/databases.rs.
checkpoint
