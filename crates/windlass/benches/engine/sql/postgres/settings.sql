-- What the server runs with, for the report; benches/engine/machine.rs.
select
  current_setting('server_version'),
  current_setting('synchronous_commit'),
  current_setting('fsync'),
  current_setting('full_page_writes'),
  current_setting('shared_buffers'),
  current_setting('max_wal_size')
