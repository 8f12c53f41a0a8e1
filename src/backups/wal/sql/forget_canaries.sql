-- Takes away canaries that no recovery looks for any more.
delete from jobs.backup_canaries where planted_at < now() - interval '40 days';
