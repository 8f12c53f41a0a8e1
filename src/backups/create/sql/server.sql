-- What a server says of itself: goes into the manifest.
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    current_database()::text as database
