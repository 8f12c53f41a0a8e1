-- What is wrong with the file: one row `ok`, or one for each fault.
pragma integrity_check(20);
