-- Makes the schema where it has not been made for us. Caller: schema.rs.
create schema jobs
