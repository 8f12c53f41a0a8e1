-- How far an approximate index looks: it meets all tenants' chunks before ours are picked out. Called before nearest.
select set_config('hnsw.ef_search', '200', true), set_config('ivfflat.probes', '20', true)
