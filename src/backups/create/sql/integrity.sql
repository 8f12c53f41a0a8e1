-- Whether a SQLite file is whole: one row `ok` if it is.
pragma integrity_check(20)
