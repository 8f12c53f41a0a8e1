-- Takes away a database that is to be replaced, whoever is connected to it; its quoted name is filled in.
drop database the_database with (force);
