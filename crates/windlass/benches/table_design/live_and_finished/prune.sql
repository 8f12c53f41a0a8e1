-- Drops the day that is over.
drop table if exists windlass_bench.yesterday
