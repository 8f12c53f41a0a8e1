-- Whether row security shows one tenant's rows at a time only; SQLite has none. Called before a look across tenants.
select false
