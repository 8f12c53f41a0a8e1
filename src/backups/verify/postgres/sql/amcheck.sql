-- Whether the extension that pg_amcheck works with can be installed here.
select count(*) from pg_available_extensions where name = 'amcheck';
