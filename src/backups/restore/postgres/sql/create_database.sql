-- Makes an empty database for what is restored; its quoted name is filled in.
create database the_database template template0;
