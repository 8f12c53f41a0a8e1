-- Plants a canary: a row whose time is known, to be found again by a recovery to a later moment.
insert into jobs.backup_canaries (planted_at) values (clock_timestamp()) on conflict do nothing;
