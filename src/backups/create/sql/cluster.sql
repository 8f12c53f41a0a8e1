-- What a cluster says of itself before it is copied.
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    (select system_identifier::text from pg_control_system()) as system_identifier,
    (select rolname::text from pg_roles where oid = 10) as superuser,
    coalesce(current_setting('summarize_wal', true), 'off') = 'on' as summarizes,
    (select setting from pg_settings where name = 'wal_segment_size') as segment_bytes
