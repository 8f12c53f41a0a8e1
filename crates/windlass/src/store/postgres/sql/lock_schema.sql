-- One migration at a time, until the transaction ends. Caller: schema.rs.
select pg_advisory_xact_lock(1785684851, 257)
