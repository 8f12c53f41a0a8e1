-- One process makes the tables at a time, until the transaction ends. Called by prepare.
select pg_advisory_xact_lock(1785684851, 259)
