-- Makes room for a restored database of this name, in a throwaway server.
drop database postgres;
