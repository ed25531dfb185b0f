"""How measurements that are compared are taken, told and kept: in turns, by their spread, as plots and in files."""
