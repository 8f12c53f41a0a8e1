-- Whether the server still replays its log. Asked of a throwaway server until it takes writes.
select pg_is_in_recovery();
