-- Which SQLite made the copy.
select sqlite_version() as version
