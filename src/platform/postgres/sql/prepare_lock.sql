-- One process prepares at a time; the others wait and find it done. Called by prepare.
select pg_advisory_xact_lock(hashtextextended('metachat-jobs platform schema', 0))
