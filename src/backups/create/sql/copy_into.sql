-- A whole and compact copy of a SQLite file, of one moment, while others write.
vacuum into $1
